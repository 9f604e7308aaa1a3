#include "http/h2_priority.h"

// RFC 9218 section 4.1: an integer of 0 to 7. Section 4.2: a boolean.
static void read_parameter(struct slice key, struct slice value, bool is_bare, nghttp2_extpri *priority)
{
	bool is_digit = value.length == 1 && value.data[0] >= '0' && value.data[0] <= '7';
	if (slice_equal(key, SLICE("u")) && !is_bare && is_digit)
		priority->urgency = (uint32_t)(value.data[0] - '0');
	else if (slice_equal(key, SLICE("i")) && (is_bare || slice_equal(value, SLICE("?1"))))
		priority->inc = 1;
	else if (slice_equal(key, SLICE("i")) && slice_equal(value, SLICE("?0")))
		priority->inc = 0;
}

void h2_priority_read(struct slice value, nghttp2_extpri *priority)
{
	struct slice rest = value, member, item, parameters, key, text;
	while (slice_next_member(&rest, &member)) {
		slice_cut(member, ';', &item, &parameters); // none are defined for these
		bool is_bare = !slice_cut(item, '=', &key, &text);
		read_parameter(key, is_bare ? SLICE_EMPTY : text, is_bare, priority);
	}
}

void h2_priority_of_response(nghttp2_session *session, int32_t stream_id, const struct fields *request,
			     const struct fields *response)
{
	const struct field *ours = fields_find(response, FIELD_PRIORITY);
	if (!ours)
		return;
	nghttp2_extpri priority = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY};
	h2_priority_read(fields_value(request, FIELD_PRIORITY), &priority);
	h2_priority_read(ours->value, &priority);
	// Fails only where the stream is gone, or memory is out: it is a wish, not a need.
	(void)nghttp2_session_change_extpri_stream_priority(session, stream_id, &priority, 1);
}
