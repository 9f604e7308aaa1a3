// Sends the request to a server of a pool and passes its response on.
#include "handlers/proxy.h"

#include "base/check.h"
#include "exchange/snapshot.h"
#include "fiber/fiber.h"
#include "http/h1_client.h"
#include "http/h2_client.h"
#include "http/uri.h"
#include "upstream/connection.h"
#include "upstream/pool.h"
#include "upstream/pool_config.h"

#include <errno.h>

// How long a client's body that waits for 100 (Continue) is held for the server's word
// (RFC 9110 section 10.1.1: a client must not wait for ever either).
#define CONTINUE_NS SECOND_NS

// More of our own names in Via (RFC 9110 section 7.6.3) than any sensible setup has.
enum { VIA_LOOP_MAX = 8 };

// Interim responses to one request; a server that sends more has lost its way.
enum { INTERIM_MAX = 64 };

// --- Keys

static const char *const forwarded_choices[] = {"both", "x-forwarded", "forwarded", "off", NULL};

static const struct config_key proxy_keys[] = {
	{.name = "to",
	 .kind = CONFIG_TEXTS,
	 .offset = offsetof(struct proxy_config, to),
	 .required = true,
	 .help = "The name of a pool, or one or several addresses of servers.",
	 .form = "a pool's name, or an address such as http://127.0.0.1:3000 or unix:/run/app.sock"},
	{.name = "host",
	 .kind = CONFIG_TEXT,
	 .offset = offsetof(struct proxy_config, host),
	 .standard = "preserve",
	 .help = "The Host that servers get: `preserve` the client's, `server` for the address of the server, or a "
		 "name.",
	 .form = "preserve, server, or a host name"},
	{.name = "forwarded",
	 .kind = CONFIG_CHOICE,
	 .offset = offsetof(struct proxy_config, forwarded),
	 .choices = forwarded_choices,
	 .standard = "both",
	 .help = "How servers learn of the client: X-Forwarded-For, -Proto and -Host, Forwarded (RFC 7239), both, or "
		 "not at all."},
	{0},
};

static const struct config_section proxy_section = {
	.name = "proxy",
	.help = "Sends requests to a server of a pool.",
	.size = sizeof(struct proxy_config),
	.keys = proxy_keys,
	.place_offset = offsetof(struct proxy_config, place),
	.shorthand = "to",
};

static bool proxy_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
		       const void **ret_config)
{
	struct proxy_config *config = value;
	uint16_t port;
	struct slice host;
	config->request.forwarded = (enum proxy_forwarded)config->forwarded;
	if (slice_equal(config->host.text, SLICE("preserve"))) {
		config->request.host = PROXY_HOST_PRESERVE;
	} else if (slice_equal(config->host.text, SLICE("server"))) {
		config->request.host = PROXY_HOST_SERVER;
	} else if (uri_parse_authority(config->host.text, &host, &port)) {
		config->request.host = PROXY_HOST_FIXED;
		config->request.host_text = config->host.text;
	} else {
		config_error(load, config->host.place,
			     "\"%.*s\" is not a host; expected preserve, server, or a host name",
			     SLICE_ARGUMENTS(config->host.text));
		return false;
	}
	struct pool_set *pools = snapshot_section(snapshot, &pools_section);
	// Several routes may share the value. There are no pools only where memory is out.
	if (!config->pool && pools)
		config->pool = pool_set_target(load, pools, &config->to);
	*ret_config = config;
	return config->pool != NULL;
}

// --- Handling

// One exchange's way through the servers of a pool.
struct proxying {
	struct exchange *exchange;
	const struct proxy_config *config;
	struct client_request request;
	struct client_settings settings;
	struct pick pick;
	struct server *server;			// of this try; NULL between tries
	struct upstream_connection *connection; // of this try, once there is one
	struct http_client *client;		// on the connection
	union {
		struct h1_client h1;
		struct h2_client h2;
	} kind;
	struct exchange_end end;
	int64_t step_started_ns;
	bool answered;	 // the head of the final response came
	bool tunnelling; // the connection speaks another protocol now
};

static int try_server(struct proxying *proxying, struct fault *ret_fault);
static bool may_go_on(const struct proxying *proxying, const struct fault *fault);
static void end_try(struct proxying *proxying, const struct fault *fault);
static void end_at_end(struct exchange *exchange, struct exchange_end *end);

// --- The main path

