// How errors and warnings are shown: all of them, in order, with their line and a caret.
#include "base/text.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_all_in_order(void **state)
{
	assert_messages(
		&sample_section,
		"cohice: large\n"
		"duration: never\n"
		"list:\n"
		"  - number: many\n"
		"    txet: a\n"
		"  - {number: 13}\n"
		"integer: 100\n",
		"a.yaml:1:1: unknown key \"cohice\"; did you mean \"choice\"?\n"
		"  cohice: large\n"
		"  ^\n"
		"a.yaml:2:11: expected a duration such as 250ms, 10s or 1m, from 1ms to 1d for \"duration\", not "
		"\"never\"\n"
		"  duration: never\n"
		"            ^\n"
		"a.yaml:4:13: expected a whole number for \"number\", not \"many\"\n"
		"    - number: many\n"
		"              ^\n"
		"a.yaml:5:5: unknown key \"txet\"; did you mean \"text\"?\n"
		"      txet: a\n"
		"      ^\n"
		"a.yaml:6:6: 13 brings bad luck\n"
		"    - {number: 13}\n"
		"       ^\n"
		"a.yaml:7:10: expected a whole number from 1 to 64 for \"integer\", not \"100\"\n"
		"  integer: 100\n"
		"           ^\n");
}

static void test_unknown_keys(void **state)
{
	assert_messages(&sample_section, "section: {colour: red}\n",
			"a.yaml:1:11: unknown key \"colour\"; known here: text or number\n"
			"  section: {colour: red}\n            ^\n");
	assert_messages(&sample_section, "Text: a\n",
			"a.yaml:1:1: unknown key \"Text\"; did you mean \"text\"?\n  Text: a\n  ^\n");
	assert_messages(&sample_section, "inculde: b.yaml\n",
			"a.yaml:1:1: unknown key \"inculde\"; did you mean \"include\"?\n  inculde: b.yaml\n  ^\n");
	assert_messages(&sample_section, "named: {a: {test: x}}\n",
			"a.yaml:1:12: \"text\" is missing; expected a text that matters\n"
			"  named: {a: {test: x}}\n             ^\n"
			"a.yaml:1:13: unknown key \"test\"; did you mean \"text\"?\n"
			"  named: {a: {test: x}}\n              ^\n");
}

static void test_names_for_anchors(void **state)
{
	struct result result = load_text(&sample_section, "x-anything: [1, {2: 3}]\nX-: 1\n");
	assert_string_equal(result.messages,
			    "a.yaml:2:1: unknown key \"X-\"; known here: yes, yes_by_default, integer, "
			    "duration, size, text, secret, choice, texts, pairs, file, section, "
			    "optional, list, named, extra_optional, extra_text, extra_list or "
			    "extra_section\n  X-: 1\n  ^\n");
	result_free(&result);
	assert_messages(&sample_section, "section: {x-a: 1}\n",
			"a.yaml:1:11: unknown key \"x-a\"; known here: text or number\n"
			"  section: {x-a: 1}\n            ^\n");
}

// Values of secret keys never show, whatever is wrong around them.
static void test_secrets(void **state)
{
	static const char *const texts[] = {
		"secret: {hunter2: hunter2}\n",
		"secret: [hunter2]\n",
		"secre: hunter2\n",
		"{secret: hunter2, integer: 0}\n",
		"{integer: 0, secret: hunter2}\n",
		"secret: \"hunter2\n",
		"integer: 0\nsecret:\n  hunter2\n more\n",
		"secret: |\n  hunter2\n  hunter2\ninteger: x\n",
		"\"secret\" : hunter2: hunter2\n",
		"integer: {secret: hunter2}\n",
		"secret: refused # hunter2\n",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct result result = load_text(&sample_section, texts[i]);
		assert_false(result.ok);
		assert_null(strstr(result.messages, "hunter2"));
		result_free(&result);
	}
	assert_messages(&sample_section, "{integer: 0, secret: hunter2}\n",
			"a.yaml:1:11: expected a whole number from 1 to 64 for \"integer\", not \"0\"\n"
			"  {integer: 0, secret: ***\n            ^\n");
	// On several lines.
	assert_messages(&sample_section, "secret:\n  hunter2\n  hunter2 refused\ninteger: 0\nsecret: refused\n",
			"a.yaml:4:10: expected a whole number from 1 to 64 for \"integer\", not \"0\"\n"
			"  integer: 0\n           ^\n"
			"a.yaml:5:1: \"secret\" stands here twice; first at a.yaml:1:1\n"
			"  secret: ***\n  ^\n");
}

static bool finish_everywhere(struct config_load *load, void *section_struct)
{
	config_error(load, (struct config_place){0}, "something without a place");
	config_warning(load, (struct config_place){"a.yaml", 1, 1}, "of no loaded file");
	struct config_place place = config_where(load, section_struct, "text");
	place.line++;
	config_warning(load, place, "be careful");
	place.line = 1000;
	config_error(load, place, "far away");
	config_error(load, place, "far away");
	config_error(load, place, "with\na break and \033[1m colour");
	return false;
}

