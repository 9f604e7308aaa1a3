#include "cache/vary.h"

// Compares the list of all values, as it was put together when the object was made.
static bool is_combined(const struct fields *fields, const struct field *stored)
{
	struct slice rest = stored->value;
	bool found = false;
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct field *field = &fields->items[i];
		if (!cache_vary_has(field, stored->name))
			continue;
		if (found && !slice_starts_with(rest, SLICE(", ")))
			return false;
		rest = slice_after(rest, found ? 2 : 0);
		if (!slice_starts_with(rest, field->value))
			return false;
		rest = slice_after(rest, field->value.length);
		found = true;
	}
	return found == (stored->value.data != NULL) && rest.length == 0;
}

// Lists whose members are words and weights: blanks and case do not count in them, nor how they are spread over fields.
static bool is_list(enum field_id id)
{
	return id == FIELD_ACCEPT || id == FIELD_ACCEPT_ENCODING || id == FIELD_ACCEPT_LANGUAGE;
}

static bool next_char(struct slice *rest, char *ret_char)
{
	while (rest->length > 0 && (rest->data[0] == ' ' || rest->data[0] == '\t'))
		*rest = slice_after(*rest, 1);
	*ret_char = rest->length > 0 ? ascii_lower(rest->data[0]) : '\0';
	*rest = slice_after(*rest, 1);
	return *ret_char != '\0';
}

static bool is_same_member(struct slice a, struct slice b)
{
	char in_a, in_b;
	bool more;
	do {
		more = next_char(&a, &in_a);
		(void)next_char(&b, &in_b);
	} while (more && in_a == in_b);
	return in_a == in_b;
}

static bool next_list_member(const struct fields *fields, struct slice name, uint32_t *at, struct slice *rest,
			     struct slice *ret_member)
{
	while (!slice_next_member(rest, ret_member)) {
		while (*at < fields->count && !cache_vary_has(&fields->items[*at], name))
			++*at;
		if (*at == fields->count)
			return false;
		*rest = fields->items[(*at)++].value;
	}
	return true;
}

static bool is_same_list(const struct fields *fields, const struct field *stored)
{
	struct slice stored_rest = stored->value, rest = SLICE_EMPTY, wanted, member;
	uint32_t at = 0;
	for (;;) {
		bool more_stored = slice_next_member(&stored_rest, &wanted);
		bool more = next_list_member(fields, stored->name, &at, &rest, &member);
		if (more != more_stored || !more)
			return more == more_stored;
		if (!is_same_member(wanted, member))
			return false;
	}
}

// Whether it is there counts, whatever it holds.
static bool is_same_there(const struct fields *fields, const struct field *stored)
{
	bool found = false;
	for (uint32_t i = 0; i < fields->count && !found; i++)
		found = cache_vary_has(&fields->items[i], stored->name);
	return found == (stored->value.data != NULL);
}

static bool matches(const struct fields *request, const struct field *stored)
{
	return is_combined(request, stored) ||
	       (is_list(stored->id) && is_same_there(request, stored) && is_same_list(request, stored));
}

static bool may_decode(const struct cache_object *object, enum coding coding)
{
	if (object->status == 206 || coding == CODING_IDENTITY || coding == CODING_OTHER)
		return false;
	for (uint32_t i = 0; i < object->field_count; i++) {
		struct field field = cache_object_field(object, i);
		struct cache_directives says;
		if (field.id != FIELD_CACHE_CONTROL)
			continue;
		cache_directives_of_response(&(struct fields){.items = &field, .count = 1, .capacity = 1}, &says);
		if (cache_says(&says, CACHE_NO_TRANSFORM))
			return false;
	}
	return true;
}

// RFC 9111 section 4.1 has what means the same match, whatever the words. Who accepts less than the one for whom the
// server chose to leave its answer without a coding would have got the same; and who accepts no coding at all gets the
// content of any without it, which is why compressed and plain ones are kept once.
static bool suits_coding(const struct cache_object *object, const struct field *stored, uint32_t accepted)
{
	enum coding coding = (enum coding)object->coding;
	if (!(accepted & coding_bit(CODING_IDENTITY)))
		return false;
	if (coding == CODING_IDENTITY)
		return (accepted & ~coding_accepted_by(stored->value)) == 0;
	return accepted == coding_bit(CODING_IDENTITY) && may_decode(object, coding);
}

bool cache_object_matches(const struct cache_object *object, const struct fields *request)
{
	for (uint32_t i = 0; i < object->vary_count; i++) {
		struct field stored = cache_object_field(object, object->field_count + i);
		if (!matches(request, &stored) &&
		    !(stored.id == FIELD_ACCEPT_ENCODING && suits_coding(object, &stored, coding_accepted(request))))
			return false;
	}
	return true;
}

enum coding cache_object_undoes(const struct cache_object *object, const struct fields *request)
{
	enum coding coding = (enum coding)object->coding;
	for (uint32_t i = 0; coding != CODING_IDENTITY && i < object->vary_count; i++) {
		struct field stored = cache_object_field(object, object->field_count + i);
		if (stored.id == FIELD_ACCEPT_ENCODING && !matches(request, &stored))
			return coding;
	}
	return CODING_IDENTITY;
}

bool cache_object_outdoes(const struct cache_object *object, const struct cache_object *other)
{
	enum coding coding = (enum coding)object->coding;
	bool varies = false;
	if (object->variant != other->variant || object->vary_count != other->vary_count ||
	    other->coding != CODING_IDENTITY || !may_decode(object, coding))
		return false;
	for (uint32_t i = 0; i < object->vary_count; i++) {
		struct field own = cache_object_field(object, object->field_count + i);
		struct field others = cache_object_field(other, other->field_count + i);
		bool is_coding = own.id == FIELD_ACCEPT_ENCODING;
		if (!slice_equal_nocase(own.name, others.name) || (!is_coding && !slice_equal(own.value, others.value)))
			return false;
		varies = varies || is_coding;
	}
	return varies;
}
