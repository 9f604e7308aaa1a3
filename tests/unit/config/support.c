#include "support.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- The source

static int read_file(struct config_source *source, const char *path, struct slice *ret_content)
{
	struct test_source *test = (struct test_source *)source;
	test->reads++;
	for (const struct test_file *file = test->files; file->name != NULL; file++) {
		if (strcmp(file->name, path) != 0)
			continue;
		char *copy = strdup(file->content);
		if (copy == NULL)
			return -ENOMEM;
		*ret_content = slice_from_string(copy);
		return 0;
	}
	return -ENOENT;
}

static int find_files(struct config_source *source, const char *pattern, struct slice *ret_names)
{
	struct test_source *test = (struct test_source *)source;
	if (strchr(pattern, '!') != NULL)
		return -EACCES;
	char *names = malloc(10000), *to = names;
	if (names == NULL)
		return -ENOMEM;
	for (const struct test_file *file = test->files; file->name != NULL; file++) {
		if (fnmatch(pattern, file->name, FNM_PATHNAME) == 0) {
			memcpy(to, file->name, strlen(file->name) + 1);
			to += strlen(file->name) + 1;
		}
	}
	*ret_names = slice_from(names, (size_t)(to - names));
	return 0;
}

static const char *environment(struct config_source *source, const char *name)
{
	struct test_source *test = (struct test_source *)source;
	const struct test_variable *variable = test->variables;
	for (; variable != NULL && variable->name != NULL; variable++) {
		if (strcmp(variable->name, name) == 0)
			return variable->value;
	}
	return NULL;
}

struct test_source test_source(const struct test_file *files, const struct test_variable *variables)
{
	return (struct test_source){{read_file, find_files, environment}, files, variables, 0};
}

// --- Loading

struct result load_files(const struct config_section *root, const struct test_file *files,
			 const struct test_variable *variables)
{
	struct test_source source = test_source(files, variables);
	struct result result = {0};
	size_t size;
	FILE *to = open_memstream(&result.messages, &size);
	assert_non_null(to);
	struct config_load *load = config_load_begin(&source.source, files[0].name, SLICE_EMPTY, root, &result.root);
	assert_non_null(load);
	result.ok = config_load_end(load, to, false, &result.config);
	fclose(to);
	return result;
}

struct result load_text(const struct config_section *root, const char *text)
{
	return load_files(root, (struct test_file[]){{"a.yaml", text}, {0}}, NULL);
}

void result_free(struct result *result)
{
	config_free(result->config);
	free(result->messages);
}

void assert_messages(const struct config_section *root, const char *text, const char *messages)
{
	struct result result = load_text(root, text);
	assert_string_equal(result.messages, messages);
	assert_false(result.ok);
	result_free(&result);
}

// --- The sample

static bool refine_text(struct config_load *load, void *section_struct, const struct config_text *text)
{
	struct sample *sample = section_struct;
	if (slice_equal(text->text, SLICE("refused"))) {
		config_error(load, text->place, "this is refused");
		return false;
	}
	sample->refined += (int64_t)text->text.length;
	return true;
}

static bool finish_section(struct config_load *load, void *section_struct)
{
	struct sample_section *section = section_struct;
	if (section->number != 13)
		return true;
	config_error(load, config_where(load, section, "number"), "13 brings bad luck");
	return false;
}

static bool finish_sample(struct config_load *load, void *section_struct)
{
	struct sample *sample = section_struct;
	sample->finished++;
	return true;
}

static const struct config_key section_keys[] = {
	{"text", CONFIG_TEXT, offsetof(struct sample_section, text), .help = "a text"},
	{"number", CONFIG_INTEGER, offsetof(struct sample_section, number), "7", "a number"},
	{0},
};

static const struct config_section inner_section = {
	.name = "inner",
	.help = "A section in a section.",
	.size = sizeof(struct sample_section),
	.keys = section_keys,
	.place_offset = offsetof(struct sample_section, place),
	.name_offset = offsetof(struct sample_section, name),
	.shorthand = "text",
	.finish = finish_section,
};

static const struct config_key strict_keys[] = {
	{"text", CONFIG_TEXT, offsetof(struct sample_section, text), .required = true, .form = "a text that matters"},
	{"number", CONFIG_INTEGER, offsetof(struct sample_section, number), .min = -5, .max = 5},
	{0},
};

static const struct config_section strict_section = {
	.name = "strict",
	.size = sizeof(struct sample_section),
	.keys = strict_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = offsetof(struct sample_section, name),
};

static const char *const sizes[] = {"small", "medium", "large", NULL};

static const struct config_key extra_optional = {"extra_optional", CONFIG_OPTIONAL, .section = &inner_section,
						 .help = "contributed"};
static const struct config_key extra_text = {"extra_text", CONFIG_TEXT, .help = "contributed"};
static const struct config_key extra_list = {"extra_list", CONFIG_LIST, .section = &inner_section};
static const struct config_key extra_section = {"extra_section", CONFIG_SECTION, .section = &strict_section};
static const struct config_key *const extras[] = {&extra_optional, &extra_text, &extra_list, &extra_section, NULL};

static const struct config_key sample_keys[] = {
	{"yes", CONFIG_BOOL, offsetof(struct sample, yes), .help = "a truth value"},
	{"yes_by_default", CONFIG_BOOL, offsetof(struct sample, yes_by_default), "true", "another | one"},
	{"integer", CONFIG_INTEGER, offsetof(struct sample, integer), "4", "a number", .min = 1, .max = 64},
	{"duration", CONFIG_DURATION, offsetof(struct sample, duration), "1m", "a time", .min = 1000000,
	 .max = INT64_C(86400000000000)},
	{"size", CONFIG_SIZE, offsetof(struct sample, size), "64KiB", "bytes"},
	{"text", CONFIG_TEXT, offsetof(struct sample, text), "*", "a text", .refine = refine_text},
	{"secret", CONFIG_TEXT, offsetof(struct sample, secret), .help = "a secret", .secret = true,
	 .refine = refine_text},
	{"choice", CONFIG_CHOICE, offsetof(struct sample, choice), "medium", "a choice", .choices = sizes},
	{"texts", CONFIG_TEXTS, offsetof(struct sample, texts), "[one, two]", "texts", .refine = refine_text},
	{"pairs", CONFIG_PAIRS, offsetof(struct sample, pairs), .help = "pairs", .refine = refine_text},
	{"file", CONFIG_FILE, offsetof(struct sample, file), .help = "a file", .refine = refine_text},
	{"section", CONFIG_SECTION, offsetof(struct sample, section), .help = "a section", .section = &inner_section},
	{"optional", CONFIG_OPTIONAL, offsetof(struct sample, optional), .help = "a section or none",
	 .section = &inner_section},
	{"list", CONFIG_LIST, offsetof(struct sample, list), .help = "sections", .section = &inner_section},
	{"named", CONFIG_NAMED, offsetof(struct sample, named), .help = "sections by name", .section = &strict_section},
	{0},
};

const struct config_section sample_section = {
	.name = "sample",
	.help = "One of everything.",
	.size = sizeof(struct sample),
	.keys = sample_keys,
	.extra = extras,
	.extra_offset = offsetof(struct sample, extra),
	.place_offset = offsetof(struct sample, place),
	.finish = finish_sample,
};