struct only_text {
	struct config_text text;
};

static const struct config_key only_text_keys[] = {
	{"text", CONFIG_TEXT, offsetof(struct only_text, text)},
	{0},
};

static const struct config_section complaining_section = {
	.name = "complaining",
	.size = sizeof(struct only_text),
	.keys = only_text_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.finish = finish_everywhere,
};

static void test_places(void **state)
{
	assert_messages(&complaining_section, "text: a\n# two\n",
			"something without a place\n"
			"a.yaml:1:1: warning: of no loaded file\n"
			"a.yaml:2:1: warning: be careful\n"
			"  # two\n"
			"  ^\n"
			"a.yaml:1000:1: far away\n"
			"a.yaml:1000:1: with a break and  [1m colour\n");
}

static void test_carets(void **state)
{
	// Columns are characters; a tab is shown as one blank.
	assert_messages(&sample_section, "section: {text: \"\xc3\xa9\xe2\x82\xac\",\tnumber: x}\n",
			"a.yaml:1:31: expected a whole number for \"number\", not \"x\"\n"
			"  section: {text: \"\xc3\xa9\xe2\x82\xac\", number: x}\n"
			"                                ^\n");
	assert_messages(&sample_section, "\xef\xbb\xbfinteger: x",
			"a.yaml:1:10: expected a whole number from 1 to 64 for \"integer\", not \"x\"\n"
			"  integer: x\n           ^\n");
	// Every end of line that YAML knows.
	assert_messages(&sample_section, "yes: true\r\nsize: 1\rinteger: x\r\n",
			"a.yaml:3:10: expected a whole number from 1 to 64 for \"integer\", not \"x\"\n"
			"  integer: x\n           ^\n");
}

static void test_long_lines(void **state)
{
	char text[2000], expected[1000];
	memset(text, 'y', sizeof text);
	memcpy(text, "pairs: {a: ", 11);
	snprintf(text + 500, sizeof text - 500, ", b: [[]], c: %0500d}\n", 0);
	struct result result = load_text(&sample_section, text);
	assert_false(result.ok);
	// A hundred columns before the place, and 160 in all.
	char shown[161];
	memcpy(shown, text + 507 - 1 - 100, 160);
	shown[160] = '\0';
	snprintf(expected, sizeof expected,
		 "a.yaml:1:507: expected a map of names and texts for \"pairs\", not an empty list\n  %s\n  %100s^\n",
		 shown, "");
	assert_string_equal(result.messages, expected);
	result_free(&result);

	// The value itself is cut as well.
	snprintf(text, sizeof text, "integer: %0100d\n", 0);
	result = load_text(&sample_section, text);
	assert_non_null(
		strstr(result.messages, "not \"000000000000000000000000000000000000000000000000000000000000...\""));
	result_free(&result);
}

static void test_colours(void **state)
{
	struct test_file files[] = {{"a.yaml", "yes: maybe\ninclude: x*\n"}, {0}};
	struct test_source source = test_source(files, NULL);
	char *messages;
	size_t size;
	FILE *to = open_memstream(&messages, &size);
	void *root;
	struct config *config = NULL;
	struct config_load *load = config_load_begin(&source.source, "a.yaml", SLICE_EMPTY, &sample_section, &root);
	assert_false(config_load_end(load, to, true, &config));
	fclose(to);
	assert_string_equal(
		messages, "\033[1ma.yaml:1:6: \033[0m\033[31mexpected true or false for \"yes\", not \"maybe\"\033[0m\n"
			  "  yes: maybe\n       \033[32m^\033[0m\n"
			  "\033[1ma.yaml:2:10: \033[0m\033[35mwarning: no file matches \"x*\"\033[0m\n"
			  "  include: x*\n           \033[32m^\033[0m\n");
	free(messages);
}

static void test_many(void **state)
{
	char buffer[30000];
	struct text text;
	text_init(&text, buffer, sizeof buffer);
	text_add_string(&text, "texts:\n");
	for (int i = 0; i < 1500; i++)
		text_printf(&text, "- [%d]\n", i);
	text_add_char(&text, '\0');
	struct result result = load_text(&sample_section, buffer);
	assert_false(result.ok);
	assert_non_null(strstr(result.messages, "\na.yaml:1001:3: expected"));
	assert_null(strstr(result.messages, "\na.yaml:1002:3: expected"));
	assert_string_equal(result.messages + strlen(result.messages) - 13, "and 500 more\n");
	result_free(&result);
}

// A warning alone does not keep a configuration from being loaded.
static void test_warnings(void **state)
{
	struct result result = load_text(&sample_section, "include: nothing/*.yaml\n");
	assert_true(result.ok);
	assert_string_equal(result.messages, "a.yaml:1:10: warning: no file matches \"nothing/*.yaml\"\n"
					     "  include: nothing/*.yaml\n           ^\n");
	result_free(&result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_in_order),
		cmocka_unit_test(test_unknown_keys),
		cmocka_unit_test(test_names_for_anchors),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_carets),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_colours),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_warnings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
