// Loading of configurations: of several files, as they include each other. The input is the
// files a.yaml, b.yaml and so on, each ended by a byte 0x01. Whatever they hold: the load
// fails with messages or succeeds without errors, loading again gives the same, and what is
// loaded keeps to its tables.
#include "base/check.h"
#include "config/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- Tables: one of everything

struct part {
	struct config_place place;
	struct config_text name, text;
	int64_t number;
	struct part *part;
	struct config_list parts;
};

static const struct config_section part_section;
static const struct config_key part_keys[] = {
	{"text", CONFIG_TEXT, offsetof(struct part, text), .pattern = "^a"},
	{"number", CONFIG_INTEGER, offsetof(struct part, number), "3", .min = 2, .max = 5},
	{"part", CONFIG_OPTIONAL, offsetof(struct part, part), .section = &part_section},
	{"parts", CONFIG_LIST, offsetof(struct part, parts), .section = &part_section},
	{0},
};

static const struct config_section part_section = {
	.name = "part",
	.size = sizeof(struct part),
	.keys = part_keys,
	.place_offset = offsetof(struct part, place),
	.name_offset = offsetof(struct part, name),
	.shorthand = "text",
};

struct whole {
	bool truth;
	int64_t duration, size;
	int choice;
	struct config_text text, secret;
	struct config_texts texts;
	struct config_pairs pairs;
	struct config_file file;
	struct part part;
	struct config_list parts, named;
	void *extra[2];
};

static bool refine(struct config_load *load, void *section_struct, const struct config_text *text)
{
	check(text->text.data[text->text.length] == '\0' && strlen(text->text.data) == text->text.length);
	if (text->text.length % 16 != 15)
		return true;
	config_error(load, text->place, "a length of %zu", text->text.length);
	return false;
}

static const char *const choices[] = {"one", "two", "off", NULL};
static const struct config_key extra_part = {"extra", CONFIG_OPTIONAL, .section = &part_section};
static const struct config_key extra_size = {"limit", CONFIG_SIZE, .max = 1 << 20};
static const struct config_key *const extras[] = {&extra_part, &extra_size, NULL};
static const struct config_key whole_keys[] = {
	{"truth", CONFIG_BOOL, offsetof(struct whole, truth), "true"},
	{"duration", CONFIG_DURATION, offsetof(struct whole, duration), .min = 1000},
	{"size", CONFIG_SIZE, offsetof(struct whole, size), "1MiB"},
	{"choice", CONFIG_CHOICE, offsetof(struct whole, choice), "off", .choices = choices},
	{"text", CONFIG_TEXT, offsetof(struct whole, text), .refine = refine},
	{"secret", CONFIG_TEXT, offsetof(struct whole, secret), .secret = true},
	{"texts", CONFIG_TEXTS, offsetof(struct whole, texts), "[a, b]", .refine = refine},
	{"pairs", CONFIG_PAIRS, offsetof(struct whole, pairs), .refine = refine},
	{"file", CONFIG_FILE, offsetof(struct whole, file), .refine = refine},
	{"part", CONFIG_SECTION, offsetof(struct whole, part), .section = &part_section},
	{"parts", CONFIG_LIST, offsetof(struct whole, parts), .section = &part_section},
	{"named", CONFIG_NAMED, offsetof(struct whole, named), .section = &part_section},
	{0},
};

static const struct config_section whole_section = {
	.name = "whole",
	.size = sizeof(struct whole),
	.keys = whole_keys,
	.extra = extras,
	.extra_offset = offsetof(struct whole, extra),
	.place_offset = CONFIG_NO_OFFSET,
};

// --- The source

static struct slice files[8];
static size_t file_count;

static int read_file(struct config_source *source, const char *path, struct slice *ret_content)
{
	size_t index = (size_t)(path[0] - 'a');
	if (strlen(path) != 6 || strcmp(path + 1, ".yaml") != 0 || index >= file_count)
		return -ENOENT;
	char *copy = malloc(files[index].length + 1);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, files[index].data, files[index].length);
	*ret_content = slice_from(copy, files[index].length);
	return 0;
}

static int find_files(struct config_source *source, const char *pattern, struct slice *ret_names)
{
	char *names = malloc(7 * sizeof files / sizeof *files);
	if (names == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < file_count; i++)
		memcpy(names + 7 * i, (char[]){(char)('a' + i), '.', 'y', 'a', 'm', 'l', '\0'}, 7);
	*ret_names = slice_from(names, 7 * file_count);
	return 0;
}

static const char *environment(struct config_source *source, const char *name)
{
	return strlen(name) == 1 ? "- [va${lue" : NULL;
}

// --- The target

static char *load(bool *ret_ok)
{
	struct config_source source = {read_file, find_files, environment};
	struct whole *whole;
	struct config *config = NULL;
	char *messages = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&messages, &size);
	check(to != NULL);
	struct config_load *under_way =
		config_load_begin(&source, "a.yaml", SLICE_EMPTY, &whole_section, (void **)&whole);
	check(under_way != NULL);
	if (whole != NULL && config_error_count(under_way) == 0) {
		check(whole->duration == 0 || whole->duration >= 1000);
		check(whole->choice >= 0 && whole->choice <= 2);
		check(whole->part.number >= 2 && whole->part.number <= 5);
		check(!config_is_set(under_way, whole, "size") || config_where(under_way, whole, "size").line > 0);
		for (size_t i = 0; i < whole->named.count; i++)
			check(((struct part *)whole->named.items)[i].name.text.data != NULL);
	}
	*ret_ok = config_load_end(under_way, to, false, &config);
	fclose(to);
	check(*ret_ok == (config != NULL));
	check(*ret_ok || size > 0);
	config_free(config);
	return messages;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_from(data, size);
	bool more = true;
	for (file_count = 0; more && file_count < sizeof files / sizeof *files; file_count++)
		more = slice_cut(rest, 0x01, &files[file_count], &rest);
	bool ok, ok_again;
	char *messages = load(&ok);
	char *again = load(&ok_again);
	check(ok == ok_again && strcmp(messages, again) == 0);
	free(messages);
	free(again);
	return 0;
}
