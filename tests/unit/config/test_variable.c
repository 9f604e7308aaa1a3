// Variables of the environment in values.
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct test_variable variables[] = {
	{"NAME", "value"}, {"EMPTY", ""}, {"NUMBER", "12"}, {"YAML", "[a, {b: c}] # ${NAME}\n- x"},
	{"_x9", "under"},  {0},
};

static struct result load_one(const char *text)
{
	return load_files(&sample_section, (struct test_file[]){{"a.yaml", text}, {0}}, variables);
}

static void test_values(void **state)
{
	static const struct {
		const char *written, *text;
	} rows[] = {
		{"${NAME}", "value"},
		{"a${NAME}b${NAME}", "avaluebvalue"},
		{"\"${NAME}\"", "value"},
		{"'${NAME}'", "value"},
		{"${_x9}", "under"},
		{"\"${NONE:-}\"", ""},
		{"${NONE:-other: $NAME}", "other: $NAME"},
		{"${EMPTY:-other}", "other"},
		{"\"${EMPTY}\"", ""},
		{"${NAME:-other}", "value"},
		{"${YAML}", "[a, {b: c}] # ${NAME}\n- x"},
		{"$${NAME}", "${NAME}"},
		{"$$${NAME}", "$${NAME}"},
		{"$${", "${"},
		{"$NAME $ $$", "$NAME $ $$"},
		{"$", "$"},
		{"a}b", "a}b"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[100];
		// A plain scalar with ": " would be a map.
		bool is_plain = strchr("\"'", rows[i].written[0]) == NULL;
		snprintf(text, sizeof text, is_plain ? "text: \"%s\"\n" : "text: %s\n", rows[i].written);
		struct result result = load_one(text);
		assert_string_equal(result.messages, "");
		struct sample *sample = result.root;
		assert_string_equal(sample->text.text.data, rows[i].text);
		result_free(&result);
	}
}

static void test_numbers(void **state)
{
	struct result result = load_one("integer: ${NUMBER}\nduration: ${NUMBER}s\nsize: \"${NUMBER}KiB\"\n"
					"texts: [\"${NUMBER}\", x]\npairs: {\"${NUMBER}\": \"${NUMBER}\"}\n");
	assert_string_equal(result.messages, "");
	struct sample *sample = result.root;
	assert_int_equal(sample->integer, 12);
	assert_int_equal(sample->duration, INT64_C(12000000000));
	assert_int_equal(sample->size, 12 * 1024);
	assert_string_equal(sample->texts.items[0].text.data, "12");
	// Names are left alone.
	assert_string_equal(sample->pairs.items[0].name.text.data, "${NUMBER}");
	assert_string_equal(sample->pairs.items[0].value.text.data, "12");
	result_free(&result);
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *messages;
	} rows[] = {
		{"integer: ${NONE}\n",
		 "a.yaml:1:10: the environment variable NONE is not set; ${NONE:-...} gives it a default\n"
		 "  integer: ${NONE}\n           ^\n"},
		{"text: ${NAME\n", "a.yaml:1:7: expected ${NAME} or ${NAME:-default}; $${ stands for ${ itself\n"
				   "  text: ${NAME\n        ^\n"},
		{"text: a${}\n", "a.yaml:1:7: expected ${NAME} or ${NAME:-default}; $${ stands for ${ itself\n"
				 "  text: a${}\n        ^\n"},
		{"text: ${1A}\n", "a.yaml:1:7: expected ${NAME} or ${NAME:-default}; $${ stands for ${ itself\n"
				  "  text: ${1A}\n        ^\n"},
		{"text: ${A:x}\n", "a.yaml:1:7: expected ${NAME} or ${NAME:-default}; $${ stands for ${ itself\n"
				   "  text: ${A:x}\n        ^\n"},
		// What the environment holds is not shown.
		{"integer: ${NAME}\n",
		 "a.yaml:1:10: expected a whole number from 1 to 64 for \"integer\", not \"${NAME}\"\n"
		 "  integer: ${NAME}\n           ^\n"},
		{"choice: ${NAME}\n",
		 "a.yaml:1:9: expected one of small, medium or large for \"choice\", not \"${NAME}\"\n"
		 "  choice: ${NAME}\n          ^\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct result result = load_one(rows[i].text);
		assert_string_equal(result.messages, rows[i].messages);
		result_free(&result);
	}
}

static void test_length(void **state)
{
	char *large = malloc((1 << 20) + 2);
	assert_non_null(large);
	memset(large, 'x', 1 << 20);
	large[1 << 20] = '\0';
	const struct test_variable one[] = {{"L", large}, {0}};
	struct result result = load_files(&sample_section, (struct test_file[]){{"a.yaml", "text: ${L}"}, {0}}, one);
	assert_true(result.ok);
	assert_int_equal(((struct sample *)result.root)->text.text.length, 1 << 20);
	result_free(&result);
	result = load_files(&sample_section, (struct test_file[]){{"a.yaml", "text: ${L}x"}, {0}}, one);
	assert_string_equal(result.messages,
			    "a.yaml:1:7: with its variables put in, this is longer than 1048576 bytes\n"
			    "  text: ${L}x\n        ^\n");
	result_free(&result);
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
