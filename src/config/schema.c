#include "config/schema.h"

#include "config/json_writer.h"
#include "config/tables.h"
#include "config/value.h"

#include <string.h>

// Where a section's schema stands: "#" for the root.
static void section_reference(struct json_writer *json, const struct section_list *sections,
			      const struct config_section *section);
static void section_reference_member(struct json_writer *json, const struct section_list *sections,
				     const struct config_section *section);

// --- Values

// In place of any value: ${NAME}.
static void add_variable(struct json_writer *json)
{
	json_write_open(json, '{');
	json_write_member(json, "$ref", "#/$defs/variable");
	json_write_close(json, '}');
}

// What YAML reads as a truth value or a number is text all the same where text is due.
static void add_text(struct json_writer *json, const char *pattern)
{
	json_write_open(json, '{');
	json_write_name(json, "type");
	json_write_open(json, '[');
	json_write_string(json, "string");
	json_write_string(json, "number");
	json_write_string(json, "boolean");
	json_write_close(json, ']');
	if (pattern != NULL)
		json_write_member(json, "pattern", pattern);
	json_write_close(json, '}');
	if (pattern != NULL)
		add_variable(json);
}

// Opens {"anyOf": [ for what can be written in several ways.
static void open_choice(struct json_writer *json)
{
	json_write_open(json, '{');
	json_write_name(json, "anyOf");
	json_write_open(json, '[');
}

static void close_choice(struct json_writer *json)
{
	json_write_close(json, ']');
	json_write_close(json, '}');
}

// One text, or a list of them.
static void add_texts(struct json_writer *json, const char *pattern)
{
	add_text(json, pattern);
	json_write_open(json, '{');
	json_write_member(json, "type", "array");
	json_write_name(json, "items");
	open_choice(json);
	add_text(json, pattern);
	close_choice(json);
	json_write_close(json, '}');
}

static void add_bool(struct json_writer *json)
{
	static const char *const words[] = {"true", "false", "yes", "no", "on", "off"};
	json_write_open(json, '{');
	json_write_member(json, "type", "boolean");
	json_write_close(json, '}');
	json_write_open(json, '{');
	json_write_name(json, "enum");
	json_write_open(json, '[');
	for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
		json_write_string(json, words[i]);
	json_write_close(json, ']');
	json_write_close(json, '}');
	add_variable(json);
}

static void add_integer(struct json_writer *json, const struct config_key *key)
{
	json_write_open(json, '{');
	json_write_member(json, "type", "integer");
	json_write_member_integer(json, "minimum", key->min);
	if (key->max != 0)
		json_write_member_integer(json, "maximum", key->max);
	json_write_close(json, '}');
	add_variable(json);
}

// "^([0-9]+(ms|s|m)|off)$". Bounds are left to the program.
static void add_with_unit(struct json_writer *json, const struct config_key *key, const struct value_unit *units)
{
	char pattern[128] = "^([0-9]+(";
	bool may_be_off = value_may_be_off(key);
	for (const struct value_unit *unit = units; unit->name != NULL; unit++) {
		size_t length = strlen(pattern);
		snprintf(pattern + length, sizeof pattern - length, "%s%s", unit == units ? "" : "|", unit->name);
	}
	size_t length = strlen(pattern);
	snprintf(pattern + length, sizeof pattern - length, ")|0%s)$", may_be_off ? "|off" : "");
	json_write_open(json, '{');
	json_write_member(json, "type", "string");
	json_write_member(json, "pattern", pattern);
	json_write_close(json, '}');
	json_write_open(json, '{');
	if (key->kind == CONFIG_SIZE) {
		json_write_member(json, "type", "integer");
		json_write_member_integer(json, "minimum", key->min);
	} else {
		json_write_member_integer(json, "const", 0);
	}
	json_write_close(json, '}');
	if (may_be_off) {
		json_write_open(json, '{'); // what YAML 1.1 makes of "off"
		json_write_member_bool(json, "const", false);
		json_write_close(json, '}');
	}
	add_variable(json);
}

static void add_choice(struct json_writer *json, const struct config_key *key)
{
	json_write_open(json, '{');
	json_write_name(json, "enum");
	json_write_open(json, '[');
	bool has_off = false, has_on = false;
	for (size_t i = 0; key->choices[i] != NULL; i++) {
		uint64_t number;
		json_write_string(json, key->choices[i]);
		// Without quotes YAML makes a number of it.
		if (slice_to_number(slice_from_string(key->choices[i]), &number) && number <= INT64_MAX)
			json_write_integer(json, (int64_t)number);
		has_off = has_off || strcmp(key->choices[i], "off") == 0 || strcmp(key->choices[i], "false") == 0;
		has_on = has_on || strcmp(key->choices[i], "on") == 0 || strcmp(key->choices[i], "true") == 0;
	}
	if (has_off)
		json_write_bool(json, false);
	if (has_on)
		json_write_bool(json, true);
	json_write_close(json, ']');
	json_write_close(json, '}');
	add_variable(json);
}

