// YAML itself: syntax errors, anchors, merge keys, and the bounds on what is read.
#include "base/text.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_syntax(void **state)
{
	static const struct {
		const char *text, *messages;
	} rows[] = {
		{"text: \"abc\n", "a.yaml:1:8: this is not YAML: double-quoted scalar without closing quote\n"
				  "  text: \"abc\n         ^\n"},
		{"text: @a\n", "a.yaml:1:7: this is not YAML: plain scalar cannot start with '@'\n"
			       "  text: @a\n        ^\n"},
		{"text: a: b\n", "a.yaml:1:8: this is not YAML: invalid nested block mapping on the same line\n"
				 "  text: a: b\n         ^\n"},
		{"texts: [a, b\n", "a.yaml:2:1: this is not YAML: flow sequence without a closing bracket; "
				   "the [ at line 1, column 8 is still open\n"},
		{"pairs: {a: b\n", "a.yaml:2:1: this is not YAML: missing comma in flow mapping; "
				   "the { at line 1, column 8 is still open\n"},
		{"list:\n\t- a\n", "a.yaml:2:1: this is not YAML: tab character may not be used as indentation\n"
				   "   - a\n  ^\n"},
		{"yes: true\n---\nyes: false\n", "a.yaml:2:1: a second document begins here; a file holds one\n"
						 "  ---\n  ^\n"},
		{"- a\n", "a.yaml:1:1: expected a map of keys and values, not a list\n  - a\n  ^\n"},
		{"hello\n", "a.yaml:1:1: expected a map of keys and values, not text\n  hello\n  ^\n"},
		{"text: !mine a\n", "a.yaml:1:13: tags such as \"!mine\" are not used here\n"
				    "  text: !mine a\n              ^\n"},
		{"? [a]\n: b\n", "a.yaml:1:3: a key must be text, not a list\n  ? [a]\n    ^\n"},
		{"? {a: b}\n: b\n", "a.yaml:1:3: a key must be text, not a map\n  ? {a: b}\n    ^\n"},
		{"text: a\nte\x01: b\n", "a.yaml:2:3: a control character (0x01) cannot stand here\n  te?: b\n    ^\n"},
		{"text: \"a\\0b\"\n", "a.yaml:1:7: a NUL byte cannot stand in text\n  text: \"a\\0b\"\n        ^\n"},
		{"yes: true\ntext: \xff\n", "a.yaml:2:7: this is not UTF-8\n  text: ?\n        ^\n"},
		{"text: \xed\xa0\x80\n", "a.yaml:1:7: this is not UTF-8\n  text: ???\n        ^\n"},
		{"text: a\ntext: b\n", "a.yaml:2:1: \"text\" stands here twice; first at a.yaml:1:1\n"
				       "  text: b\n  ^\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_messages(&sample_section, rows[i].text, rows[i].messages);
}

static void test_empty(void **state)
{
	static const char *const texts[] = {"", "\n", "# nothing\n", "---\n", "\xef\xbb\xbf", "{}", "---\n...\n"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct result result = load_text(&sample_section, texts[i]);
		assert_string_equal(result.messages, "");
		assert_int_equal(((struct sample *)result.root)->integer, 4);
		result_free(&result);
	}
}

static struct sample *sample_of(struct result *result)
{
	assert_string_equal(result->messages, "");
	assert_true(result->ok);
	return result->root;
}

static void test_aliases(void **state)
{
	struct result result = load_text(&sample_section, "section: &a {text: t, number: 2}\noptional: *a\n"
							  "list: [*a, &b {text: u}, *b]\nchoice: &c small\ntext: *c\n");
	struct sample *sample = sample_of(&result);
	assert_string_equal(sample->optional->text.text.data, "t");
	assert_int_equal(sample->optional->number, 2);
	assert_int_equal(sample->list.count, 3);
	assert_string_equal(((struct sample_section *)sample->list.items)[2].text.text.data, "u");
	assert_string_equal(sample->text.text.data, "small");
	result_free(&result);

	// An anchor can be set anew.
	result = load_text(&sample_section, "texts: [&a one, *a, &a two, *a]\n");
	sample = sample_of(&result);
	assert_string_equal(sample->texts.items[1].text.data, "one");
	assert_string_equal(sample->texts.items[3].text.data, "two");
	result_free(&result);

	assert_messages(&sample_section, "text: *none\n",
			"a.yaml:1:7: no anchor &none stands above this alias\n  text: *none\n        ^\n");
	assert_messages(&sample_section, "list: &a [*a]\n",
			"a.yaml:1:11: the alias *a stands in what it stands for\n  list: &a [*a]\n            ^\n");
}

static void test_merge(void **state)
{
	struct result result = load_text(&sample_section, "x-a: &a {text: from a, number: 1}\nx-b: &b {number: 2}\n"
							  "section: {<<: *a, text: own}\noptional: {<<: [*b, *a]}\n"
							  "list:\n- <<: {text: in place}\n");
	struct sample *sample = sample_of(&result);
	assert_string_equal(sample->section.text.text.data, "own");
	assert_int_equal(sample->section.number, 1);
	assert_string_equal(sample->optional->text.text.data, "from a");
	assert_int_equal(sample->optional->number, 2);
	assert_string_equal(((struct sample_section *)sample->list.items)->text.text.data, "in place");
	result_free(&result);

	assert_messages(&sample_section, "section: {<<: a}\n",
			"a.yaml:1:15: expected a map or a list of maps for \"<<\", not text\n"
			"  section: {<<: a}\n                ^\n");
	assert_messages(&sample_section, "section: {<<: [{}, a]}\n",
			"a.yaml:1:15: expected a map or a list of maps for \"<<\", not such a list\n"
			"  section: {<<: [{}, a]}\n                ^\n");
	// In quotes it is a key like any other.
	assert_messages(&sample_section, "section: {\"<<\": {}}\n",
			"a.yaml:1:11: unknown key \"<<\"; known here: text or number\n"
			"  section: {\"<<\": {}}\n            ^\n");
}

// Few lines that stand for more than memory holds: read, but not followed.
static void test_laughs(void **state)
{
	char buffer[2000];
	struct text text;
	text_init(&text, buffer, sizeof buffer);
	text_add_string(&text, "x-0: &a0 {a: {}, b: {}, c: {}, d: {}, e: {}, f: {}, g: {}, h: {}}\n");
	for (int i = 1; i < 9; i++) {
		text_printf(&text, "x-%d: &a%d {", i, i);
		for (int j = 0; j < 8; j++)
			text_printf(&text, "%s%c: *a%d", j == 0 ? "" : ", ", 'a' + j, i - 1);
		text_add_string(&text, "}\n");
	}
	size_t length = text.length;
	text_add_char(&text, '\0');
	struct result result = load_text(&sample_section, buffer);
	assert_string_equal(result.messages, "");
	assert_true(result.ok);
	result_free(&result);

	// Joined with itself, each of its 8^9 entries would meet its double.
	result = load_files(&sample_section,
			    (struct test_file[]){{"a.yaml", "include: [b, c]"}, {"b", buffer}, {"c", buffer}, {0}},
			    NULL);
	assert_false(result.ok);
	assert_non_null(strstr(result.messages, "aliases repeat more than 500000 values\n"));
	result_free(&result);

	text.length = length;
	text_add_string(&text, "list: *a8\n");
	text_add_char(&text, '\0');
	result = load_text(&sample_section, buffer);
	assert_non_null(strstr(result.messages, "unknown key \"a\""));
	result_free(&result);
}

// A list of `count` aliases.
static struct result load_aliases(unsigned count)
{
	size_t size = 3 * (size_t)count + 100;
	char *buffer = malloc(size);
	assert_non_null(buffer);
	struct text text;
	text_init(&text, buffer, size);
	text_add_string(&text, "texts: [&a x");
	for (unsigned i = 0; i < count; i++)
		text_add_string(&text, ",*a");
	text_add_char(&text, ']');
	text_add_char(&text, '\0');
	assert_false(text.overflow);
	struct result result = load_text(&sample_section, buffer);
	free(buffer);
	return result;
}

static void test_repeats(void **state)
{
	struct result result = load_aliases(500000);
	assert_true(result.ok);
	assert_int_equal(((struct sample *)result.root)->texts.count, 500001);
	result_free(&result);
	result = load_aliases(500001);
	assert_false(result.ok);
	static const char expected[] = "a.yaml:1:12: aliases repeat more than 500000 values\n";
	assert_memory_equal(result.messages, expected, strlen(expected));
	result_free(&result);
}

static void test_nesting(void **state)
{
	char text[400] = "x-a: ";
	memset(text + 5, '[', 64);
	memset(text + 5 + 64, ']', 64);
	struct result result = load_text(&sample_section, text);
	assert_false(result.ok);
	assert_non_null(strstr(result.messages, "a.yaml:1:69: lists and maps are nested more than 64 deep\n"));
	result_free(&result);
	memset(text + 5, '[', 63);
	memset(text + 5 + 63, ']', 63);
	text[5 + 63 + 63] = '\0';
	result = load_text(&sample_section, text);
	assert_true(result.ok);
	result_free(&result);
	// Deep enough to break what is careless with its stack.
	char *deep = malloc(1 << 20);
	assert_non_null(deep);
	memset(deep, '[', 1 << 20);
	deep[(1 << 20) - 1] = '\0';
	result = load_text(&sample_section, deep);
	assert_false(result.ok);
	result_free(&result);
	free(deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_syntax),	cmocka_unit_test(test_empty),  cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_merge),	cmocka_unit_test(test_laughs), cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_nesting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
