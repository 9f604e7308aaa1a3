// The JSON Schema and the reference, as far as text shows; that the schema is one, and takes
// what the program takes, tests/blackbox finds out with a validator.
#include "config/reference.h"
#include "config/schema.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *printed(void (*print)(FILE *to, const struct config_section *root), const struct config_section *root)
{
	char *text;
	size_t size;
	FILE *to = open_memstream(&text, &size);
	assert_non_null(to);
	print(to, root);
	fclose(to);
	return text;
}

struct pair {
	struct config_text text;
	int64_t time;
	int status;
};

static const char *const statuses[] = {"301", "off", "on", NULL};
static const struct config_section small_section;
static const struct config_key small_keys[] = {
	{"a \"text\"", CONFIG_TEXT, offsetof(struct pair, text), .help = "tab\there", .pattern = "^a\\b$",
	 .required = true},
	{"time", CONFIG_DURATION, offsetof(struct pair, time), "1s", .min = 5},
	{"again", CONFIG_OPTIONAL, .section = &small_section},
	{"status", CONFIG_CHOICE, offsetof(struct pair, status), .choices = statuses},
	{0},
};

static const struct config_section small_section = {
	.name = "small", .size = sizeof(struct pair), .keys = small_keys, .place_offset = CONFIG_NO_OFFSET};

static void test_whole_schema(void **state)
{
	char *schema = printed(schema_print, &small_section);
	static const char expected[] = "{\n"
				       "  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
				       "  \"title\": \"small\",\n"
				       "  \"type\": \"object\",\n"
				       "  \"properties\": {\n"
				       "    \"a \\\"text\\\"\": {\n"
				       "      \"description\": \"tab\\u0009here\",\n"
				       "      \"anyOf\": [\n"
				       "        {\n"
				       "          \"type\": [\n"
				       "            \"string\",\n"
				       "            \"number\",\n"
				       "            \"boolean\"\n"
				       "          ],\n"
				       "          \"pattern\": \"^a\\\\b$\"\n"
				       "        },\n"
				       "        {\n"
				       "          \"$ref\": \"#/$defs/variable\"\n"
				       "        }\n"
				       "      ]\n"
				       "    },\n"
				       "    \"time\": {\n"
				       "      \"default\": \"1s\",\n"
				       "      \"anyOf\": [\n"
				       "        {\n"
				       "          \"type\": \"string\",\n"
				       "          \"pattern\": \"^([0-9]+(ns|us|ms|s|m|h|d)|0)$\"\n"
				       "        },\n"
				       "        {\n"
				       "          \"const\": 0\n"
				       "        },\n"
				       "        {\n"
				       "          \"$ref\": \"#/$defs/variable\"\n"
				       "        }\n"
				       "      ]\n"
				       "    },\n"
				       "    \"again\": {\n"
				       "      \"$ref\": \"#\"\n"
				       "    },\n"
				       "    \"status\": {\n"
				       "      \"anyOf\": [\n"
				       "        {\n"
				       "          \"enum\": [\n"
				       "            \"301\",\n"
				       "            301,\n"
				       "            \"off\",\n"
				       "            \"on\",\n"
				       "            false,\n"
				       "            true\n"
				       "          ]\n"
				       "        },\n"
				       "        {\n"
				       "          \"$ref\": \"#/$defs/variable\"\n"
				       "        }\n"
				       "      ]\n"
				       "    },\n";
	assert_true(strlen(schema) > strlen(expected));
	assert_memory_equal(schema, expected, strlen(expected));
	free(schema);
}

// Brackets that fit, outside of strings.
static void assert_balanced(const char *json)
{
	char open[100];
	size_t depth = 0;
	bool in_string = false;
	for (; *json != '\0'; json++) {
		if (in_string && *json == '\\') {
			json++;
		} else if (*json == '"') {
			in_string = !in_string;
		} else if (!in_string && strchr("[{", *json) != NULL) {
			assert_true(depth < sizeof open);
			open[depth++] = *json == '[' ? ']' : '}';
		} else if (!in_string && strchr("]}", *json) != NULL) {
			assert_true(depth > 0);
			assert_int_equal(open[--depth], *json);
		}
	}
	assert_int_equal(depth, 0);
	assert_false(in_string);
}

static void test_every_kind(void **state)
{
	char *schema = printed(schema_print, &sample_section);
	assert_balanced(schema);
	static const char *const parts[] = {
		"\"inner\": {\n",
		"\"strict\": {\n",
		"\"$ref\": \"#/$defs/inner\"",
		"\"default\": true",
		"\"default\": 4",
		"\"default\": \"medium\"",
		"\"minimum\": 1,\n          \"maximum\": 64\n",
		"\"additionalProperties\": false",
		"\"^x-\": true",
		"\"extra_list\": {\n",
		"\"enum\": [\n            \"small\",\n            \"medium\",\n            \"large\"\n          ]",
		"\"required\": [\n        \"text\"\n      ]",
		"\"title\": \"inner\",\n      \"description\": \"A section in a section.\"",
	};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		assert_non_null(strstr(schema, parts[i]));
	free(schema);
}

static void test_reference(void **state)
{
	char *reference = printed(reference_print, &sample_section);
	static const char *const parts[] = {
		"# Configuration\n",
		"\n## sample\n\nOne of everything.\n\n| Key | Type | Default | Meaning |\n|---|---|---|---|\n"
		"| `yes` | `true` or `false` |  | a truth value |\n"
		"| `yes_by_default` | `true` or `false` | `true` | another \\| one |\n"
		"| `integer` | number, 1 to 64 | `4` | a number |\n"
		"| `duration` | duration, 1ms to 1d | `1m` | a time |\n"
		"| `size` | size, or `off` | `64KiB` | bytes |\n"
		"| `text` | text | `*` | a text |\n"
		"| `secret` | text |  | a secret |\n"
		"| `choice` | `small`, `medium` or `large` | `medium` | a choice |\n"
		"| `texts` | text; or a list | `[one, two]` | texts |\n"
		"| `pairs` | map of names and texts |  | pairs |\n"
		"| `file` | file |  | a file |\n"
		"| `section` | [inner](#inner) |  | a section |\n"
		"| `optional` | [inner](#inner) |  | a section or none |\n"
		"| `list` | list of [inner](#inner) |  | sections |\n"
		"| `named` | map from names to [strict](#strict) |  | sections by name |\n"
		"| `extra_optional` | [inner](#inner) |  | contributed |\n"
		"| `extra_text` | text |  | contributed |\n"
		"| `extra_list` | list of [inner](#inner) |  |  |\n"
		"| `extra_section` | [strict](#strict) |  |  |\n"
		"\n## inner\n\nA section in a section.\n\nWritten without a map, it stands for `text`.\n\n",
		"\n## strict\n\n| Key | Type | Default | Meaning |\n|---|---|---|---|\n"
		"| `text` | a text that matters | required |  |\n"
		"| `number` | number, -5 to 5 |  |  |\n",
	};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		assert_non_null(strstr(reference, parts[i]));
	free(reference);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_schema),
		cmocka_unit_test(test_every_kind),
		cmocka_unit_test(test_reference),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
