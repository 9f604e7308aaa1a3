#include "cache/directives.h"

#include "cache/structured.h"

#include <stddef.h>

static const struct cache_directives nothing_said = {
	.max_age = CACHE_ABSENT,
	.s_maxage = CACHE_ABSENT,
	.stale_while_revalidate = CACHE_ABSENT,
	.stale_if_error = CACHE_ABSENT,
	.min_fresh = CACHE_ABSENT,
	.max_stale = CACHE_ABSENT,
};

// --- One directive

static const struct {
	struct slice name;
	enum cache_directive flag;
} flags[] = {
	{{"no-store", 8}, CACHE_NO_STORE},
	{{"no-transform", 12}, CACHE_NO_TRANSFORM},
	{{"must-revalidate", 15}, CACHE_MUST_REVALIDATE},
	{{"proxy-revalidate", 16}, CACHE_PROXY_REVALIDATE},
	{{"must-understand", 15}, CACHE_MUST_UNDERSTAND},
	{{"public", 6}, CACHE_PUBLIC},
	{{"immutable", 9}, CACHE_IMMUTABLE},
	{{"only-if-cached", 14}, CACHE_ONLY_IF_CACHED},
};

static const struct {
	struct slice name;
	size_t offset;
	bool more_is_stricter; // of two values the larger one counts
} durations[] = {
	{{"max-age", 7}, offsetof(struct cache_directives, max_age), false},
	{{"s-maxage", 8}, offsetof(struct cache_directives, s_maxage), false},
	{{"stale-while-revalidate", 22}, offsetof(struct cache_directives, stale_while_revalidate), false},
	{{"stale-if-error", 14}, offsetof(struct cache_directives, stale_if_error), false},
	{{"min-fresh", 9}, offsetof(struct cache_directives, min_fresh), true},
};

enum { FLAGS = sizeof flags / sizeof flags[0], DURATIONS = sizeof durations / sizeof durations[0] };

static bool set_flag(struct cache_directives *directives, struct slice name)
{
	for (unsigned i = 0; i < FLAGS; i++)
		if (slice_equal_nocase(name, flags[i].name)) {
			directives->flags |= flags[i].flag;
			return true;
		}
	return false;
}

static void keep_stricter(int64_t *seconds, int64_t given, bool more_is_stricter)
{
	bool stricter = more_is_stricter ? given > *seconds : given < *seconds;
	if (*seconds == CACHE_ABSENT || stricter)
		*seconds = given;
}

static bool set_duration(struct cache_directives *directives, struct slice name, int64_t seconds)
{
	for (unsigned i = 0; i < DURATIONS; i++)
		if (slice_equal_nocase(name, durations[i].name)) {
			int64_t *at = (int64_t *)((char *)directives + durations[i].offset);
			keep_stricter(at, seconds, durations[i].more_is_stricter);
			return true;
		}
	return false;
}

// --- Cache-Control

// RFC 9111 section 1.2.2; what is no number makes a response stale (section 4.2.1).
static int64_t seconds_of(struct slice argument)
{
	int64_t seconds = 0;
	if (argument.length == 0)
		return 0;
	for (size_t i = 0; i < argument.length; i++) {
		if (argument.data[i] < '0' || argument.data[i] > '9')
			return 0;
		seconds = seconds * 10 + (argument.data[i] - '0');
		if (seconds > CACHE_SECONDS_MAX)
			seconds = CACHE_SECONDS_MAX;
	}
	return seconds;
}

struct directive {
	struct slice name, argument; // without quotes; .argument.data NULL: it has none
};

// Up to the quote that ends the string; what is quoted by a backslash is part of it.
static size_t quoted_length(struct slice text)
{
	size_t length = 0;
	while (length < text.length && text.data[length] != '"')
		length += text.data[length] == '\\' && length + 1 < text.length ? 2 : 1;
	return length;
}

