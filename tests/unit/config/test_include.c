// Includes: files whose maps are merged, and items that stand for files.
#include "base/text.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sample *sample_of(struct result *result)
{
	assert_string_equal(result->messages, "");
	assert_true(result->ok);
	return result->root;
}

// The texts of the list's items, with commas.
static void assert_items(const struct config_list *list, const char *expected)
{
	char items[200] = "";
	for (size_t i = 0; i < list->count; i++) {
		const struct sample_section *item = (const struct sample_section *)list->items + i;
		size_t length = strlen(items);
		snprintf(items + length, sizeof items - length, "%s%s", i == 0 ? "" : ",", item->text.text.data);
	}
	assert_string_equal(items, expected);
}

static void test_maps_are_merged(void **state)
{
	struct result result = load_files(
		&sample_section,
		(struct test_file[]){{"etc/a.yaml", "include: [more/b.yaml, c.yaml]\ninteger: 9\nlist: [a]\n"
						    "section: {number: 1}\nnamed: {x: {text: 1}}\n"},
				     {"etc/more/b.yaml", "include: ../d.yaml\nlist: [b, c]\nnamed: {y: {text: 2}}\n"},
				     {"etc/c.yaml", "section: {text: t}\nlist: [e]\nx-y: 1\n"},
				     {"etc/d.yaml", "list: [d]\ntext: deep\n"},
				     {0}},
		NULL);
	struct sample *sample = sample_of(&result);
	assert_int_equal(sample->integer, 9);
	assert_items(&sample->list, "a,b,c,d,e");
	assert_items(&sample->named, "1,2");
	assert_string_equal(sample->section.text.text.data, "t");
	assert_string_equal(sample->section.text.place.file, "etc/c.yaml");
	assert_int_equal(sample->section.number, 1);
	assert_string_equal(sample->text.text.data, "deep");
	assert_string_equal(sample->text.place.file, "etc/d.yaml");
	result_free(&result);
}

static void test_patterns(void **state)
{
	struct result result = load_files(&sample_section,
					  (struct test_file[]){{"a.yaml", "include: \"*.yaml\"\nlist: [a]"},
							       {"b.yaml", "list: [b]"},
							       {"c.yaml", "# nothing\n"},
							       {"d.yaml", "list: {text: d}\nlist2: 1"},
							       {"sub/e.yaml", "list: [e]"},
							       {0}},
					  NULL);
	assert_string_equal(result.messages,
			    "d.yaml:1:1: \"list\" stands here twice; first at a.yaml:2:1\n  list: {text: d}\n  ^\n"
			    "d.yaml:2:1: unknown key \"list2\"; did you mean \"list\"?\n  list2: 1\n  ^\n");
	result_free(&result);

	result = load_files(&sample_section, (struct test_file[]){{"a.yaml", "include: \"!*\"\n"}, {0}}, NULL);
	assert_string_equal(result.messages, "a.yaml:1:10: cannot look for \"!*\": Permission denied\n"
					     "  include: \"!*\"\n           ^\n");
	result_free(&result);
}

static void test_items(void **state)
{
	struct result result =
		load_files(&sample_section,
			   (struct test_file[]){{"a.yaml", "list: [a, {include: s/*.yaml}, z, {include: [p, q]}]"},
						{"s/b.yaml", "text: b"},
						{"s/c.yaml", "- text: c\n- d\n- include: ../e.yaml\n"},
						{"s/d.yaml", ""},
						{"e.yaml", "include: p"},
						{"p", "text: p"},
						{"q", "[]"},
						{0}},
			   NULL);
	assert_items(&sample_of(&result)->list, "a,b,c,d,p,z,p");
	result_free(&result);

	result = load_files(&sample_section,
			    (struct test_file[]){{"a.yaml", "list: {include: b.yaml}"}, {"b.yaml", "- a\n- b"}, {0}},
			    NULL);
	assert_items(&sample_of(&result)->list, "a,b");
	result_free(&result);

	// In another section it is a key like any other.
	assert_messages(&sample_section, "section: {include: b.yaml}\n",
			"a.yaml:1:11: unknown key \"include\"; known here: text or number\n"
			"  section: {include: b.yaml}\n            ^\n");
}

