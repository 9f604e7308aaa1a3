#include "handlers/proxy_try.h"

#include "exchange/snapshot.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "upstream/connection.h"

#include <errno.h>

// How long a client's body that waits for 100 (Continue) is held for the server's word
// (RFC 9110 section 10.1.1: a client must not wait for ever either).
#define CONTINUE_NS SECOND_NS

// Interim responses to one request; a server that sends more has lost its way.
enum { INTERIM_MAX = 64 };

int64_t try_time(int64_t timeout_ns, int64_t until_ns)
{
	int64_t left_ns = until_ns - loop_now();
	if (left_ns > timeout_ns)
		return timeout_ns;
	return left_ns > 0 ? left_ns : 1;
}

bool try_can_repeat(const struct proxying *proxying)
{
	return proxying->request.framing == BODY_NONE || kept_body_is_whole(&proxying->body);
}

static bool may_repeat(const struct proxying *proxying)
{
	return retry_allows_method(proxying->retry, proxying->request.method) && try_can_repeat(proxying);
}

// --- Connecting

static void begin_client(struct proxying *proxying)
{
	struct upstream_connection *connection = proxying->connection;
	struct arena *arena = exchange_arena(proxying->exchange);
	if (connection->h2) {
		h2_client_init(&proxying->kind.h2, &proxying->settings, connection->h2, arena);
		proxying->client = &proxying->kind.h2.client;
	} else {
		h1_client_init(&proxying->kind.h1, &proxying->settings, connection->stream, arena);
		proxying->client = &proxying->kind.h1.client;
	}
}

static int connect_server(struct proxying *proxying, bool fresh, struct fault *ret_fault)
{
	struct exchange *exchange = proxying->exchange;
	proxying->step_started_ns = loop_now();
	int64_t timeout_ns = try_time(exchange->route->timeouts->connect_ns, proxying->until_ns);
	int failed = proxying->request.upgrade.length > 0
			     ? server_connect_to_upgrade(proxying->server, timeout_ns, fresh, ret_fault,
							 &proxying->connection)
			     : server_connect(proxying->server, timeout_ns, fresh, ret_fault, &proxying->connection);
	if (failed)
		return -1;
	exchange->server.reused = proxying->connection->reused;
	exchange->server.connect_ns = proxying->connection->reused ? 0 : proxying->connection->connect_ns;
	begin_client(proxying);
	return 0;
}

static void drop_connection(struct proxying *proxying)
{
	if (!proxying->connection)
		return;
	(void)client_fini(proxying->client);
	upstream_connection_close(proxying->connection);
	proxying->connection = NULL;
}

// Before a request that could not be sent again: whether the connection is still there.
static bool is_alive(struct proxying *proxying)
{
	return !proxying->connection->reused || may_repeat(proxying) ||
	       upstream_connection_is_alive(proxying->connection);
}

// --- Asking

// What was kept of the body goes out at once: the client has been told to go on.
static void begin_body(struct proxying *proxying)
{
	if (proxying->request.framing == BODY_NONE)
		return;
	proxying->request.hold_body = proxying->request.hold_body && !proxying->body.touched;
	if (kept_body_is_whole(&proxying->body))
		kept_body_rewind(&proxying->body);
}

// Sends the request on the connection and waits for the final head; interim ones go to the
// client as they come (RFC 9110 section 15.2).
static int converse(struct proxying *proxying, struct response *ret_response, struct fault *ret_fault)
{
	struct exchange *exchange = proxying->exchange;
	struct http_client *client = proxying->client;
	begin_body(proxying);
	proxy_request_address(&proxying->request, exchange, &proxying->config->request, proxying->server);
	if (!proxy_request_tell_deadline(&proxying->request, exchange, &proxying->config->request,
					 proxying->deadline_ns)) {
		fault_set(ret_fault, FAULT_OUT_OF_MEMORY, "send request", NULL);
		return -1;
	}
	proxying->step_started_ns = loop_now();
	if (client_send(client, &proxying->request, ret_fault) < 0)
		return -1;
	for (unsigned interims = 0; interims <= INTERIM_MAX; interims++) {
		bool holds = client_holds_body(client);
		proxying->settings.response_timeout_ns =
			try_time(exchange->route->timeouts->response_ns, proxying->until_ns);
		int result = client_read_head(client, holds ? CONTINUE_NS : 0, ret_response, ret_fault);
		if (result < 0)
			return -1;
		bool interim = result == 0 && ret_response->status < 200 && ret_response->status != 101;
		if (result == 0 && !interim)
			return 0;
		if (interim)
			fields_remove_hop_by_hop(&ret_response->fields);
		if (interim && !proxying->is_hedged && exchange_inform(exchange, ret_response) < 0)
			return -1;
		bool go_ahead = result == 1 || ret_response->status == 100;
		if (holds && go_ahead && client_send_body(client, ret_fault) < 0)
			return -1;
	}
	fault_set(ret_fault, FAULT_RESPONSE_BAD, "read response header", "too many interim responses");
	return -1;
}