static void add_pairs(struct json_writer *json, const struct config_key *key)
{
	json_write_open(json, '{');
	json_write_member(json, "type", "object");
	json_write_name(json, "additionalProperties");
	open_choice(json);
	add_texts(json, key->pattern);
	close_choice(json);
	json_write_close(json, '}');
}

// A list; one item may stand for it, and an item may be an include.
static void add_list(struct json_writer *json, const struct section_list *sections, const struct config_key *key)
{
	json_write_open(json, '{');
	json_write_member(json, "type", "array");
	json_write_name(json, "items");
	open_choice(json);
	section_reference(json, sections, key->section);
	json_write_open(json, '{');
	json_write_member(json, "$ref", "#/$defs/include");
	json_write_close(json, '}');
	close_choice(json);
	json_write_close(json, '}');
	section_reference(json, sections, key->section);
	json_write_open(json, '{');
	json_write_member(json, "$ref", "#/$defs/include");
	json_write_close(json, '}');
}

static void add_named(struct json_writer *json, const struct section_list *sections, const struct config_key *key)
{
	json_write_open(json, '{');
	json_write_member(json, "type", "object");
	json_write_name(json, "additionalProperties");
	section_reference(json, sections, key->section);
	json_write_close(json, '}');
}

// The ways in which the key's value can be written.
static void add_forms(struct json_writer *json, const struct section_list *sections, const struct config_key *key)
{
	switch (key->kind) {
	case CONFIG_BOOL:
		return add_bool(json);
	case CONFIG_INTEGER:
		return add_integer(json, key);
	case CONFIG_DURATION:
		return add_with_unit(json, key, value_duration_units);
	case CONFIG_SIZE:
		return add_with_unit(json, key, value_size_units);
	case CONFIG_TEXT:
	case CONFIG_FILE:
		return add_text(json, key->pattern);
	case CONFIG_CHOICE:
		return add_choice(json, key);
	case CONFIG_TEXTS:
		return add_texts(json, key->pattern);
	case CONFIG_PAIRS:
		return add_pairs(json, key);
	case CONFIG_SECTION:
	case CONFIG_OPTIONAL:
		return section_reference(json, sections, key->section);
	case CONFIG_LIST:
		return add_list(json, sections, key);
	case CONFIG_NAMED:
		return add_named(json, sections, key);
	}
}

static void add_default(struct json_writer *json, const struct config_key *key)
{
	int64_t number;
	bool truth;
	struct slice standard = slice_from_string(key->standard);
	if (key->standard[0] == '[' || key->standard[0] == '{')
		return; // the reference has it
	json_write_name(json, "default");
	if (key->kind == CONFIG_INTEGER && value_integer(key, standard, &number))
		json_write_integer(json, number);
	else if (key->kind == CONFIG_BOOL && value_bool(standard, &truth))
		json_write_bool(json, truth);
	else
		json_write_string(json, key->standard);
}

static void add_key(struct json_writer *json, const struct section_list *sections, const struct config_key *key)
{
	json_write_name(json, key->name);
	json_write_open(json, '{');
	if (key->help != NULL)
		json_write_member(json, "description", key->help);
	if (key->standard != NULL)
		add_default(json, key);
	if (key->kind == CONFIG_SECTION || key->kind == CONFIG_OPTIONAL) {
		// One form only: editors explain best what they need not choose.
		section_reference_member(json, sections, key->section);
	} else {
		json_write_name(json, "anyOf");
		json_write_open(json, '[');
		add_forms(json, sections, key);
		json_write_close(json, ']');
	}
	json_write_close(json, '}');
}

// --- Sections

// Names with anything but letters, digits, dots and dashes would need escapes in "$ref".
static void section_name(const struct section_list *sections, const struct config_section *section, char *buffer,
			 size_t size)
{
	unsigned before = 0;
	for (size_t i = 0; sections->items[i] != section; i++)
		before += strcmp(sections->items[i]->name, section->name) == 0;
	int length = before == 0 ? snprintf(buffer, size, "%s", section->name)
				 : snprintf(buffer, size, "%s-%u", section->name, before + 1);
	for (int i = 0; i < length && (size_t)i < size - 1; i++) {
		char c = ascii_lower(buffer[i]);
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("._-", c) != NULL))
			buffer[i] = '_';
	}
}

