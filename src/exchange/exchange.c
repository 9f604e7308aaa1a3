#include "exchange/exchange.h"

#include "base/check.h"
#include "exchange/certificate.h"
#include "exchange/error_page.h"
#include "exchange/identity.h"
#include "exchange/life.h"
#include "exchange/route_find.h"
#include "exchange/route_guard.h"
#include "exchange/snapshot.h"
#include "http/uri.h"
#include "tls/peer.h"
#include "tls/server.h"

void exchange_begin(struct exchange *exchange, const struct client *client)
{
	exchange->transaction.client = client;
	trace_begin(&exchange->trace, loop_now());
}

// What is sent on unless a handler rewrites it: the client's bytes in origin form (RFC 9112
// section 3.2.1), which an absolute target holds behind its authority.
static struct slice origin_target(struct exchange *exchange)
{
	const struct request *request = exchange_request(exchange);
	if (request->target_form != TARGET_ABSOLUTE)
		return request->target;
	const char *end = request->target.data + request->target.length;
	if (request->path.data >= request->target.data && request->path.data < end)
		return slice_from(request->path.data, (size_t)(end - request->path.data));
	if (!request->has_query)
		return request->path;
	return arena_printf(exchange_arena(exchange), "/?%.*s", SLICE_ARGUMENTS(request->query));
}

// A connection serves the sites that are served alike: those with the settings that its
// handshake was made by (RFC 9113 section 9.1.1). With others a client would be taken for one
// who has shown a certificate there (RFC 9110 section 15.5.20).
static bool site_is_meant(const struct exchange *exchange)
{
	const struct tls_peer *peer = exchange->transaction.client->tls;
	const struct tls_site *tls = exchange->site->tls;
	return !peer || (tls && tls->key == peer->site);
}

// Finds the site and the route, and notes what was found, or fails.
static bool find_route(struct exchange *exchange)
{
	struct request *request = exchange_request(exchange);
	const struct snapshot *snapshot = exchange->snapshot;
	exchange->target = origin_target(exchange);
	exchange->host = uri_normal_host(request->host, exchange_arena(exchange));
	if (!exchange->host.data) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "find site", NULL);
		return false;
	}
	const struct site *site = exchange->site = site_find(snapshot, exchange->host);
	if (!site) {
		note_nearest_site(exchange);
		exchange_fail(exchange, FAULT_NO_SITE, "find site", NULL);
		return false;
	}
	trace_note(&exchange->trace, "site", site->name, site->place.file, site->place.line, TRACE_NO_VALUE);
	if (!site_is_meant(exchange)) {
		exchange_fail(exchange, FAULT_MISDIRECTED, "find site",
			      "the connection's handshake was made for another site");
		return false;
	}
	struct uri_normal_options options = {.merge_slashes = site->merge_slashes};
	exchange->path = uri_normal_path(request->path, &options, exchange_arena(exchange));
	if (!exchange->path.data) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "normalise path", NULL);
		return false;
	}
	const struct route *route = exchange->route = route_find(site, exchange);
	if (!route) {
		note_nearest_route(exchange);
		exchange_fail(exchange, FAULT_NO_ROUTE, "find route", NULL);
		return false;
	}
	if (site->is_guarded && !(exchange->route = route = route_guarded(exchange, route)))
		return false;
	trace_note(&exchange->trace, "route", route->path_text, route->place.file, route->place.line, TRACE_NO_VALUE);
	exchange->step = route->steps;
	exchange->transaction.body_timeout_ns = route->timeouts->body_ns;
	exchange->transaction.send_timeout_ns = route->timeouts->send_ns;
	return true;
}

void exchange_next(struct exchange *exchange)
{
	const struct handler_step *step = exchange->step++;
	check(step->type);
	step->type->handle(exchange, step->config);
}

// RFC 9110 sections 9.3.6 and 9.3.8: usher stands before servers of its own and opens no
// tunnels to others; TRACE would show what is hidden.
static bool method_is_served(struct exchange *exchange)
{
	enum method method = exchange_request(exchange)->method;
	if (method != METHOD_CONNECT && method != METHOD_TRACE)
		return true;
	exchange_fail(exchange, FAULT_NOT_IMPLEMENTED, "read request header", "CONNECT and TRACE are not served");
	return false;
}