static void take_argument(struct slice *rest, struct directive *directive)
{
	size_t length;
	if (rest->length > 0 && rest->data[0] == '"') {
		*rest = slice_after(*rest, 1);
		length = quoted_length(*rest);
		directive->argument = slice_first(*rest, length);
		*rest = slice_after(*rest, length + 1);
		return;
	}
	length = slice_find(*rest, ',');
	directive->argument = slice_trim(slice_first(*rest, length));
	if (!directive->argument.data)
		directive->argument = slice_from("", 0);
	*rest = slice_after(*rest, length);
}

// Takes the next directive off the front of a field's value. What stands behind an argument, up to the
// comma, is passed over.
static bool next_directive(struct slice *rest, struct directive *ret_directive)
{
	while (rest->length > 0) {
		size_t length = 0;
		while (length < rest->length && rest->data[length] != ',' && rest->data[length] != '=')
			length++;
		*ret_directive = (struct directive){.name = slice_trim(slice_first(*rest, length))};
		bool has_argument = length < rest->length && rest->data[length] == '=';
		*rest = slice_after(*rest, has_argument ? length + 1 : length);
		if (has_argument)
			take_argument(rest, ret_directive);
		*rest = slice_after(*rest, slice_find(*rest, ',') + 1);
		if (ret_directive->name.length > 0)
			return true;
	}
	return false;
}

// With field names it concerns these alone; where it stands without, too, the names are of no use.
static void set_qualified(struct cache_directives *directives, const struct directive *directive,
			  enum cache_directive flag, struct slice *fields)
{
	struct slice names = directive->argument.data ? slice_trim(directive->argument) : SLICE_EMPTY;
	// Two lists of names cannot be told as one: the directive without names is stricter than both.
	if (names.length == 0 || fields->data)
		directives->flags |= flag;
	*fields = directives->flags & flag ? SLICE_EMPTY : names;
}

static void set_max_stale(struct cache_directives *directives, const struct directive *directive)
{
	int64_t seconds = directive->argument.data ? seconds_of(directive->argument) : CACHE_SECONDS_MAX;
	directives->flags |= CACHE_MAX_STALE;
	keep_stricter(&directives->max_stale, seconds, false);
}

static void note(struct cache_directives *directives, const struct directive *directive)
{
	if (slice_equal_nocase(directive->name, SLICE("no-cache")))
		set_qualified(directives, directive, CACHE_NO_CACHE, &directives->no_cache_fields);
	else if (slice_equal_nocase(directive->name, SLICE("private")))
		set_qualified(directives, directive, CACHE_PRIVATE, &directives->private_fields);
	else if (slice_equal_nocase(directive->name, SLICE("max-stale")))
		set_max_stale(directives, directive);
	else if (!set_flag(directives, directive->name))
		(void)set_duration(directives, directive->name,
				   seconds_of(directive->argument.data ? directive->argument : SLICE_EMPTY));
}

static bool read_cache_control(const struct fields *fields, struct cache_directives *directives)
{
	bool found = false;
	for (uint32_t i = 0; i < fields->count; i++) {
		struct slice rest = fields->items[i].value;
		struct directive directive;
		if (fields->items[i].id != FIELD_CACHE_CONTROL)
			continue;
		found = true;
		while (next_directive(&rest, &directive))
			note(directives, &directive);
	}
	return found;
}

void cache_directives_of_request(const struct fields *fields, struct cache_directives *ret_directives)
{
	*ret_directives = nothing_said;
	if (read_cache_control(fields, ret_directives))
		return;
	struct slice rest = fields_value(fields, FIELD_PRAGMA);
	struct directive directive;
	while (next_directive(&rest, &directive))
		if (slice_equal_nocase(directive.name, SLICE("no-cache")))
			ret_directives->flags |= CACHE_NO_CACHE;
}

// --- CDN-Cache-Control

