// The head of a request to a server, as HTTP/1.1 writes it.
#include "base/check.h"
#include "base/text.h"
#include "http/body.h"
#include "http/client.h"
#include "http/h1.h"

static size_t bound_of(const struct client_request *request)
{
	// Each byte of a target may have to be percent-encoded.
	return h1_fields_bound(request->fields) + h1_fields_bound(&request->own) + request->method_name.length +
	       request->target.length * 3 + request->authority.length + request->upgrade.length + 256;
}

static void write_framing(struct text *text, const struct client_request *request)
{
	if (request->hold_body)
		text_add(text, SLICE("Expect: 100-continue\r\n"));
	if (request->framing == BODY_LENGTH) {
		text_add(text, SLICE("Content-Length: "));
		text_add_number(text, (uint64_t)request->body->length);
		text_add(text, SLICE("\r\n"));
	} else if (request->framing == BODY_CHUNKED) {
		text_add(text, SLICE("Transfer-Encoding: chunked\r\n"));
	}
	if (request->upgrade.length) {
		h1_write_field(text, SLICE("Connection"), SLICE("upgrade"));
		h1_write_field(text, SLICE("Upgrade"), request->upgrade);
	} else if (request->takes_trailers) {
		text_add(text, SLICE("TE: trailers\r\nConnection: TE\r\n"));
	}
}

struct slice h1_request_head(const struct client_request *request, struct arena *arena)
{
	struct text text = {.capacity = bound_of(request)};
	text.data = arena_alloc(arena, text.capacity);
	if (!text.data)
		return SLICE_EMPTY;
	h1_write_request_line(&text, request->method_name, request->target);
	h1_write_field(&text, SLICE("Host"), request->authority);
	for (uint32_t i = 0; i < request->fields->count; i++) {
		const struct field *field = &request->fields->items[i];
		if (!(request->skipped >> field->id & 1))
			h1_write_field(&text, field->name, field->value);
	}
	h1_write_fields(&text, &request->own);
	write_framing(&text, request);
	text_add(&text, SLICE("\r\n"));
	check(!text.overflow);
	return slice_from(text.data, text.length);
}