// A connection that was idle may be closed by the server at the very moment it is used
// again. One that proves dead before a byte came is replaced by a fresh one, where the
// request may be sent twice; one that would carry a request that may not is asked first.
static bool died_idle(const struct proxying *proxying, const struct fault *fault)
{
	return proxying->connection && proxying->connection->reused && !proxying->client->got_bytes &&
	       (fault->kind == FAULT_SERVER_CLOSED || fault->kind == FAULT_SEND_FAILED);
}

// Whether the same server may be asked again on another connection. A request that the server
// says it has not seen may always be sent again (RFC 9113 section 8.7), as long as its body is
// still there.
static bool deserves_another(const struct proxying *proxying, const struct fault *fault)
{
	if (fault->kind == FAULT_CLIENT_GONE)
		return false;
	if (proxying->client->unseen)
		return try_can_repeat(proxying);
	return died_idle(proxying, fault) && may_repeat(proxying);
}

// --- One try

static void set_times(struct proxying *proxying)
{
	const struct timeouts *timeouts = proxying->exchange->route->timeouts;
	proxying->until_ns = proxying->deadline_ns;
	int64_t try_until_ns = loop_now() + timeouts->try_ns;
	if (timeouts->try_ns > 0 && try_until_ns < proxying->until_ns)
		proxying->until_ns = try_until_ns;
	proxying->settings.send_timeout_ns = try_time(timeouts->send_ns, proxying->until_ns);
}

static int ask(struct proxying *proxying, struct fault *ret_fault)
{
	if (connect_server(proxying, false, ret_fault) < 0)
		return -1;
	if (!is_alive(proxying)) {
		drop_connection(proxying);
		if (connect_server(proxying, true, ret_fault) < 0)
			return -1;
	}
	int result = converse(proxying, &proxying->response, ret_fault);
	if (result < 0 && deserves_another(proxying, ret_fault)) {
		trace_note(&proxying->exchange->trace, "reconnect", proxying->server->text, NULL, 0, TRACE_NO_VALUE);
		drop_connection(proxying);
		*ret_fault = (struct fault){0};
		if (connect_server(proxying, true, ret_fault) < 0)
			return -1;
		result = converse(proxying, &proxying->response, ret_fault);
	}
	if (result < 0)
		upstream_connection_explain(proxying->connection, ret_fault);
	return result;
}

// Which key it was that the wait came to its end by.
static void name_setting(const struct proxying *proxying, struct fault *fault)
{
	bool timed_out = fault->kind == FAULT_CONNECT_TIMEOUT || fault->kind == FAULT_SEND_TIMEOUT ||
			 fault->kind == FAULT_RESPONSE_TIMEOUT;
	if (timed_out && loop_now() >= proxying->until_ns)
		fault->setting = proxying->until_ns == proxying->deadline_ns ? "timeouts.total" : "timeouts.try";
}

void try_begin(struct proxying *proxying, struct server *server)
{
	struct exchange *exchange = proxying->exchange;
	proxying->server = server;
	proxying->is_hedged = false;
	exchange->server.tries++;
	exchange->server.address = server->text;
}

static void end_at_end(struct exchange *exchange, struct exchange_end *end)
{
	try_end(LIST_ENTRY((void *)end, struct proxying, end), &exchange->transaction.fault);
}

void try_end_with_exchange(struct proxying *proxying)
{
	exchange_at_end(proxying->exchange, &proxying->end, end_at_end);
}

int try_server(struct proxying *proxying, struct fault *ret_fault)
{
	struct exchange *exchange = proxying->exchange;
	proxying->response = (struct response){0};
	set_times(proxying);
	if (ask(proxying, ret_fault) < 0) {
		name_setting(proxying, ret_fault);
		return -1;
	}
	int64_t response_ns = loop_now() - proxying->client->sent_ns;
	proxying->answered = true;
	server_answered(proxying->server, proxying->response.status, response_ns);
	exchange->server.first_byte_ns = response_ns;
	exchange->server.status = proxying->response.status;
	trace_note(&exchange->trace, "server", proxying->server->text, NULL, 0, proxying->response.status);
	return 0;
}

void try_end(struct proxying *proxying, const struct fault *fault)
{
	struct server *server = proxying->server;
	if (!server)
		return;
	bool answered = proxying->answered;
	if (proxying->connection) {
		bool whole = client_fini(proxying->client) && !proxying->tunnelling && answered;
		if (whole)
			upstream_connection_keep(proxying->connection);
		else
			upstream_connection_close(proxying->connection);
		proxying->connection = NULL;
	}
	proxying->server = NULL;
	proxying->answered = false;
	enum server_outcome outcome = fault->kind ? server_outcome_of(fault)
				      : answered  ? SERVER_ANSWERED
						  : SERVER_ABANDONED;
	server_end(server, outcome, fault->kind);
}