// RFC 9213 section 2.1: a value whose type is not the directive's leaves the directive out.
static void note_targeted(struct cache_directives *directives, const struct structured_member *member)
{
	bool is_true = member->kind == STRUCTURED_BOOLEAN && member->number == 1;
	if (member->kind == STRUCTURED_INTEGER) {
		int64_t seconds = member->number < 0		       ? 0
				  : member->number > CACHE_SECONDS_MAX ? CACHE_SECONDS_MAX
								       : member->number;
		(void)set_duration(directives, member->key, seconds);
		return;
	}
	if (!is_true)
		return;
	if (slice_equal(member->key, SLICE("no-cache")))
		directives->flags |= CACHE_NO_CACHE;
	else if (slice_equal(member->key, SLICE("private")))
		directives->flags |= CACHE_PRIVATE;
	else
		(void)set_flag(directives, member->key);
}

// Several lines are one list (RFC 8941 section 4.2); an empty or malformed one is none (RFC 9213 section
// 2.2).
static bool read_targeted(const struct fields *fields, struct cache_directives *directives)
{
	struct structured_member member;
	bool found = false;
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct field *field = &fields->items[i];
		if (!slice_equal_nocase(field->name, SLICE("CDN-Cache-Control")))
			continue;
		if (!structured_is_dictionary(field->value))
			return false;
		struct slice rest = field->value;
		while (structured_next(&rest, &member)) {
			found = true;
			note_targeted(directives, &member);
		}
	}
	return found;
}

// --- Surrogate-Control (W3C, Edge Architecture Specification, 2001, section 2.3)

// Whether the directive is for all or for usher: a parameter behind it names who is meant.
static bool is_meant(struct directive *directive)
{
	struct slice *last = directive->argument.data ? &directive->argument : &directive->name;
	struct slice target;
	return !slice_cut(*last, ';', last, &target) || slice_equal_nocase(slice_trim(target), SLICE("usher"));
}

// max-age=60+30: for 30 seconds more it may be used stale. True when the directive says something of storing.
static bool note_surrogate(struct cache_directives *directives, const struct directive *directive)
{
	struct slice fresh, stale;
	if (slice_equal_nocase(directive->name, SLICE("no-store")))
		return set_flag(directives, directive->name);
	if (!slice_equal_nocase(directive->name, SLICE("max-age")) || !directive->argument.data)
		return false;
	bool has_stale = slice_cut(directive->argument, '+', &fresh, &stale);
	keep_stricter(&directives->max_age, seconds_of(slice_trim(fresh)), false);
	if (has_stale)
		keep_stricter(&directives->stale_while_revalidate, seconds_of(slice_trim(stale)), false);
	return true;
}

static bool read_surrogate(const struct fields *fields, struct cache_directives *directives)
{
	bool found = false;
	for (uint32_t i = 0; i < fields->count; i++) {
		struct slice rest = fields->items[i].value;
		struct directive directive;
		if (!slice_equal_nocase(fields->items[i].name, SLICE("Surrogate-Control")))
			continue;
		while (next_directive(&rest, &directive))
			found = (is_meant(&directive) && note_surrogate(directives, &directive)) || found;
	}
	return found;
}

void cache_directives_of_response(const struct fields *fields, struct cache_directives *ret_directives)
{
	struct cache_directives targeted = nothing_said, surrogate = nothing_said;
	*ret_directives = nothing_said;
	if (read_targeted(fields, &targeted)) {
		*ret_directives = targeted;
		ret_directives->targeted = true;
	} else if (read_surrogate(fields, &surrogate)) {
		*ret_directives = surrogate;
		ret_directives->targeted = true;
	} else {
		(void)read_cache_control(fields, ret_directives);
	}
}

bool cache_names_field(struct slice names, struct slice name)
{
	struct slice rest = names, member;
	while (slice_next_member(&rest, &member))
		if (slice_equal_nocase(member, name))
			return true;
	return false;
}
