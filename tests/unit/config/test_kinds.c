// Each kind of key: what it takes, what it becomes, and what is said of anything else.
#include "support.h"

#include <stdlib.h>
#include <string.h>

static struct sample *sample_of(struct result *result)
{
	assert_string_equal(result->messages, "");
	assert_true(result->ok);
	return result->root;
}

static void assert_text(const struct config_text *text, const char *expected, unsigned line, unsigned column)
{
	assert_non_null(text->text.data);
	assert_string_equal(text->text.data, expected);
	assert_int_equal(text->text.length, strlen(expected));
	assert_int_equal(text->place.line, line);
	assert_int_equal(text->place.column, column);
	assert_string_equal(text->place.file, "a.yaml");
}

static void test_defaults(void **state)
{
	struct result result = load_text(&sample_section, "");
	struct sample *sample = sample_of(&result);
	assert_false(sample->yes);
	assert_true(sample->yes_by_default);
	assert_int_equal(sample->integer, 4);
	assert_int_equal(sample->duration, INT64_C(60000000000));
	assert_int_equal(sample->size, 65536);
	assert_text(&sample->text, "*", 1, 1);
	assert_null(sample->secret.text.data);
	assert_int_equal(sample->choice, 1);
	assert_int_equal(sample->texts.count, 2);
	assert_string_equal(sample->texts.items[1].text.data, "two");
	assert_int_equal(sample->pairs.count, 0);
	assert_null(sample->file.content.data);
	assert_int_equal(sample->section.number, 7);
	assert_int_equal(sample->section.place.line, 1);
	assert_null(sample->optional);
	assert_int_equal(sample->list.count, 0);
	assert_int_equal(sample->named.count, 0);
	for (int i = 0; i < 4; i++)
		assert_null(sample->extra[i]);
	assert_int_equal(sample->finished, 1);
	assert_int_equal(sample->refined, 1 + 3 + 3);
	result_free(&result);
}

static void test_bools(void **state)
{
	static const struct {
		const char *text;
		bool value;
	} rows[] = {{"true", true}, {"on", true},  {"yes", true},     {"false", false},
		    {"off", false}, {"no", false}, {"\"true\"", true}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[100];
		snprintf(text, sizeof text, "yes_by_default: %s\nyes: %s", rows[i].text, rows[i].text);
		struct result result = load_text(&sample_section, text);
		struct sample *sample = sample_of(&result);
		assert_int_equal(sample->yes, rows[i].value);
		assert_int_equal(sample->yes_by_default, rows[i].value);
		result_free(&result);
	}
	assert_messages(&sample_section, "yes: maybe\n",
			"a.yaml:1:6: expected true or false for \"yes\", not \"maybe\"\n  yes: maybe\n       ^\n");
}

