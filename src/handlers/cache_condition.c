#include "handlers/cache_condition.h"

#include "base/date.h"

// Takes an entity tag off the front of a list; commas may stand within the quotes.
static bool next_etag(struct slice *rest, struct slice *ret_etag)
{
	while (rest->length > 0 && (rest->data[0] == ',' || rest->data[0] == ' ' || rest->data[0] == '\t'))
		*rest = slice_after(*rest, 1);
	size_t from = slice_starts_with(*rest, SLICE("W/")) ? 2 : 0;
	if (rest->length <= from || rest->data[from] != '"')
		return false;
	size_t length = from + 1 + slice_find(slice_after(*rest, from + 1), '"') + 1;
	if (length > rest->length)
		return false;
	*ret_etag = slice_first(*rest, length);
	*rest = slice_after(*rest, length);
	return true;
}

static bool matches(struct slice list, struct slice etag)
{
	struct slice candidate;
	if (slice_equal(slice_trim(list), SLICE("*")))
		return true;
	while (next_etag(&list, &candidate))
		if (etag.data && cache_etag_is_same(candidate, etag))
			return true;
	return false;
}

bool cache_is_not_modified(const struct fields *request, const struct cache_validators *stored, int64_t now_s)
{
	struct slice etag = stored->etag;
	bool asks_by_etag = false;
	for (uint32_t i = 0; i < request->count; i++) {
		if (request->items[i].id != FIELD_IF_NONE_MATCH)
			continue;
		asks_by_etag = true;
		if (matches(request->items[i].value, etag))
			return true;
	}
	// RFC 9111 section 4.3.2: what does not say when it was modified was when it was made, at the latest.
	struct slice modified = stored->last_modified.data ? stored->last_modified : stored->date;
	int64_t since_s, modified_s;
	return !asks_by_etag && date_parse_http(fields_value(request, FIELD_IF_MODIFIED_SINCE), now_s, &since_s) &&
	       date_parse_http(modified, now_s, &modified_s) && modified_s <= since_s;
}

bool cache_goes_with_304(const struct field *field)
{
	switch (field->id) {
	case FIELD_CACHE_CONTROL:
	case FIELD_DATE:
	case FIELD_ETAG:
	case FIELD_EXPIRES:
	case FIELD_LAST_MODIFIED:
	case FIELD_VARY:
	case FIELD_VIA:
		return true;
	default:
		return slice_equal_nocase(field->name, SLICE("Content-Location"));
	}
}
