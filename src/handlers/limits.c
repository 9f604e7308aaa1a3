// limits.body: how large the body of a request may be.
//
// A length that is too large is refused before anything is sent to a server; a body of unknown
// length is counted while it is pulled.
#include "exchange/exchange.h"
#include "exchange/snapshot.h"
#include "handlers/handlers.h"
#include "http/body.h"

static const char setting[] = "limits.body";
static const char step[] = "read request body";

// Every route with a bound has this handler; the key `limits` is one that routes inherit
// field by field (exchange/scope.h).
static bool limits_applies(const struct route *route)
{
	return route->limits->body_bytes > 0;
}

static bool limits_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
			const void **ret_config)
{
	*ret_config = route->limits;
	return true;
}

// --- Handling

static struct body *bounded_body(struct body *inner, uint64_t limit_bytes, struct arena *arena);

static void limits_handle(struct exchange *exchange, const void *config)
{
	const struct limits *limits = config;
	struct request *request = exchange_request(exchange);
	uint64_t limit = (uint64_t)limits->body_bytes;
	if (request->body->length > limits->body_bytes) {
		exchange_fail(exchange, FAULT_BODY_TOO_LARGE, step, "Content-Length is above the limit");
		exchange->transaction.fault.setting = setting;
		return;
	}
	if (request->body->length == BODY_LENGTH_UNKNOWN) {
		request->body = bounded_body(request->body, limit, exchange_arena(exchange));
		if (!request->body) {
			request->body = body_empty();
			exchange_fail(exchange, FAULT_OUT_OF_MEMORY, step, NULL);
			return;
		}
	}
	exchange_next(exchange);
}

// --- Helpers

// A body that fails as soon as there is more of it than allowed.
struct bounded {
	struct body body; // first
	struct body *inner;
	uint64_t left;
};

static int bounded_read(struct body *body, struct slice *ret_bytes)
{
	struct bounded *bounded = (struct bounded *)body;
	struct slice bytes;
	if (body->fault.kind != FAULT_NONE)
		return -1;
	if (body_read(bounded->inner, &bytes) < 0) {
		body->fault = bounded->inner->fault;
		return -1;
	}
	if (bytes.length > bounded->left) {
		fault_set(&body->fault, FAULT_BODY_TOO_LARGE, step, "the body goes on above the limit");
		body->fault.setting = setting;
		return -1;
	}
	bounded->left -= bytes.length;
	if (bytes.length == 0)
		body->trailers = bounded->inner->trailers;
	*ret_bytes = bytes;
	return 0;
}

static enum body_look bounded_look(struct body *body)
{
	struct bounded *bounded = (struct bounded *)body;
	// A fault is there at once.
	return body->fault.kind != FAULT_NONE ? BODY_READY : body_look(bounded->inner);
}

static struct body *bounded_body(struct body *inner, uint64_t limit_bytes, struct arena *arena)
{
	static const struct body_operations operations = {.read = bounded_read, .look = bounded_look};
	struct bounded *bounded = arena_zalloc(arena, sizeof *bounded);
	if (!bounded)
		return NULL;
	bounded->body = (struct body){.operations = &operations, .length = inner->length};
	bounded->inner = inner;
	bounded->left = limit_bytes;
	return &bounded->body;
}

const struct handler_type limits_handler = {
	.order = HANDLER_LIMITS,
	.applies = limits_applies,
	.load = limits_load,
	.handle = limits_handle,
};