static void test_integers(void **state)
{
	struct result result = load_text(&sample_section, "integer: 64\nnamed: {a: {text: x, number: -5}}");
	struct sample *sample = sample_of(&result);
	assert_int_equal(sample->integer, 64);
	assert_int_equal(((struct sample_section *)sample->named.items)->number, -5);
	result_free(&result);

	static const char *const wrong[] = {"0",  "65", "-1", "1.0", "0x10", "1e3", "12a", "99999999999999999999",
					    "--1"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		char text[100], messages[300];
		snprintf(text, sizeof text, "integer: %s", wrong[i]);
		snprintf(messages, sizeof messages,
			 "a.yaml:1:10: expected a whole number from 1 to 64 for \"integer\", not \"%s\"\n"
			 "  integer: %s\n           ^\n",
			 wrong[i], wrong[i]);
		assert_messages(&sample_section, text, messages);
	}
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
	} rows[] = {{"250ms", 250000000},
		    {"10s", 10000000000},
		    {"1m", 60000000000},
		    {"2h", INT64_C(7200000000000)},
		    {"1d", INT64_C(86400000000000)},
		    {"1000us", 1000000},
		    {"1000000ns", 1000000},
		    {"007s", 7000000000}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[100];
		snprintf(text, sizeof text, "duration: %s", rows[i].text);
		struct result result = load_text(&sample_section, text);
		assert_int_equal(sample_of(&result)->duration, rows[i].value);
		result_free(&result);
	}
	static const char *const wrong[] = {"0",     "off", "10",   "s",  "-1s",	  "1.5s", "2d",
					    "999us", "1 s", "1sec", "1S", "99999999999d", "fast", "\"\""};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		char text[100], messages[300], quoted[50];
		bool is_empty = strcmp(wrong[i], "\"\"") == 0;
		snprintf(quoted, sizeof quoted, is_empty ? "%s" : "\"%s\"", wrong[i]);
		snprintf(text, sizeof text, "duration: %s", wrong[i]);
		snprintf(messages, sizeof messages,
			 "a.yaml:1:11: expected a duration such as 250ms, 10s or 1m, from 1ms to 1d for \"duration\", "
			 "not %s\n  duration: %s\n            ^\n",
			 quoted, wrong[i]);
		assert_messages(&sample_section, text, messages);
	}
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
	} rows[] = {{"512", 512},
		    {"64KiB", 65536},
		    {"10MB", 10000000},
		    {"1GiB", 1 << 30},
		    {"0", 0},
		    {"off", 0},
		    {"7B", 7},
		    {"1kB", 1000},
		    {"1KB", 1000},
		    {"2TB", 2000000000000},
		    {"1MiB", 1 << 20},
		    {"1TiB", INT64_C(1) << 40},
		    {"3GB", 3000000000LL}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[100];
		snprintf(text, sizeof text, "size: %s", rows[i].text);
		struct result result = load_text(&sample_section, text);
		assert_int_equal(sample_of(&result)->size, rows[i].value);
		result_free(&result);
	}
	assert_messages(&sample_section, "size: 10m\n",
			"a.yaml:1:7: expected a size such as 512, 64KiB or 10MB (or off) for \"size\", not \"10m\"\n"
			"  size: 10m\n        ^\n");
	assert_messages(&sample_section, "size: 9999999999TiB\n",
			"a.yaml:1:7: expected a size such as 512, 64KiB or 10MB (or off) for \"size\", not "
			"\"9999999999TiB\"\n  size: 9999999999TiB\n        ^\n");
}

static void test_texts(void **state)
{
	struct result result = load_text(&sample_section, "text: \"a b\"\ntexts: [x, 'y', 3]\n");
	struct sample *sample = sample_of(&result);
	assert_text(&sample->text, "a b", 1, 7);
	assert_int_equal(sample->texts.count, 3);
	assert_text(&sample->texts.items[0], "x", 2, 9);
	assert_text(&sample->texts.items[1], "y", 2, 12);
	assert_text(&sample->texts.items[2], "3", 2, 17);
	assert_int_equal(sample->refined, 3 + 3);
	result_free(&result);

	result = load_text(&sample_section, "texts: single\ntext: |\n  two\n  lines\n");
	sample = sample_of(&result);
	assert_int_equal(sample->texts.count, 1);
	assert_text(&sample->texts.items[0], "single", 1, 8);
	assert_string_equal(sample->text.text.data, "two\nlines\n");
	result_free(&result);

	assert_messages(&sample_section, "text: [a]\n",
			"a.yaml:1:7: expected text for \"text\", not a list\n  text: [a]\n        ^\n");
	assert_messages(&sample_section, "texts: [a, {b: c}, ~, refused]\n",
			"a.yaml:1:12: expected text or a list of texts for \"texts\", not a map\n"
			"  texts: [a, {b: c}, ~, refused]\n             ^\n"
			"a.yaml:1:20: expected text or a list of texts for \"texts\"; it has no value\n"
			"  texts: [a, {b: c}, ~, refused]\n                     ^\n"
			"a.yaml:1:23: this is refused\n"
			"  texts: [a, {b: c}, ~, refused]\n                        ^\n");
	assert_messages(&sample_section, "text:\n",
			"a.yaml:1:1: expected text for \"text\"; it has no value\n  text:\n  ^\n");
	assert_messages(&sample_section, "text: refused\n",
			"a.yaml:1:7: this is refused\n  text: refused\n        ^\n");
}

static void test_choices(void **state)
{
	struct result result = load_text(&sample_section, "choice: large");
	assert_int_equal(sample_of(&result)->choice, 2);
	result_free(&result);
	assert_messages(
		&sample_section, "choice: lareg\n",
		"a.yaml:1:9: expected one of small, medium or large for \"choice\", not \"lareg\"; did you mean "
		"\"large\"?\n  choice: lareg\n          ^\n");
	assert_messages(&sample_section, "choice: huge\n",
			"a.yaml:1:9: expected one of small, medium or large for \"choice\", not \"huge\"\n"
			"  choice: huge\n          ^\n");
}

