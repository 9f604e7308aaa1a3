#include "handlers/proxy_response.h"

#include "exchange/error_page.h"
#include "exchange/snapshot.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "upstream/pool_config.h"

// --- Tunnels

// The server's connection is closed when the exchange ends.
static void tunnel_done(struct transaction *transaction)
{
	transaction->tunnel.stream = NULL;
}

// RFC 9110 section 7.8: a server switches to nothing but what the client named.
static bool was_asked_for(struct slice asked, struct slice chosen)
{
	struct slice protocol, candidate;
	bool any = false;
	while (slice_next_member(&chosen, &protocol)) {
		struct slice rest = asked;
		any = false;
		while (!any && slice_next_member(&rest, &candidate))
			any = slice_equal_nocase(candidate, protocol);
		if (!any)
			return false;
	}
	return any;
}

// The server's connection becomes a tunnel (RFC 9110 section 7.8): only when the client
// asked for it.
static void start_tunnel(struct proxying *proxying, struct slice upgrade)
{
	struct exchange *exchange = proxying->exchange;
	struct response *response = exchange_response(exchange);
	if (!was_asked_for(proxying->request.upgrade, upgrade)) {
		exchange_fail(exchange, FAULT_UPGRADE_FAILED, "read response header",
			      "the server switched protocols unasked");
		return;
	}
	if (!fields_add(&response->fields, exchange_arena(exchange), FIELD_UPGRADE, upgrade)) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "upgrade", NULL);
		return;
	}
	struct slice early;
	struct stream *stream = client_tunnel(proxying->client, &early);
	proxying->tunnelling = true;
	exchange->transaction.tunnel = (struct tunnel_end){
		.stream = stream,
		.early = early,
		.idle_ns = exchange->route->timeouts->tunnel_ns,
		.done = tunnel_done,
	};
}

// --- A response that must be over by the exchange's deadline

struct deadline_body {
	struct body body; // first
	struct body *inner;
	struct proxying *proxying;
};

static int deadline_read(struct body *body, struct slice *ret_bytes)
{
	struct deadline_body *deadline = (struct deadline_body *)body;
	struct proxying *proxying = deadline->proxying;
	if (loop_now() >= proxying->deadline_ns) {
		fault_set(&body->fault, FAULT_RESPONSE_BODY_TIMEOUT, "read response body", NULL);
		body->fault.setting = "timeouts.total";
		return -1;
	}
	int64_t read_ns = proxying->exchange->route->timeouts->read_ns;
	proxying->settings.read_timeout_ns = try_time(read_ns, proxying->deadline_ns);
	int failed = body_read(deadline->inner, ret_bytes);
	if (failed)
		body->fault = deadline->inner->fault;
	else if (ret_bytes->length == 0)
		body->trailers = deadline->inner->trailers;
	return failed;
}

static enum body_look deadline_look(struct body *body)
{
	struct body *inner = ((struct deadline_body *)body)->inner;
	enum body_look look = body_look(inner);
	if (look == BODY_ENDED)
		body->trailers = inner->trailers;
	return look;
}

// Without a plain stream: what is spliced is not seen.
static const struct body_operations deadline_operations = {.read = deadline_read, .look = deadline_look};

static bool bound_body(struct proxying *proxying, struct response *response)
{
	if (proxying->deadline_ns == FIBER_NEVER || response->status == 101)
		return true;
	struct deadline_body *deadline = arena_alloc(exchange_arena(proxying->exchange), sizeof *deadline);
	if (!deadline)
		return false;
	*deadline = (struct deadline_body){
		.body = {.operations = &deadline_operations, .length = response->body->length},
		.inner = response->body,
		.proxying = proxying,
	};
	response->body = &deadline->body;
	return true;
}

// --- The main path

// A page of usher's own in the place of a server's error. When to come again, the server knows.
static void replace_error(struct exchange *exchange, const struct response *from)
{
	struct slice retry_after = fields_value(&from->fields, FIELD_RETRY_AFTER);
	trace_note(&exchange->trace, "replaced", SLICE_EMPTY, NULL, 0, from->status);
	error_page_answer(exchange, from->status, "server_error");
	if (retry_after.data &&
	    !fields_set(&exchange_response(exchange)->fields, exchange_arena(exchange), FIELD_RETRY_AFTER, retry_after))
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "replace response", NULL);
}

void proxy_response_take(struct proxying *proxying)
{
	struct exchange *exchange = proxying->exchange;
	struct response *response = exchange_response(exchange);
	if (error_page_replaces(exchange, proxying->response.status)) {
		replace_error(exchange, &proxying->response);
		return;
	}
	*response = proxying->response;
	struct slice upgrade = fields_value(&response->fields, FIELD_UPGRADE);
	fields_remove_hop_by_hop(&response->fields);
	if (!bound_body(proxying, response) || !fields_add(&response->fields, exchange_arena(exchange), FIELD_VIA,
							   http_via(response->version_major, response->version_minor)))
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "read response header", NULL);
	const struct pool_config *pool = proxying->config->pool;
	if (pool->sticky && !sticky_answer(pool->sticky, pool->pool, &proxying->pick, proxying->server, exchange))
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "set cookie", NULL);
	if (response->status == 101)
		start_tunnel(proxying, upgrade);
}
