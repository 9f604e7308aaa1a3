#include "handlers/proxy_request.h"

#include "base/check.h"
#include "base/text.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "http/forwarded.h"
#include "http/h1.h"

#define ID(id) (UINT64_C(1) << FIELD_##id)

// Fields that are not copied: usher writes its own.
static const uint64_t own_fields = ID(HOST) | ID(CONTENT_LENGTH) | ID(TRANSFER_ENCODING) | ID(CONNECTION) | ID(VIA) |
				   ID(EXPECT) | ID(X_REQUEST_ID) | ID(MAX_FORWARDS);
static const uint64_t x_forwarded_fields = ID(X_FORWARDED_FOR) | ID(X_FORWARDED_PROTO) | ID(X_FORWARDED_HOST);
_Static_assert(FIELD_COUNT <= 64, "a set of field ids fits into 64 bits");

// What every request gets; more is added where it is due.
enum { OWN_FIELDS = 8 };

// --- Who the client is, and where the request has been

// "VALUE" behind the values of the client's own fields of that id, as one more member.
static bool add_member(struct exchange *exchange, struct fields *own, enum field_id id, struct slice value, bool keep)
{
	struct arena *arena = exchange_arena(exchange);
	const struct fields *fields = &exchange_request(exchange)->fields;
	struct text text = {.capacity = value.length};
	for (uint32_t i = 0; keep && i < fields->count; i++)
		if (fields->items[i].id == id && fields->items[i].value.length)
			text.capacity += fields->items[i].value.length + 2;
	if (text.capacity == value.length)
		return fields_add(own, arena, id, value);
	text.data = arena_alloc(arena, text.capacity);
	if (!text.data)
		return false;
	for (uint32_t i = 0; i < fields->count; i++)
		if (fields->items[i].id == id && fields->items[i].value.length) {
			text_add(&text, fields->items[i].value);
			text_add(&text, SLICE(", "));
		}
	text_add(&text, value);
	check(!text.overflow);
	return fields_add(own, arena, id, slice_from(text.data, text.length));
}

static bool add_x_forwarded(struct exchange *exchange, struct fields *own, struct slice peer)
{
	struct arena *arena = exchange_arena(exchange);
	struct slice host =
		exchange->forwarded_host.length ? exchange->forwarded_host : exchange_request(exchange)->authority;
	return add_member(exchange, own, FIELD_X_FORWARDED_FOR, peer, exchange->peer_is_trusted) &&
	       fields_add(own, arena, FIELD_X_FORWARDED_PROTO, exchange->scheme) &&
	       (host.length == 0 || fields_add(own, arena, FIELD_X_FORWARDED_HOST, host));
}

static bool add_forwarded(struct exchange *exchange, struct fields *own, struct slice peer)
{
	struct slice element = forwarded_format(exchange_arena(exchange), peer, exchange->scheme,
						exchange_request(exchange)->authority);
	return element.data && add_member(exchange, own, FIELD_FORWARDED, element, exchange->peer_is_trusted);
}

static bool add_client(struct exchange *exchange, struct fields *own, enum proxy_forwarded forwarded)
{
	char buffer[ADDRESS_TEXT_MAX];
	struct slice peer = exchange->client_text;
	if (exchange->peer_is_trusted)
		peer = arena_copy(exchange_arena(exchange),
				  address_format_ip(&exchange->transaction.client->peer, buffer));
	if (!peer.data)
		return false;
	bool x = forwarded == PROXY_FORWARDED_BOTH || forwarded == PROXY_FORWARDED_X;
	bool standard = forwarded == PROXY_FORWARDED_BOTH || forwarded == PROXY_FORWARDED_STANDARD;
	return (!x || add_x_forwarded(exchange, own, peer)) && (!standard || add_forwarded(exchange, own, peer));
}

// RFC 9110 section 7.6.2: one hop less, for OPTIONS (and TRACE, which goes nowhere).
static bool add_max_forwards(struct exchange *exchange, struct fields *own)
{
	struct arena *arena = exchange_arena(exchange);
	const struct request *request = exchange_request(exchange);
	uint64_t forwards;
	struct slice max_forwards = fields_value(&request->fields, FIELD_MAX_FORWARDS);
	if (request->method != METHOD_OPTIONS || !slice_to_number(max_forwards, &forwards) || forwards == 0)
		return true;
	struct slice value = arena_printf(arena, "%llu", (unsigned long long)forwards - 1);
	return value.data && fields_add(own, arena, FIELD_MAX_FORWARDS, value);
}