static bool prepare(struct proxying *proxying, struct exchange *exchange, const struct proxy_config *config)
{
	const struct limits *limits = exchange->snapshot->limits;
	const struct timeouts *timeouts = exchange->route->timeouts;
	proxying->exchange = exchange;
	proxying->config = config;
	proxying->server = NULL;
	proxying->connection = NULL;
	proxying->answered = proxying->tunnelling = false;
	proxying->settings = (struct client_settings){
		.header_bytes = (uint32_t)limits->header_bytes,
		.limits = {.fields = (uint32_t)limits->fields, .target_bytes = (uint32_t)limits->target_bytes},
		.send_timeout_ns = timeouts->send_ns,
		.response_timeout_ns = timeouts->response_ns,
		.read_timeout_ns = timeouts->read_ns,
	};
	pick_init(&proxying->pick);
	if (pool_hashes(config->pool->pool))
		proxying->pick.hash = pick_key_hash(&config->pool->hash.key, &config->pool->hash.hash_key, exchange);
	exchange->server.pool = pool_name(config->pool->pool);
	exchange_at_end(exchange, &proxying->end, end_at_end);
	return proxy_request_make(exchange, &config->request, &proxying->request);
}

// Tries servers until one has answered, or none may be tried any more.
static void try_servers(struct proxying *proxying)
{
	struct exchange *exchange = proxying->exchange;
	struct pool *pool = proxying->config->pool->pool;
	struct fault fault = {0};
	while ((proxying->server = pool_pick(pool, &proxying->pick)) != NULL) {
		fault = (struct fault){0};
		exchange->server.tries++;
		exchange->server.address = proxying->server->text;
		if (try_server(proxying, &fault) == 0)
			return;
		fault.after_ns = loop_now() - proxying->step_started_ns;
		trace_note(&exchange->trace, fault_word(fault.kind), proxying->server->text, NULL, 0,
			   fault.system_error);
		bool go_on = may_go_on(proxying, &fault);
		end_try(proxying, &fault);
		if (!go_on)
			break;
	}
	// Where servers were tried and failed, that is what the visitor hears of.
	if (fault.kind == FAULT_NONE)
		fault = (struct fault){.kind = proxying->pick.fault, .step = "pick server"};
	exchange->retry_after_ns = proxying->pick.retry_after_ns;
	if (!exchange_failed(exchange))
		exchange->transaction.fault = fault;
}

static bool loops(const struct fields *fields)
{
	unsigned ours = 0;
	for (uint32_t i = 0; i < fields->count; i++) {
		struct slice rest = fields->items[i].value, member;
		while (fields->items[i].id == FIELD_VIA && slice_next_member(&rest, &member))
			ours += slice_ends_with(member, SLICE(" usher"));
	}
	return ours >= VIA_LOOP_MAX;
}

static void proxy_handle(struct exchange *exchange, const void *config)
{
	const struct request *request = exchange_request(exchange);
	// RFC 9110 section 7.6.2: an OPTIONS that may go no further is answered here.
	if (request->method == METHOD_OPTIONS &&
	    slice_equal(fields_value(&request->fields, FIELD_MAX_FORWARDS), SLICE("0"))) {
		exchange_answer(exchange, 204, SLICE_EMPTY, SLICE_EMPTY);
		return;
	}
	if (loops(&request->fields)) {
		exchange_fail(exchange, FAULT_LOOP, "proxy", "usher's own name is in Via too often");
		return;
	}
	struct proxying *proxying = arena_alloc(exchange_arena(exchange), sizeof *proxying);
	if (proxying && prepare(proxying, exchange, config))
		try_servers(proxying);
	else
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "proxy", NULL);
}

// --- One try

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
	int64_t timeout_ns = exchange->route->timeouts->connect_ns;
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

// Sends the request on the connection and waits for the final head; interim ones go to the
// client as they come (RFC 9110 section 15.2).
static int converse(struct proxying *proxying, struct response *ret_response, struct fault *ret_fault)
{
	struct exchange *exchange = proxying->exchange;
	struct http_client *client = proxying->client;
	proxy_request_address(&proxying->request, exchange, &proxying->config->request, proxying->server);
	proxying->step_started_ns = loop_now();
	if (client_send(client, &proxying->request, ret_fault) < 0)
		return -1;
	for (unsigned interims = 0; interims <= INTERIM_MAX; interims++) {
		bool holds = client_holds_body(client);
		int result = client_read_head(client, holds ? CONTINUE_NS : 0, ret_response, ret_fault);
		if (result < 0)
			return -1;
		bool interim = result == 0 && ret_response->status < 200 && ret_response->status != 101;
		if (result == 0 && !interim)
			return 0;
		if (interim)
			fields_remove_hop_by_hop(&ret_response->fields);
		if (interim && exchange_inform(exchange, ret_response) < 0)
			return -1;
		bool go_ahead = result == 1 || ret_response->status == 100;
		if (holds && go_ahead && client_send_body(client, ret_fault) < 0)
			return -1;
	}
	fault_set(ret_fault, FAULT_RESPONSE_BAD, "read response header", "too many interim responses");
	return -1;
}

static void take_response(struct proxying *proxying, const struct response *from);

// A connection that was idle may be closed by the server at the very moment it is used
// again. One that proves dead before a byte came is replaced by a fresh one, where the
// request may be sent twice; one that would carry a request that may not is asked first.
static bool died_idle(const struct proxying *proxying, const struct fault *fault)
{
	return proxying->connection && proxying->connection->reused && !proxying->client->got_bytes &&
	       (fault->kind == FAULT_SERVER_CLOSED || fault->kind == FAULT_SEND_FAILED);
}

