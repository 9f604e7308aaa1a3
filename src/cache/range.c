#include "cache/range.h"

#include "base/date.h"

// A date is a strong validator a minute later (RFC 9110 section 8.8.2.2).
enum { STRONG_AFTER_S = 60, POSITION_DIGITS = 18 };

// --- Range

struct range_spec {
	bool has_first, has_last;
	uint64_t first, last; // without a first, last is the length of a suffix
};

// More digits than any length has are as good as the end.
static bool read_position(struct slice digits, bool *ret_has, uint64_t *ret_position)
{
	*ret_has = digits.length > 0;
	*ret_position = 0;
	for (size_t i = 0; i < digits.length; i++) {
		if (digits.data[i] < '0' || digits.data[i] > '9')
			return false;
		if (i < POSITION_DIGITS)
			*ret_position = *ret_position * 10 + (uint64_t)(digits.data[i] - '0');
		else
			*ret_position = UINT64_MAX;
	}
	return true;
}

static bool read_spec(struct slice text, struct range_spec *ret_spec)
{
	struct slice first, last;
	if (!slice_cut(text, '-', &first, &last) || !read_position(first, &ret_spec->has_first, &ret_spec->first) ||
	    !read_position(last, &ret_spec->has_last, &ret_spec->last))
		return false;
	if (!ret_spec->has_first)
		return ret_spec->has_last;
	return !ret_spec->has_last || ret_spec->first <= ret_spec->last;
}

// False when nothing of it is there (section 14.1.2).
static bool resolve(const struct range_spec *spec, uint64_t size, uint64_t *ret_from, uint64_t *ret_length)
{
	if (!spec->has_first) {
		*ret_length = spec->last < size ? spec->last : size;
		*ret_from = size - *ret_length;
		return *ret_length > 0;
	}
	if (spec->first >= size)
		return false;
	uint64_t end = spec->has_last && spec->last < size - 1 ? spec->last + 1 : size;
	*ret_from = spec->first;
	*ret_length = end - spec->first;
	return true;
}

enum cache_range cache_range_read(struct slice value, uint64_t size, uint64_t *ret_from, uint64_t *ret_length)
{
	struct slice unit, rest, member;
	struct range_spec spec;
	uint64_t found_from = 0, found_length = 0;
	unsigned count = 0, satisfiable = 0;
	if (!slice_cut(value, '=', &unit, &rest) || !slice_equal_nocase(unit, SLICE("bytes")))
		return CACHE_RANGE_WHOLE;
	while (slice_next_member(&rest, &member)) {
		uint64_t from, length;
		if (!read_spec(member, &spec))
			return CACHE_RANGE_WHOLE;
		count++;
		if (!resolve(&spec, size, &from, &length))
			continue;
		satisfiable++;
		found_from = from;
		found_length = length;
	}
	if (count == 0)
		return CACHE_RANGE_WHOLE;
	if (satisfiable == 0)
		return CACHE_RANGE_UNSATISFIABLE;
	if (satisfiable > 1)
		return CACHE_RANGE_WHOLE;
	*ret_from = found_from;
	*ret_length = found_length;
	return CACHE_RANGE_PART;
}

// --- If-Range

static bool is_strong_date(const struct fields *stored, struct slice condition, int64_t now_s)
{
	int64_t asked_s, modified_s, date_s;
	if (!date_parse_http(condition, now_s, &asked_s) ||
	    !date_parse_http(fields_value(stored, FIELD_LAST_MODIFIED), now_s, &modified_s) ||
	    !date_parse_http(fields_value(stored, FIELD_DATE), now_s, &date_s))
		return false;
	return asked_s == modified_s && date_s - modified_s >= STRONG_AFTER_S;
}

bool cache_range_is_allowed(const struct fields *request, const struct fields *stored, int64_t now_s)
{
	struct slice condition = fields_value(request, FIELD_IF_RANGE), etag = fields_value(stored, FIELD_ETAG);
	if (!condition.data)
		return true;
	if (slice_starts_with(condition, SLICE("\"")))
		return etag.data && slice_equal(condition, etag);
	return !slice_starts_with(condition, SLICE("W/")) && is_strong_date(stored, condition, now_s);
}