static bool add_own(struct exchange *exchange, struct fields *own, enum proxy_forwarded forwarded)
{
	struct arena *arena = exchange_arena(exchange);
	const struct request *request = exchange_request(exchange);
	return add_client(exchange, own, forwarded) &&
	       add_member(exchange, own, FIELD_VIA, http_via(request->version_major, request->version_minor), true) &&
	       fields_add(own, arena, FIELD_X_REQUEST_ID, exchange->request_id) && add_max_forwards(exchange, own);
}

// --- The request

// Who is not trusted does not get to say who sent the request, whatever usher writes.
static uint64_t skipped_fields(const struct exchange *exchange, enum proxy_forwarded forwarded)
{
	uint64_t skipped = own_fields;
	if (!exchange->peer_is_trusted)
		skipped |= x_forwarded_fields | ID(FORWARDED) | ID(X_REAL_IP);
	if (forwarded == PROXY_FORWARDED_BOTH || forwarded == PROXY_FORWARDED_X)
		skipped |= x_forwarded_fields;
	if (forwarded == PROXY_FORWARDED_BOTH || forwarded == PROXY_FORWARDED_STANDARD)
		skipped |= ID(FORWARDED);
	return skipped;
}

bool proxy_request_make(struct exchange *exchange, const struct proxy_request_options *options,
			struct client_request *ret_request)
{
	struct arena *arena = exchange_arena(exchange);
	struct request *request = exchange_request(exchange);
	enum body_framing framing = request->framing == BODY_NONE ? BODY_NONE
				    : request->body->length >= 0  ? BODY_LENGTH
								  : BODY_CHUNKED;
	*ret_request = (struct client_request){
		.method = request->method,
		.takes_trailers = fields_list_has(&request->fields, FIELD_TE, SLICE("trailers")),
		.hold_body = request->expects_continue && framing != BODY_NONE,
		.framing = framing,
		.method_name = request->method_name,
		.target = exchange->target,
		.fields = &request->fields,
		.skipped = skipped_fields(exchange, options->forwarded),
		.upgrade = request->wants_upgrade ? fields_value(&request->fields, FIELD_UPGRADE) : SLICE_EMPTY,
		.body = request->body,
		.own = {.items = arena_alloc(arena, OWN_FIELDS * sizeof(struct field)), .capacity = OWN_FIELDS},
	};
	fields_remove_hop_by_hop(&request->fields);
	if (options->deadline_field.length > 0)
		(void)fields_remove_name(&request->fields, options->deadline_field);
	return ret_request->own.items && add_own(exchange, &ret_request->own, options->forwarded);
}

void proxy_request_address(struct client_request *request, const struct exchange *exchange,
			   const struct proxy_request_options *options, const struct server *server)
{
	struct slice host = exchange->transaction.request.authority;
	switch (options->host) {
	case PROXY_HOST_PRESERVE:
		break;
	case PROXY_HOST_SERVER:
		host = server_authority(server);
		break;
	case PROXY_HOST_FIXED:
		host = options->host_text;
		break;
	}
	request->authority = host.length ? host : server_authority(server);
	// RFC 9113 section 8.3.1: that of the target, which is the server's here.
	request->scheme = server->tls ? SLICE("https") : SLICE("http");
}

bool proxy_request_tell_deadline(struct client_request *request, struct exchange *exchange,
				 const struct proxy_request_options *options, int64_t deadline_ns)
{
	if (options->deadline_field.length == 0 || deadline_ns == FIBER_NEVER)
		return true;
	struct arena *arena = exchange_arena(exchange);
	int64_t left_ms = (deadline_ns - loop_now()) / MILLISECOND_NS;
	struct slice text = arena_printf(arena, "%lld", (long long)(left_ms > 0 ? left_ms : 0));
	return text.data && fields_set_name(&request->own, arena, options->deadline_field, text);
}
