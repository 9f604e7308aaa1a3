#include "cache/range.h"

#include "base/check.h"
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
static bool resolve(const struct range_spec *spec, uint64_t size, struct cache_part *ret_part)
{
	if (!spec->has_first) {
		ret_part->length = spec->last < size ? spec->last : size;
		ret_part->from = size - ret_part->length;
		return ret_part->length > 0;
	}
	if (spec->first >= size)
		return false;
	uint64_t end = spec->has_last && spec->last < size - 1 ? spec->last + 1 : size;
	*ret_part = (struct cache_part){spec->first, end - spec->first};
	return true;
}

// False when there are too many, or one of them overlaps the part.
static bool add(struct cache_parts *parts, struct cache_part part)
{
	if (parts->count == CACHE_PARTS_MAX)
		return false;
	for (uint32_t i = 0; i < parts->count; i++) {
		const struct cache_part *other = &parts->parts[i];
		if (part.from < other->from + other->length && other->from < part.from + part.length)
			return false;
	}
	parts->parts[parts->count++] = part;
	return true;
}

enum cache_range cache_range_read(struct slice value, uint64_t size, struct cache_parts *ret_parts)
{
	struct slice unit, rest, member;
	struct cache_parts parts = {0};
	unsigned specs = 0;
	bool is_sane = true;
	if (!slice_cut(value, '=', &unit, &rest) || !slice_equal_nocase(unit, SLICE("bytes")))
		return CACHE_RANGE_WHOLE;
	for (; slice_next_member(&rest, &member); specs++) {
		struct range_spec spec;
		struct cache_part part;
		if (!read_spec(member, &spec))
			return CACHE_RANGE_WHOLE;
		if (resolve(&spec, size, &part))
			is_sane = is_sane && add(&parts, part);
	}
	if (specs == 0 || !is_sane)
		return CACHE_RANGE_WHOLE;
	if (parts.count == 0)
		return CACHE_RANGE_UNSATISFIABLE;
	*ret_parts = parts;
	return CACHE_RANGE_PARTS;
}

bool cache_range_is_single(struct slice value)
{
	struct slice unit, rest, member, other;
	struct range_spec spec;
	return slice_cut(value, '=', &unit, &rest) && slice_equal_nocase(unit, SLICE("bytes")) &&
	       slice_next_member(&rest, &member) && read_spec(member, &spec) && !slice_next_member(&rest, &other);
}

// --- Content-Range

static bool read_known(struct slice digits, uint64_t *ret_position)
{
	bool has;
	return read_position(digits, &has, ret_position) && has && digits.length <= POSITION_DIGITS;
}

bool cache_run_read(struct slice value, struct cache_run *ret_run)
{
	struct slice unit, rest, range, size, first_digits, last_digits;
	uint64_t first, last, total;
	if (!slice_cut(value, ' ', &unit, &rest) || !slice_equal_nocase(unit, SLICE("bytes")) ||
	    !slice_cut(rest, '/', &range, &size) || !slice_cut(range, '-', &first_digits, &last_digits))
		return false;
	if (!read_known(first_digits, &first) || !read_known(last_digits, &last) || !read_known(size, &total) ||
	    first > last || last >= total)
		return false;
	*ret_run = (struct cache_run){first, last - first + 1, total};
	return true;
}

struct cache_run cache_run_of(const struct cache_object *object, uint64_t length)
{
	struct cache_run run = {0, length, length};
	if (object->status == 206)
		check(cache_run_read(cache_object_value(object, FIELD_CONTENT_RANGE), &run));
	return run;
}

// --- If-Range

static bool is_strong_date(const struct cache_validators *stored, struct slice condition, int64_t now_s)
{
	int64_t asked_s, modified_s, date_s;
	if (!date_parse_http(condition, now_s, &asked_s) ||
	    !date_parse_http(stored->last_modified, now_s, &modified_s) ||
	    !date_parse_http(stored->date, now_s, &date_s))
		return false;
	return asked_s == modified_s && date_s - modified_s >= STRONG_AFTER_S;
}

bool cache_range_is_allowed(const struct fields *request, const struct cache_validators *stored, int64_t now_s)
{
	struct slice condition = fields_value(request, FIELD_IF_RANGE), etag = stored->etag;
	if (!condition.data)
		return true;
	if (slice_starts_with(condition, SLICE("\"")))
		return etag.data && slice_equal(condition, etag);
	return !slice_starts_with(condition, SLICE("W/")) && is_strong_date(stored, condition, now_s);
}