// Makes the answer to a fault; false when no answer is possible.
static bool answer_fault(struct exchange *exchange)
{
	if (!fault_status(exchange->transaction.fault.kind))
		return false;
	struct response *response = exchange_response(exchange);
	*response = (struct response){0};
	exchange->transaction.tunnel = (struct tunnel_end){0};
	error_page_fill(exchange);
	return response->status != 0; // no memory for any
}

static int send_response(struct exchange *exchange)
{
	struct transaction *transaction = &exchange->transaction;
	struct fields *fields = &transaction->response.fields;
	if (exchange->request_id.length)
		(void)fields_set(fields, &transaction->arena, FIELD_X_REQUEST_ID, exchange->request_id);
	for (uint32_t i = 0; i < exchange->always.count; i++)
		(void)fields_set_name(fields, &transaction->arena, exchange->always.items[i].name,
				      exchange->always.items[i].value);
	return transaction->operations->respond(transaction);
}

// What comes by the admin socket is answered by the admin API, whatever host and path it names.
static bool is_for_admin(const struct exchange *exchange)
{
	const struct snapshot *snapshot = exchange->snapshot;
	const struct client *client = exchange->transaction.client;
	return snapshot->admin && client->peer.any.sa_family == AF_UNIX &&
	       slice_equal(slice_from_string(client->listener), snapshot->admin_name);
}

static void serve(struct exchange *exchange)
{
	struct transaction *transaction = &exchange->transaction;
	if (!exchange_identify(exchange))
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "identify client", NULL);
	certificate_remove_fields(&transaction->request.fields);
	if (!exchange->peer_is_trusted)
		identity_remove(exchange);
	if (is_for_admin(exchange))
		exchange->snapshot->registry->admin(exchange);
	else if (!exchange_failed(exchange) && method_is_served(exchange) && find_route(exchange))
		exchange_next(exchange);
	if (!exchange_failed(exchange) && transaction->response.status < 101)
		exchange_fail(exchange, FAULT_INTERNAL, "handle request", "no handler answered");
	if (exchange_failed(exchange) && !answer_fault(exchange))
		return;
	// A body that fails before a byte of the response was sent leaves room for an
	// answer that says so.
	if (send_response(exchange) < 0 && !transaction->response_started && answer_fault(exchange))
		(void)send_response(exchange);
}

void exchange_run_ends(struct exchange *exchange)
{
	for (struct exchange_end *end; (end = exchange->ends);) {
		exchange->ends = end->next;
		end->run(exchange, end);
	}
}

void exchange_serve(struct exchange *exchange)
{
	serve(exchange);
	// What worked for the exchange lets go of the request's body before the connection
	// reads what is left of it. A tunnel still needs all of it.
	if (!exchange->transaction.tunnel.stream)
		exchange_run_ends(exchange);
}

void exchange_finish(struct exchange *exchange)
{
	exchange_run_ends(exchange);
	exchange_log(exchange);
}

void exchange_answer(struct exchange *exchange, unsigned status, struct slice content_type, struct slice body)
{
	struct response *response = exchange_response(exchange);
	struct body_bytes *bytes = arena_alloc(exchange_arena(exchange), sizeof *bytes);
	if (!bytes || (content_type.length &&
		       !fields_set(&response->fields, exchange_arena(exchange), FIELD_CONTENT_TYPE, content_type))) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "answer", NULL);
		return;
	}
	body_bytes_init(bytes, body);
	response->status = (uint16_t)status;
	response->framing = BODY_LENGTH; // what HEAD tells of it
	response->content_length = body.length;
	response->body = &bytes->body;
}

void exchange_always(struct exchange *exchange, struct slice name, struct slice value)
{
	if (!fields_set_name(&exchange->always, exchange_arena(exchange), name, value))
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "set response header", NULL);
}

void exchange_fail(struct exchange *exchange, enum fault_kind kind, const char *step, const char *detail)
{
	fault_set(&exchange->transaction.fault, kind, step, detail);
}

bool exchange_failed(const struct exchange *exchange)
{
	return exchange->transaction.fault.kind != FAULT_NONE;
}

void exchange_at_end(struct exchange *exchange, struct exchange_end *end,
		     void (*run)(struct exchange *exchange, struct exchange_end *end))
{
	end->run = run;
	end->next = exchange->ends;
	exchange->ends = end;
}

int exchange_inform(struct exchange *exchange, const struct response *interim)
{
	return exchange->transaction.operations->inform(&exchange->transaction, interim);
}
