#include "handlers/proxy_request.h"

#include "base/check.h"
#include "base/text.h"
#include "http/forwarded.h"
#include "http/h1.h"

#define ID(id) (UINT64_C(1) << FIELD_##id)

// Fields that are not copied: usher writes its own.
static const uint64_t own_fields = ID(HOST) | ID(CONTENT_LENGTH) | ID(TRANSFER_ENCODING) | ID(CONNECTION) | ID(VIA) |
				   ID(EXPECT) | ID(X_REQUEST_ID) | ID(MAX_FORWARDS);
static const uint64_t x_forwarded_fields = ID(X_FORWARDED_FOR) | ID(X_FORWARDED_PROTO) | ID(X_FORWARDED_HOST);
_Static_assert(FIELD_COUNT <= 64, "a set of field ids fits into 64 bits");

void proxy_request_prepare(struct exchange *exchange, struct proxy_request *ret_request)
{
	struct request *request = exchange_request(exchange);
	*ret_request = (struct proxy_request){
		.framing = request->framing == BODY_NONE ? BODY_NONE
			   : request->body->length >= 0	 ? BODY_LENGTH
							 : BODY_CHUNKED,
		.upgrade = request->wants_upgrade ? fields_value(&request->fields, FIELD_UPGRADE) : SLICE_EMPTY,
		.takes_trailers = fields_list_has(&request->fields, FIELD_TE, SLICE("trailers")),
	};
	fields_remove_hop_by_hop(&request->fields);
}

static size_t head_bound(const struct exchange *exchange, const struct proxy_request *request,
			 const struct proxy_request_options *options, struct slice authority)
{
	const struct request *from = &exchange->transaction.request;
	return h1_fields_bound(&from->fields) + from->method_name.length + exchange->target.length +
	       from->authority.length * 3 + exchange->forwarded_host.length + options->host_text.length +
	       authority.length + exchange->request_id.length + request->upgrade.length + 4 * ADDRESS_TEXT_MAX + 512;
}

static void write_host(struct text *text, const struct exchange *exchange, const struct proxy_request_options *options,
		       struct slice authority)
{
	struct slice host = exchange->transaction.request.authority;
	switch (options->host) {
	case PROXY_HOST_PRESERVE:
		break;
	case PROXY_HOST_SERVER:
		host = authority;
		break;
	case PROXY_HOST_FIXED:
		host = options->host_text;
		break;
	}
	h1_write_field(text, SLICE("Host"), host.length ? host : authority);
}

// "Name: ", then the values of the client's own fields of that id, each followed by ", ",
// for one more member.
static void begin_list(struct text *text, const struct fields *fields, enum field_id id, bool keep)
{
	text_add(text, field_name(id));
	text_add(text, SLICE(": "));
	for (uint32_t i = 0; keep && i < fields->count; i++)
		if (fields->items[i].id == id && fields->items[i].value.length) {
			text_add(text, fields->items[i].value);
			text_add(text, SLICE(", "));
		}
}

static void write_x_forwarded(struct text *text, const struct exchange *exchange, struct slice peer)
{
	const struct request *request = &exchange->transaction.request;
	begin_list(text, &request->fields, FIELD_X_FORWARDED_FOR, exchange->peer_is_trusted);
	text_add(text, peer);
	text_add(text, SLICE("\r\n"));
	h1_write_field(text, SLICE("X-Forwarded-Proto"), exchange->scheme);
	struct slice host = exchange->forwarded_host.length ? exchange->forwarded_host : request->authority;
	if (host.length)
		h1_write_field(text, SLICE("X-Forwarded-Host"), host);
}

static void write_forwarded(struct text *text, struct exchange *exchange, struct slice peer)
{
	const struct request *request = &exchange->transaction.request;
	struct slice element = forwarded_format(exchange_arena(exchange), peer, exchange->scheme, request->authority);
	if (!element.data)
		return;
	begin_list(text, &request->fields, FIELD_FORWARDED, exchange->peer_is_trusted);
	text_add(text, element);
	text_add(text, SLICE("\r\n"));
}

static void write_own_fields(struct text *text, struct exchange *exchange, const struct proxy_request *request,
			     const struct proxy_request_options *options)
{
	char buffer[ADDRESS_TEXT_MAX];
	struct slice peer = exchange->client_text;
	const struct request *from = exchange_request(exchange);
	if (exchange->peer_is_trusted)
		peer = address_format_ip(&exchange->transaction.client->peer, buffer);
	if (options->forwarded == PROXY_FORWARDED_BOTH || options->forwarded == PROXY_FORWARDED_X)
		write_x_forwarded(text, exchange, peer);
	if (options->forwarded == PROXY_FORWARDED_BOTH || options->forwarded == PROXY_FORWARDED_STANDARD)
		write_forwarded(text, exchange, peer);
	// RFC 9110 section 7.6.3.
	begin_list(text, &from->fields, FIELD_VIA, true);
	text_add(text, from->version_minor ? SLICE("1.1 usher\r\n") : SLICE("1.0 usher\r\n"));
	h1_write_field(text, SLICE("X-Request-Id"), exchange->request_id);
	if (from->expects_continue && request->framing != BODY_NONE)
		text_add(text, SLICE("Expect: 100-continue\r\n"));
	uint64_t forwards;
	struct slice max_forwards = fields_value(&from->fields, FIELD_MAX_FORWARDS);
	if (from->method == METHOD_OPTIONS && slice_to_number(max_forwards, &forwards) && forwards > 0) {
		text_add(text, SLICE("Max-Forwards: "));
		text_add_number(text, forwards - 1);
		text_add(text, SLICE("\r\n"));
	}
}

static void write_framing(struct text *text, const struct exchange *exchange, const struct proxy_request *request)
{
	if (request->framing == BODY_LENGTH) {
		text_add(text, SLICE("Content-Length: "));
		text_add_number(text, (uint64_t)exchange->transaction.request.body->length);
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

struct slice proxy_request_head(struct exchange *exchange, const struct proxy_request *request,
				const struct proxy_request_options *options, struct slice authority)
{
	const struct request *from = exchange_request(exchange);
	struct text text = {.capacity = head_bound(exchange, request, options, authority)};
	text.data = arena_alloc(exchange_arena(exchange), text.capacity);
	if (!text.data)
		return SLICE_EMPTY;
	// Who is not trusted does not get to say who sent the request, whatever usher writes.
	uint64_t skipped = own_fields;
	if (!exchange->peer_is_trusted)
		skipped |= x_forwarded_fields | ID(FORWARDED) | ID(X_REAL_IP);
	if (options->forwarded == PROXY_FORWARDED_BOTH || options->forwarded == PROXY_FORWARDED_X)
		skipped |= x_forwarded_fields;
	if (options->forwarded == PROXY_FORWARDED_BOTH || options->forwarded == PROXY_FORWARDED_STANDARD)
		skipped |= ID(FORWARDED);
	h1_write_request_line(&text, from->method_name, exchange->target);
	write_host(&text, exchange, options, authority);
	for (uint32_t i = 0; i < from->fields.count; i++) {
		const struct field *field = &from->fields.items[i];
		if (!(skipped >> field->id & 1))
			h1_write_field(&text, field->name, field->value);
	}
	write_own_fields(&text, exchange, request, options);
	write_framing(&text, exchange, request);
	text_add(&text, SLICE("\r\n"));
	check(!text.overflow);
	return slice_from(text.data, text.length);
}