static void test_wrong_values(void **state)
{
	static const struct {
		const char *text, *messages;
	} rows[] = {
		{"include: {a: b}\n", "a.yaml:1:10: expected the name of a file to include, or a list of them\n"
				      "  include: {a: b}\n           ^\n"},
		{"include:\n",
		 "a.yaml:1:1: expected the name of a file to include, or a list of them\n  include:\n  ^\n"},
		{"include: [[a]]\n", "a.yaml:1:11: expected the name of a file to include, not a list\n"
				     "  include: [[a]]\n            ^\n"},
		{"include: b.yaml\n", "a.yaml:1:10: cannot read \"b.yaml\": No such file or directory\n"
				      "  include: b.yaml\n           ^\n"},
		{"list: [{include: b.yaml}]\n", "a.yaml:1:18: cannot read \"b.yaml\": No such file or directory\n"
						"  list: [{include: b.yaml}]\n                   ^\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_messages(&sample_section, rows[i].text, rows[i].messages);
}

// Errors in several files, in the order of reading.
static void test_errors(void **state)
{
	struct result result =
		load_files(&sample_section,
			   (struct test_file[]){{"a.yaml", "integer: x\ninclude: [b.yaml, c.yaml, d.yaml]\nyes: x\n"},
						{"b.yaml", "duration: x\ninteger: 2\n"},
						{"c.yaml", "- a\n"},
						{"d.yaml", "text: [\n"},
						{0}},
			   NULL);
	assert_string_equal(
		result.messages,
		"a.yaml:1:10: expected a whole number from 1 to 64 for \"integer\", not \"x\"\n"
		"  integer: x\n           ^\n"
		"a.yaml:3:6: expected true or false for \"yes\", not \"x\"\n"
		"  yes: x\n       ^\n"
		"b.yaml:1:11: expected a duration such as 250ms, 10s or 1m, from 1ms to 1d for \"duration\", not "
		"\"x\"\n"
		"  duration: x\n            ^\n"
		"b.yaml:2:1: \"integer\" stands here twice; first at a.yaml:1:1\n"
		"  integer: 2\n  ^\n"
		"c.yaml:1:1: expected a map, to be included in a map; this file holds a list\n"
		"  - a\n  ^\n"
		"d.yaml:2:1: this is not YAML: flow sequence without a closing bracket; the [ at line 1, column 7 "
		"is still open\n");
	assert_false(result.ok);
	result_free(&result);
}

static void test_cycles(void **state)
{
	struct result result = load_files(
		&sample_section,
		(struct test_file[]){{"a.yaml", "include: b.yaml"}, {"b.yaml", "include: x/../a.yaml"}, {0}}, NULL);
	assert_string_equal(result.messages,
			    "b.yaml:1:10: \"a.yaml\" includes itself\n  include: x/../a.yaml\n           ^\n");
	result_free(&result);

	result = load_files(
		&sample_section,
		(struct test_file[]){{"a.yaml", "list: [{include: b.yaml}]"}, {"b.yaml", "- include: b.yaml"}, {0}},
		NULL);
	assert_string_equal(result.messages, "b.yaml:1:12: \"b.yaml\" includes itself\n"
					     "  - include: b.yaml\n             ^\n");
	result_free(&result);

	// The same file twice, but not in itself, is none.
	result = load_files(&sample_section,
			    (struct test_file[]){
				    {"a.yaml", "list: [{include: b.yaml}, {include: b.yaml}]"}, {"b.yaml", "- b"}, {0}},
			    NULL);
	assert_items(&sample_of(&result)->list, "b,b");
	result_free(&result);
}

static void test_depth(void **state)
{
	char names[20][10], contents[20][20];
	struct test_file files[20] = {0};
	for (int i = 0; i < 19; i++) {
		snprintf(names[i], sizeof names[i], "f%d", i);
		snprintf(contents[i], sizeof contents[i], "include: f%d", i + 1);
		files[i] = (struct test_file){names[i], contents[i]};
	}
	struct result result = load_files(&sample_section, files, NULL);
	assert_string_equal(result.messages, "f16:1:10: files are included more than 16 deep\n"
					     "  include: f17\n           ^\n");
	result_free(&result);
}

static void test_too_many_files(void **state)
{
	char *buffer = malloc(100000);
	assert_non_null(buffer);
	struct text text;
	text_init(&text, buffer, 100000);
	text_add_string(&text, "include:\n");
	for (int i = 0; i < 4096; i++)
		text_add_string(&text, "- b\n");
	text_add_char(&text, '\0');
	struct result result =
		load_files(&sample_section, (struct test_file[]){{"a.yaml", buffer}, {"b", ""}, {0}}, NULL);
	assert_string_equal(result.messages, "a.yaml:4097:3: more than 4096 files are included\n  - b\n    ^\n");
	result_free(&result);
	free(buffer);
}

static void test_main_file_is_missing(void **state)
{
	struct test_source source = test_source((struct test_file[]){{0}}, NULL);
	char *messages;
	size_t size;
	FILE *to = open_memstream(&messages, &size);
	void *root = &size;
	struct config *config = NULL;
	struct config_load *load = config_load_begin(&source.source, "none.yaml", SLICE_EMPTY, &sample_section, &root);
	assert_null(root);
	assert_false(config_load_end(load, to, false, &config));
	fclose(to);
	assert_string_equal(messages, "cannot read \"none.yaml\": No such file or directory\n");
	free(messages);
}

// Text that is given instead of a file is not looked for, but what it includes is.
static void test_given_text(void **state)
{
	struct test_source source = test_source((struct test_file[]){{"b.yaml", "integer: 5"}, {0}}, NULL);
	void *root;
	struct config *config = NULL;
	struct config_load *load = config_load_begin(&source.source, "command line", SLICE("include: b.yaml\nyes: on"),
						     &sample_section, &root);
	assert_true(config_load_end(load, NULL, false, &config));
	struct sample *sample = root;
	assert_true(sample->yes);
	assert_int_equal(sample->integer, 5);
	assert_string_equal(sample->place.file, "command line");
	assert_int_equal(source.reads, 1);
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maps_are_merged),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_wrong_values),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_cycles),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_too_many_files),
		cmocka_unit_test(test_main_file_is_missing),
		cmocka_unit_test(test_given_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