static void section_reference_member(struct json_writer *json, const struct section_list *sections,
				     const struct config_section *section)
{
	char name[100], reference[128] = "#";
	if (section != sections->items[0]) {
		section_name(sections, section, name, sizeof name);
		snprintf(reference, sizeof reference, "#/$defs/%s", name);
	}
	json_write_member(json, "$ref", reference);
}

static void section_reference(struct json_writer *json, const struct section_list *sections,
			      const struct config_section *section)
{
	json_write_open(json, '{');
	section_reference_member(json, sections, section);
	json_write_close(json, '}');
}

static void add_properties(struct json_writer *json, const struct section_list *sections,
			   const struct config_section *section)
{
	bool is_root = section == sections->items[0];
	bool needs_some = false;
	const struct config_key *key;
	json_write_member(json, "type", "object");
	json_write_name(json, "properties");
	json_write_open(json, '{');
	for (size_t i = 0; (key = section_key(section, i)) != NULL; i++) {
		add_key(json, sections, key);
		needs_some = needs_some || key->required;
	}
	if (is_root) {
		json_write_name(json, "include");
		json_write_open(json, '{');
		json_write_member(json, "$ref", "#/$defs/include/properties/include");
		json_write_close(json, '}');
	}
	json_write_close(json, '}');
	if (is_root) {
		json_write_name(json, "patternProperties");
		json_write_open(json, '{');
		json_write_member_bool(json, "^x-", true);
		json_write_close(json, '}');
	}
	// What the root needs may stand in an included file.
	if (needs_some && !is_root) {
		json_write_name(json, "required");
		json_write_open(json, '[');
		for (size_t i = 0; (key = section_key(section, i)) != NULL; i++) {
			if (key->required)
				json_write_string(json, key->name);
		}
		json_write_close(json, ']');
	}
	json_write_member_bool(json, "additionalProperties", false);
}

static void add_section(struct json_writer *json, const struct section_list *sections,
			const struct config_section *section)
{
	json_write_member(json, "title", section->name);
	if (section->help != NULL)
		json_write_member(json, "description", section->help);
	const struct config_key *shorthand = section_shorthand(section);
	if (shorthand == NULL) {
		add_properties(json, sections, section);
		return;
	}
	json_write_name(json, "anyOf");
	json_write_open(json, '[');
	json_write_open(json, '{');
	add_properties(json, sections, section);
	json_write_close(json, '}');
	add_forms(json, sections, shorthand);
	json_write_close(json, ']');
}

static void add_common_definitions(struct json_writer *json)
{
	json_write_name(json, "variable");
	json_write_open(json, '{');
	json_write_member(json, "description", "a value from the environment");
	json_write_member(json, "type", "string");
	json_write_member(json, "pattern", "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}");
	json_write_close(json, '}');
	json_write_name(json, "include");
	json_write_open(json, '{');
	json_write_member(json, "type", "object");
	json_write_name(json, "properties");
	json_write_open(json, '{');
	json_write_name(json, "include");
	json_write_open(json, '{');
	json_write_member(json, "description",
			  "a file or a pattern such as sites/*.yaml, or a list of them, whose content stands here");
	json_write_name(json, "anyOf");
	json_write_open(json, '[');
	add_texts(json, NULL);
	json_write_close(json, ']');
	json_write_close(json, '}');
	json_write_close(json, '}');
	json_write_name(json, "required");
	json_write_open(json, '[');
	json_write_string(json, "include");
	json_write_close(json, ']');
	json_write_member_bool(json, "additionalProperties", false);
	json_write_close(json, '}');
}

void schema_print(FILE *to, const struct config_section *root)
{
	struct json_writer json = {.to = to};
	struct section_list sections;
	section_list_collect(&sections, root);
	json_write_open(&json, '{');
	json_write_member(&json, "$schema", "https://json-schema.org/draft/2020-12/schema");
	add_section(&json, &sections, root);
	json_write_name(&json, "$defs");
	json_write_open(&json, '{');
	add_common_definitions(&json);
	for (size_t i = 1; i < sections.count; i++) {
		char name[100];
		section_name(&sections, sections.items[i], name, sizeof name);
		json_write_name(&json, name);
		json_write_open(&json, '{');
		add_section(&json, &sections, sections.items[i]);
		json_write_close(&json, '}');
	}
	json_write_close(&json, '}');
	json_write_close(&json, '}');
	fputc('\n', to);
}
