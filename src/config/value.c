#include "config/value.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>

const struct value_unit value_duration_units[] = {
	{"ns", 1},
	{"us", 1000},
	{"ms", 1000 * 1000},
	{"s", 1000 * 1000 * 1000},
	{"m", INT64_C(60) * 1000 * 1000 * 1000},
	{"h", INT64_C(3600) * 1000 * 1000 * 1000},
	{"d", INT64_C(86400) * 1000 * 1000 * 1000},
	{NULL, 0},
};

const struct value_unit value_size_units[] = {
	{"", 1},
	{"B", 1},
	{"kB", 1000},
	{"KB", 1000},
	{"KiB", 1 << 10},
	{"MB", 1000 * 1000},
	{"MiB", 1 << 20},
	{"GB", 1000 * 1000 * 1000},
	{"GiB", 1 << 30},
	{"TB", INT64_C(1000) * 1000 * 1000 * 1000},
	{"TiB", INT64_C(1) << 40},
	{NULL, 0},
};

bool value_bool(struct slice text, bool *ret_value)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
	for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
		if (slice_equal(text, slice_from_string(words[i]))) {
			*ret_value = i % 2 == 1;
			return true;
		}
	}
	return false;
}

static bool in_bounds(const struct config_key *key, int64_t value)
{
	return value >= key->min && (key->max == 0 || value <= key->max);
}

bool value_integer(const struct config_key *key, struct slice text, int64_t *ret_value)
{
	bool is_negative = text.length > 0 && text.data[0] == '-';
	uint64_t number;
	if (!slice_to_number(is_negative ? slice_after(text, 1) : text, &number) || number > INT64_MAX)
		return false;
	int64_t value = is_negative ? -(int64_t)number : (int64_t)number;
	if (!in_bounds(key, value))
		return false;
	*ret_value = value;
	return true;
}

bool value_may_be_off(const struct config_key *key)
{
	return (key->kind == CONFIG_DURATION || key->kind == CONFIG_SIZE) && key->min <= 0;
}

// A number and one of the units, or 0, or "off" where that is allowed.
static bool value_with_unit(const struct config_key *key, const struct value_unit *units, struct slice text,
			    int64_t *ret_value)
{
	int64_t value = 0;
	if (!slice_equal(text, SLICE("0")) && !(value_may_be_off(key) && slice_equal(text, SLICE("off")))) {
		size_t digits = 0;
		while (digits < text.length && text.data[digits] >= '0' && text.data[digits] <= '9')
			digits++;
		struct slice name = slice_after(text, digits);
		const struct value_unit *unit = units;
		while (unit->name != NULL && !slice_equal(name, slice_from_string(unit->name)))
			unit++;
		uint64_t number;
		if (unit->name == NULL || !slice_to_number(slice_first(text, digits), &number))
			return false;
		if (number > INT64_MAX || __builtin_mul_overflow((int64_t)number, unit->factor, &value))
			return false;
	}
	if (!in_bounds(key, value))
		return false;
	*ret_value = value;
	return true;
}

bool value_duration(const struct config_key *key, struct slice text, int64_t *ret_value)
{
	return value_with_unit(key, value_duration_units, text, ret_value);
}

bool value_size(const struct config_key *key, struct slice text, int64_t *ret_value)
{
	return value_with_unit(key, value_size_units, text, ret_value);
}

bool value_choice(const struct config_key *key, struct slice text, int *ret_value)
{
	for (int i = 0; key->choices[i] != NULL; i++) {
		if (slice_equal(text, slice_from_string(key->choices[i]))) {
			*ret_value = i;
			return true;
		}
	}
	return false;
}

void value_format(const struct value_unit *units, int64_t value, char *buffer, size_t size)
{
	const struct value_unit *best = &units[0];
	for (const struct value_unit *unit = units; unit->name != NULL && value != 0; unit++) {
		if (value % unit->factor == 0 && unit->factor > best->factor)
			best = unit;
	}
	snprintf(buffer, size, "%" PRId64 "%s", value / best->factor, value == 0 ? "" : best->name);
}

// A bound in the unit of its key.
static void format_bound(const struct config_key *key, int64_t value, char *buffer, size_t size)
{
	if (key->kind == CONFIG_DURATION)
		value_format(value_duration_units, value, buffer, size);
	else if (key->kind == CONFIG_SIZE)
		value_format(value_size_units, value, buffer, size);
	else
		snprintf(buffer, size, "%" PRId64, value);
}

static void expected_bounds(const struct config_key *key, struct text *expected)
{
	char min[40], max[40];
	format_bound(key, key->min, min, sizeof min);
	format_bound(key, key->max, max, sizeof max);
	bool off = value_may_be_off(key);
	// "At least 0" goes without saying.
	if (key->max != 0 && key->min == 0 && off)
		text_printf(expected, ", at most %s", max);
	else if (key->max != 0)
		text_printf(expected, "%s from %s to %s", key->kind == CONFIG_INTEGER ? "" : ",", min, max);
	else if (key->min != 0)
		text_printf(expected, ", at least %s", min);
	if (off)
		text_add_string(expected, " (or off)");
}

static const char *expected_kind(const struct config_key *key)
{
	if (key->form != NULL)
		return key->form;
	switch (key->kind) {
	case CONFIG_BOOL:
		return "true or false";
	case CONFIG_INTEGER:
		return "a whole number";
	case CONFIG_DURATION:
		return "a duration such as 250ms, 10s or 1m";
	case CONFIG_SIZE:
		return "a size such as 512, 64KiB or 10MB";
	case CONFIG_TEXT:
		return "text";
	case CONFIG_CHOICE:
		return "one of ";
	case CONFIG_TEXTS:
		return "text or a list of texts";
	case CONFIG_PAIRS:
		return "a map of names and texts";
	case CONFIG_FILE:
		return "the name of a file";
	case CONFIG_SECTION:
	case CONFIG_OPTIONAL:
		return "a map";
	case CONFIG_LIST:
		return "a list";
	case CONFIG_NAMED:
		return "a map from names";
	}
	__builtin_unreachable();
}

void value_expected(const struct config_key *key, char *buffer, size_t size)
{
	struct text expected;
	text_init(&expected, buffer, size - 1);
	text_add_string(&expected, expected_kind(key));
	bool is_number = key->kind == CONFIG_INTEGER || key->kind == CONFIG_DURATION || key->kind == CONFIG_SIZE;
	if (is_number && key->form == NULL)
		expected_bounds(key, &expected);
	for (int i = 0; key->kind == CONFIG_CHOICE && key->form == NULL && key->choices[i] != NULL; i++)
		text_printf(&expected, "%s%s",
			    i == 0			  ? ""
			    : key->choices[i + 1] == NULL ? " or "
							  : ", ",
			    key->choices[i]);
	buffer[expected.length] = '\0';
}