static void test_pairs(void **state)
{
	struct result result = load_text(&sample_section, "pairs: {b: 1, a: [2, 3], \"\": \"\"}");
	struct sample *sample = sample_of(&result);
	assert_int_equal(sample->pairs.count, 4);
	assert_text(&sample->pairs.items[0].name, "b", 1, 9);
	assert_text(&sample->pairs.items[0].value, "1", 1, 12);
	assert_text(&sample->pairs.items[1].name, "a", 1, 15);
	assert_text(&sample->pairs.items[2].name, "a", 1, 15);
	assert_text(&sample->pairs.items[2].value, "3", 1, 22);
	assert_text(&sample->pairs.items[3].value, "", 1, 30);
	result_free(&result);
	assert_messages(&sample_section, "pairs: [a]\n",
			"a.yaml:1:8: expected a map of names and texts for \"pairs\", not a list\n"
			"  pairs: [a]\n         ^\n");
	assert_messages(&sample_section, "pairs: {a: {b: c}}\n",
			"a.yaml:1:12: expected a map of names and texts for \"pairs\", not a map\n"
			"  pairs: {a: {b: c}}\n             ^\n");
	assert_messages(&sample_section, "pairs: {a: b, a: c}\n",
			"a.yaml:1:15: \"a\" stands here twice; first at a.yaml:1:9\n"
			"  pairs: {a: b, a: c}\n                ^\n");
}

static void test_files(void **state)
{
	struct result result = load_files(
		&sample_section,
		(struct test_file[]){{"etc/a.yaml", "file: ../share/./x/../key.pem"}, {"share/key.pem", "KEY"}, {0}},
		NULL);
	struct sample *sample = sample_of(&result);
	assert_string_equal(sample->file.path.text.data, "share/key.pem");
	assert_int_equal(sample->file.path.place.column, 7);
	assert_true(slice_equal(sample->file.content, SLICE("KEY")));
	result_free(&result);

	result = load_files(&sample_section, (struct test_file[]){{"etc/a.yaml", "file: /b"}, {"/b", ""}, {0}}, NULL);
	sample = sample_of(&result);
	assert_string_equal(sample->file.path.text.data, "/b");
	assert_non_null(sample->file.content.data);
	assert_int_equal(sample->file.content.length, 0);
	result_free(&result);

	assert_messages(&sample_section, "file: nowhere.pem\n",
			"a.yaml:1:7: cannot read \"nowhere.pem\": No such file or directory\n"
			"  file: nowhere.pem\n        ^\n");
}

static void test_sections(void **state)
{
	struct result result = load_text(&sample_section, "section: {number: 1}\noptional:\n  text: t\n");
	struct sample *sample = sample_of(&result);
	assert_int_equal(sample->section.number, 1);
	assert_int_equal(sample->section.place.column, 10);
	assert_text(&sample->optional->text, "t", 3, 9);
	assert_int_equal(sample->optional->number, 7);
	assert_int_equal(sample->optional->place.line, 3);
	result_free(&result);

	result = load_text(&sample_section, "section: short\noptional: shorter\n");
	sample = sample_of(&result);
	assert_text(&sample->section.text, "short", 1, 10);
	assert_text(&sample->optional->text, "shorter", 2, 11);
	assert_int_equal(sample->optional->number, 7);
	result_free(&result);

	assert_messages(&sample_section, "section:\noptional: {number: 13}\n",
			"a.yaml:1:1: expected a map for \"section\"; it has no value\n  section:\n  ^\n"
			"a.yaml:2:12: 13 brings bad luck\n  optional: {number: 13}\n             ^\n");
	assert_messages(&sample_section, "section: [a]\n",
			"a.yaml:1:10: expected text for \"text\", not a list\n  section: [a]\n           ^\n");
}

static void test_lists(void **state)
{
	struct result result = load_text(&sample_section, "list: [a, {number: 2}, {text: c}]");
	struct sample *sample = sample_of(&result);
	struct sample_section *items = sample->list.items;
	assert_int_equal(sample->list.count, 3);
	assert_text(&items[0].text, "a", 1, 8);
	assert_null(items[1].text.text.data);
	assert_int_equal(items[1].number, 2);
	assert_text(&items[2].text, "c", 1, 31);
	result_free(&result);

	static const char *const single[] = {"list: {text: a}", "list: a", "list: [a]"};
	for (size_t i = 0; i < 3; i++) {
		result = load_text(&sample_section, single[i]);
		sample = sample_of(&result);
		assert_int_equal(sample->list.count, 1);
		assert_string_equal(((struct sample_section *)sample->list.items)->text.text.data, "a");
		result_free(&result);
	}
	result = load_text(&sample_section, "list: []");
	assert_int_equal(sample_of(&result)->list.count, 0);
	result_free(&result);
	assert_messages(&sample_section, "list:\n",
			"a.yaml:1:1: expected a list for \"list\"; it has no value\n  list:\n  ^\n");
}

