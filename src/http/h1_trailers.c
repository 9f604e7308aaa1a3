#include "http/h1_head.h"

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
		if (field_may_be_trailer(fields->items[i].id))
			fields->items[kept++] = fields->items[i];
	}
	fields->count = kept;
	*ret_fields = *fields;
	return true;
}
