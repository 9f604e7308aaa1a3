#include "http/h1_head.h"

// RFC 9110 section 6.5.1: only fields whose definition says so may be sent in trailers.
// Of those that usher knows, that is ETag (RFC 9110 section 8.8.3) and Proxy-Status (RFC
// 9209 section 2); of others it cannot know.
static bool may_be_trailer(enum field_id id)
{
	return id == FIELD_OTHER || id == FIELD_ETAG || id == FIELD_PROXY_STATUS;
}

bool h1_parse_trailers(struct slice section, const struct h1_limits *limits, struct arena *arena,
		       struct fields *ret_fields, struct fault *ret_fault)
{
	struct h1_section parsed;
	if (!h1_parse_section(section, limits, arena, &parsed, ret_fault)) {
		ret_fault->step = "read trailers";
		return false;
	}
	struct fields *fields = &parsed.fields;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < fields->count; i++) {
		if (may_be_trailer(fields->items[i].id))
			fields->items[kept++] = fields->items[i];
	}
	fields->count = kept;
	*ret_fields = *fields;
	return true;
}