static void test_named(void **state)
{
	struct result result = load_text(&sample_section, "named:\n  b: {text: x}\n  a: {text: y}\n");
	struct sample *sample = sample_of(&result);
	struct sample_section *items = sample->named.items;
	assert_int_equal(sample->named.count, 2);
	assert_text(&items[0].name, "b", 2, 3);
	assert_text(&items[1].name, "a", 3, 3);
	assert_text(&items[1].text, "y", 3, 13);
	result_free(&result);

	assert_messages(&sample_section, "named:\n  a: {text: y}\n  a: {text: z}\n",
			"a.yaml:3:3: \"a\" stands here twice; first at a.yaml:2:3\n    a: {text: z}\n    ^\n");
	assert_messages(
		&sample_section, "named: {a: {}}\n",
		"a.yaml:1:12: \"text\" is missing; expected a text that matters\n  named: {a: {}}\n             ^\n");
	assert_messages(&sample_section, "named: [a]\n",
			"a.yaml:1:8: expected a map from names for \"named\", not a list\n  named: [a]\n         ^\n");
	assert_messages(&sample_section, "named: {a: b}\n",
			"a.yaml:1:12: expected a map for \"a\", not \"b\"\n  named: {a: b}\n             ^\n");
}

static const struct config_key required_keys[] = {
	{"texts", CONFIG_TEXTS, offsetof(struct sample, texts), .required = true},
	{"list", CONFIG_LIST, offsetof(struct sample, list), .required = true, .section = &sample_section},
	{0},
};

static const struct config_section required_section = {
	.name = "required", .size = sizeof(struct sample), .keys = required_keys, .shorthand = "texts"};

static void test_required(void **state)
{
	assert_messages(&required_section, "",
			"a.yaml:1:1: \"texts\" is missing; expected text or a list of texts\n"
			"a.yaml:1:1: \"list\" is missing; expected a list\n");
	assert_messages(&required_section, "texts: []\nlist: []\n",
			"a.yaml:1:8: expected text or a list of texts for \"texts\", not an empty list\n"
			"  texts: []\n         ^\n"
			"a.yaml:2:7: expected a list for \"list\", not an empty list\n  list: []\n        ^\n");
	assert_messages(
		&required_section, "texts: a\nlist: {include: x*}\n",
		"a.yaml:2:7: expected a list for \"list\", not an empty list\n  list: {include: x*}\n        ^\n"
		"a.yaml:2:17: warning: no file matches \"x*\"\n  list: {include: x*}\n                  ^\n");
}

static void test_extras(void **state)
{
	struct result result = load_text(&sample_section, "extra_optional: a\nextra_text: b\nextra_list: [c, d]\n"
							  "extra_section: {text: e}\n");
	struct sample *sample = sample_of(&result);
	assert_string_equal(((struct sample_section *)sample->extra[0])->text.text.data, "a");
	assert_text(sample->extra[1], "b", 2, 13);
	struct config_list *list = sample->extra[2];
	assert_int_equal(list->count, 2);
	assert_string_equal(((struct sample_section *)list->items)[1].text.text.data, "d");
	assert_string_equal(((struct sample_section *)sample->extra[3])->text.text.data, "e");
	result_free(&result);
	assert_messages(&sample_section, "extra_optoinal: a\n",
			"a.yaml:1:1: unknown key \"extra_optoinal\"; did you mean \"extra_optional\"?\n"
			"  extra_optoinal: a\n  ^\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),  cmocka_unit_test(test_bools),	 cmocka_unit_test(test_integers),
		cmocka_unit_test(test_durations), cmocka_unit_test(test_sizes),	 cmocka_unit_test(test_texts),
		cmocka_unit_test(test_choices),	  cmocka_unit_test(test_pairs),	 cmocka_unit_test(test_files),
		cmocka_unit_test(test_sections),  cmocka_unit_test(test_lists),	 cmocka_unit_test(test_named),
		cmocka_unit_test(test_required),  cmocka_unit_test(test_extras),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