static bool is_repeatable(const struct proxying *proxying)
{
	const struct request *request = exchange_request(proxying->exchange);
	return method_is_idempotent(request->method) &&
	       (proxying->request.framing == BODY_NONE || request->body->length == 0);
}

// Whether the same server may be asked again on another connection. A request that the server
// says it has not seen may always be sent again (RFC 9113 section 8.7), as long as its body is
// still there.
static bool deserves_another(const struct proxying *proxying, const struct fault *fault)
{
	if (fault->kind == FAULT_CLIENT_GONE)
		return false;
	if (proxying->client->unseen)
		return fault->retry_safe;
	return died_idle(proxying, fault) && is_repeatable(proxying);
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
	return !proxying->connection->reused || is_repeatable(proxying) ||
	       upstream_connection_is_alive(proxying->connection);
}

// 0 when the head of the final response has come and stands in the exchange.
static int try_server(struct proxying *proxying, struct fault *ret_fault)
{
	struct response response = {0};
	if (connect_server(proxying, false, ret_fault) < 0)
		return -1;
	if (!is_alive(proxying)) {
		drop_connection(proxying);
		if (connect_server(proxying, true, ret_fault) < 0)
			return -1;
	}
	int result = converse(proxying, &response, ret_fault);
	if (result < 0 && deserves_another(proxying, ret_fault)) {
		trace_note(&proxying->exchange->trace, "reconnect", proxying->server->text, NULL, 0, TRACE_NO_VALUE);
		drop_connection(proxying);
		*ret_fault = (struct fault){0};
		if (connect_server(proxying, true, ret_fault) < 0)
			return -1;
		result = converse(proxying, &response, ret_fault);
	}
	if (result < 0) {
		upstream_connection_explain(proxying->connection, ret_fault);
		return -1;
	}
	int64_t response_ns = loop_now() - proxying->client->sent_ns;
	proxying->answered = true;
	server_answered(proxying->server, response.status, response_ns);
	proxying->exchange->server.first_byte_ns = response_ns;
	proxying->exchange->server.status = response.status;
	trace_note(&proxying->exchange->trace, "server", proxying->server->text, NULL, 0, response.status);
	take_response(proxying, &response);
	return 0;
}

// RFC 9110 section 9.2.2: a request that the server may have acted on is sent again only
// when that makes no difference; one that it cannot have seen always may be.
static bool may_go_on(const struct proxying *proxying, const struct fault *fault)
{
	if (exchange_failed(proxying->exchange) || fault->kind == FAULT_CLIENT_GONE)
		return false;
	if (fault->retry_safe)
		return true;
	bool unanswered = fault->kind == FAULT_SERVER_CLOSED || fault->kind == FAULT_SEND_FAILED;
	return unanswered && !proxying->client->got_bytes && is_repeatable(proxying);
}

// The connection goes back to the idle ones when it may carry another request.
static void end_try(struct proxying *proxying, const struct fault *fault)
{
	struct server *server = proxying->server;
	if (!server)
		return;
	if (proxying->connection) {
		bool whole = client_fini(proxying->client) && !proxying->tunnelling && proxying->answered;
		if (whole)
			upstream_connection_keep(proxying->connection);
		else
			upstream_connection_close(proxying->connection);
		proxying->connection = NULL;
	}
	proxying->server = NULL;
	enum server_outcome outcome = fault->kind	   ? server_outcome_of(fault)
				      : proxying->answered ? SERVER_ANSWERED
							   : SERVER_ABANDONED;
	server_end(server, outcome, fault->kind);
}

static void end_at_end(struct exchange *exchange, struct exchange_end *end)
{
	end_try(LIST_ENTRY((void *)end, struct proxying, end), &exchange->transaction.fault);
}

// --- The response

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

// Takes over the server's response, without what concerns its connection only.
static void take_response(struct proxying *proxying, const struct response *from)
{
	struct exchange *exchange = proxying->exchange;
	struct response *response = exchange_response(exchange);
	*response = *from;
	struct slice upgrade = fields_value(&response->fields, FIELD_UPGRADE);
	fields_remove_hop_by_hop(&response->fields);
	if (!fields_add(&response->fields, exchange_arena(exchange), FIELD_VIA,
			http_via(from->version_major, from->version_minor)))
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "read response header", NULL);
	if (response->status == 101)
		start_tunnel(proxying, upgrade);
}

const struct handler_type proxy_handler = {
	.order = HANDLER_PROXY,
	.key = {.name = "proxy",
		.kind = CONFIG_OPTIONAL,
		.section = &proxy_section,
		.help = "Sends requests to a server of a pool.",
		.form = "a pool's name, or an address such as http://127.0.0.1:3000"},
	.load = proxy_load,
	.handle = proxy_handle,
	.ends = true,
};
