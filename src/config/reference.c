#include "config/reference.h"

#include "config/tables.h"
#include "config/value.h"

#include <inttypes.h>
#include <string.h>

// In a cell of a table: what has a meaning in Markdown or ends the cell is escaped; between
// backquotes only the bar is.
static void print_cell(FILE *to, const char *text)
{
	bool is_code = false;
	for (; *text != '\0'; text++) {
		if (*text == '`')
			is_code = !is_code;
		if (*text == '|' || (!is_code && strchr("*_<>[]", *text) != NULL))
			fputc('\\', to);
		fputc(*text == '\n' ? ' ' : *text, to);
	}
}

// The anchor that GitHub gives a heading: lower case, blanks to dashes, no punctuation.
static void print_anchor(FILE *to, const char *heading)
{
	for (; *heading != '\0'; heading++) {
		char c = ascii_lower(*heading);
		bool is_kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
		if (is_kept || c == ' ')
			fputc(c == ' ' ? '-' : c, to);
	}
}

static void print_link(FILE *to, const struct config_section *section)
{
	fputc('[', to);
	print_cell(to, section->name);
	fputs("](#", to);
	print_anchor(to, section->name);
	fputc(')', to);
}

static void print_bounds(FILE *to, const struct config_key *key)
{
	char min[40], max[40];
	const struct value_unit *units = key->kind == CONFIG_DURATION ? value_duration_units : value_size_units;
	if (key->kind == CONFIG_INTEGER) {
		snprintf(min, sizeof min, "%" PRId64, key->min);
		snprintf(max, sizeof max, "%" PRId64, key->max);
	} else {
		value_format(units, key->min, min, sizeof min);
		value_format(units, key->max, max, sizeof max);
	}
	if (key->max != 0)
		fprintf(to, ", %s to %s", min, max);
	else if (key->min != 0)
		fprintf(to, ", at least %s", min);
	if (value_may_be_off(key))
		fputs(", or `off`", to);
}

static void print_choices(FILE *to, const struct config_key *key)
{
	for (size_t i = 0; key->choices[i] != NULL; i++)
		fprintf(to, "%s`%s`", i == 0 ? "" : key->choices[i + 1] == NULL ? " or " : ", ", key->choices[i]);
}

static void print_type(FILE *to, const struct config_key *key)
{
	switch (key->kind) {
	case CONFIG_BOOL:
		fputs("`true` or `false`", to);
		break;
	case CONFIG_INTEGER:
		fputs("number", to);
		print_bounds(to, key);
		break;
	case CONFIG_DURATION:
		fputs("duration", to);
		print_bounds(to, key);
		break;
	case CONFIG_SIZE:
		fputs("size", to);
		print_bounds(to, key);
		break;
	case CONFIG_TEXT:
		print_cell(to, key->form != NULL ? key->form : "text");
		break;
	case CONFIG_CHOICE:
		print_choices(to, key);
		break;
	case CONFIG_TEXTS:
		print_cell(to, key->form != NULL ? key->form : "text");
		fputs("; or a list", to);
		break;
	case CONFIG_PAIRS:
		print_cell(to, key->form != NULL ? key->form : "map of names and texts");
		break;
	case CONFIG_FILE:
		print_cell(to, key->form != NULL ? key->form : "file");
		break;
	case CONFIG_SECTION:
	case CONFIG_OPTIONAL:
		print_link(to, key->section);
		break;
	case CONFIG_LIST:
		fputs("list of ", to);
		print_link(to, key->section);
		break;
	case CONFIG_NAMED:
		fputs("map from names to ", to);
		print_link(to, key->section);
		break;
	}
}

static void print_key(FILE *to, const struct config_key *key)
{
	fprintf(to, "| `%s` | ", key->name);
	print_type(to, key);
	fputs(" | ", to);
	if (key->required)
		fputs("required", to);
	else if (key->standard != NULL)
		fprintf(to, "`%s`", key->standard);
	fputs(" | ", to);
	print_cell(to, key->help != NULL ? key->help : "");
	fputs(" |\n", to);
}

static void print_section(FILE *to, const struct config_section *section)
{
	fprintf(to, "\n## %s\n\n", section->name);
	if (section->help != NULL)
		fprintf(to, "%s\n\n", section->help);
	if (section->shorthand != NULL)
		fprintf(to, "Written without a map, it stands for `%s`.\n\n", section->shorthand);
	fputs("| Key | Type | Default | Meaning |\n|---|---|---|---|\n", to);
	const struct config_key *key;
	for (size_t i = 0; (key = section_key(section, i)) != NULL; i++)
		print_key(to, key);
}

static const char introduction[] =
	"# Configuration\n\n"
	"A configuration is a YAML file. Paths in it are relative to the file that they stand in.\n\n"
	"- **Durations** are a whole number with a unit: `250ms`, `10s`, `1m`, `2h`, `1d` (also `us` and `ns`).\n"
	"- **Sizes** are bytes, or have a unit: `512`, `64KiB`, `10MB`, `1GiB`.\n"
	"- `${NAME}` in a value is put in from the environment; `${NAME:-text}` has a default for when the variable "
	"is\n"
	"  not set or empty; `$${` stands for `${` itself.\n"
	"- `include:` at the top takes a file, a pattern such as `sites/*.yaml`, or a list of them: their maps are\n"
	"  merged with this one, their lists put behind those that are here. An item `include: ...` in a list stands\n"
	"  for what the files hold.\n"
	"- Where a list is due, one item may stand without the list.\n"
	"- Anchors, aliases and the merge key `<<` work. Keys at the top that begin with `x-` are passed over: a "
	"place\n"
	"  for anchors.\n";

void reference_print(FILE *to, const struct config_section *root)
{
	struct section_list sections;
	section_list_collect(&sections, root);
	fputs(introduction, to);
	for (size_t i = 0; i < sections.count; i++)
		print_section(to, sections.items[i]);
}
