// The life of one stream's exchange: from HEADERS to the last frame.
#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "http/h2_connection.h"

enum { WEBSOCKET_KEY_LENGTH = 24 };

static void exchange_run(void *argument);

struct h2_exchange *h2_exchange_new(struct h2_connection *connection, int32_t id)
{
	struct h2_server *server = connection->server;
	const struct h2_server_settings *settings = &server->settings;
	struct transaction *transaction = server->service->begin(server->service, &connection->client);
	if (!transaction)
		return NULL;
	struct h2_exchange *exchange = arena_zalloc(&transaction->arena, sizeof *exchange);
	if (!exchange) {
		server->service->end(transaction);
		return NULL;
	}
	exchange->connection = connection;
	exchange->transaction = transaction;
	exchange->id = id;
	list_init(&exchange->link);
	list_push_back(&connection->exchanges, &exchange->link);
	server->idle -= connection->exchange_count == 0;
	connection->exchange_count++;
	h2_section_init(&exchange->section, &transaction->arena, &settings->limits, settings->header_bytes, false,
			false);
	transaction->operations = &h2_transaction_operations;
	transaction->client = &connection->client;
	transaction->carrier = exchange;
	transaction->request.version_major = 2;
	transaction->request.version_minor = 1;
	transaction->request.body = body_empty();
	transaction->started_ns = loop_now();
	transaction->body_timeout_ns = settings->body_timeout_ns;
	transaction->send_timeout_ns = settings->send_timeout_ns;
	(void)nghttp2_session_set_stream_user_data(connection->session, id, exchange);
	return exchange;
}

// --- The head is there

// RFC 6455 section 4.1: what the server of a WebSocket over HTTP/1.1 must get, 16 bytes in
// base64. Over HTTP/2 nothing is checked against it (RFC 8441 section 5).
static bool add_websocket_key(struct transaction *transaction)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint64_t numbers[3] = {random_number(), random_number()};
	const uint8_t *bytes = (const uint8_t *)numbers;
	char *key = arena_alloc(&transaction->arena, WEBSOCKET_KEY_LENGTH);
	if (!key)
		return false;
	for (size_t i = 0; i < WEBSOCKET_KEY_LENGTH; i++) {
		size_t at = i / 4 * 3;
		uint32_t group = (uint32_t)bytes[at] << 16 | (uint32_t)bytes[at + 1] << 8 | bytes[at + 2];
		key[i] = digits[group >> (18 - i % 4 * 6) & 63];
	}
	memcpy(key + WEBSOCKET_KEY_LENGTH - 2, "==", 2);
	return fields_add_name(&transaction->request.fields, &transaction->arena, SLICE("Sec-WebSocket-Key"),
			       slice_from(key, WEBSOCKET_KEY_LENGTH));
}

// Fills in the request, or the fault that made it none.
static void receive_request(struct h2_exchange *exchange, bool end_stream)
{
	struct transaction *transaction = exchange->transaction;
	struct fault fault = transaction->fault, found = {0};
	bool is_good = h2_section_to_request(&exchange->section, end_stream, &transaction->request, &found);
	transaction->head_done_ns = loop_now();
	transaction->request.body = body_empty();
	if (fault.kind || !is_good) {
		transaction->fault = fault.kind ? fault : found;
		return;
	}
	exchange->is_extended = exchange->section.protocol.data != NULL;
	if (exchange->is_extended && !add_websocket_key(transaction))
		fault_set(&transaction->fault, FAULT_OUT_OF_MEMORY, "read request header", NULL);
	else if (!exchange->is_extended)
		h2_request_body_init(exchange, end_stream);
	exchange->body_ended = end_stream;
}

static void refuse_bare(struct h2_exchange *exchange)
{
	static const nghttp2_nv list[] = {
		{(uint8_t *)":status", (uint8_t *)"503", 7, 3, NGHTTP2_NV_FLAG_NONE},
		{(uint8_t *)"retry-after", (uint8_t *)"1", 11, 1, NGHTTP2_NV_FLAG_NONE},
	};
	(void)nghttp2_submit_response(exchange->connection->session, exchange->id, list, sizeof(list) / sizeof(list[0]),
				      NULL);
}

void h2_exchange_start(struct h2_exchange *exchange, bool end_stream)
{
	if (exchange->started)
		return;
	exchange->started = true;
	receive_request(exchange, end_stream);
	exchange->fiber = fiber_spawn("exchange", exchange_run, exchange);
	if (exchange->fiber)
		return;
	log_warning("no memory for another fiber (%zu in use): refusing a request", fiber_count());
	fault_set(&exchange->transaction->fault, FAULT_OUT_OF_MEMORY, "begin", NULL);
	refuse_bare(exchange);
	h2_exchange_end(exchange);
}

// --- Serving

static void tunnel_ended(struct tunnel *tunnel)
{
	struct h2_exchange *exchange = LIST_ENTRY((void *)tunnel, struct h2_exchange, tunnel);
	struct transaction *transaction = exchange->transaction;
	transaction->request_body_bytes += tunnel->ways[0].bytes;
	transaction->response_body_bytes += tunnel->ways[1].bytes;
	transaction->tunnel.done(transaction);
	h2_exchange_end(exchange);
}

// Gives the fiber back: the loop moves what comes.
static void start_tunnel(struct h2_exchange *exchange)
{
	const struct tunnel_end *server = &exchange->transaction->tunnel;
	(void)fiber_clear_cancel();
	exchange->fiber = NULL;
	h2_stream_init(exchange);
	exchange->is_tunnel = true;
	tunnel_start(&exchange->tunnel, (struct tunnel_side){&exchange->stream, SLICE_EMPTY, server->receive},
		     (struct tunnel_side){server->stream, server->early, server->send}, server->idle_ns, tunnel_ended);
}

static void exchange_run(void *argument)
{
	struct h2_exchange *exchange = argument;
	struct transaction *transaction = exchange->transaction;
	// Nothing is begun for a client that took its request back at once.
	if (exchange->closed && !transaction->fault.kind)
		fault_set(&transaction->fault, FAULT_CLIENT_GONE, "read request header", NULL);
	else
		exchange->connection->server->service->serve(transaction);
	if (transaction->tunnel.stream)
		start_tunnel(exchange);
	else
		h2_exchange_end(exchange);
}

// --- The end

void h2_exchange_cancel(struct h2_exchange *exchange)
{
	if (exchange->fiber) {
		fiber_cancel(exchange->fiber);
	} else if (exchange->is_tunnel) {
		tunnel_abort(&exchange->tunnel);
	} else {
		fault_set(&exchange->transaction->fault, FAULT_CLIENT_GONE, "read request header", NULL);
		h2_exchange_end(exchange);
	}
}

void h2_exchange_closed(struct h2_exchange *exchange, uint32_t error_code)
{
	const struct request *request = &exchange->transaction->request;
	exchange->closed = true;
	// nghttp2 holds Content-Length against the data (RFC 9113 section 8.1.1).
	if (error_code == NGHTTP2_PROTOCOL_ERROR && request->framing == BODY_LENGTH &&
	    exchange->body_bytes != request->content_length && !exchange->body_ended)
		fault_set(&exchange->body.fault, FAULT_BAD_FRAMING, "read request body",
			  "the data does not have the length that Content-Length says");
	if (exchange->reader)
		fiber_wake(exchange->reader);
	if (exchange->sender)
		fiber_wake(exchange->sender);
	if (exchange->is_tunnel)
		h2_stream_notify(exchange);
	else if (!exchange->end_taken || !exchange->started)
		h2_exchange_cancel(exchange);
}

// What the client is told of a stream that ends before both sides have said so.
static uint32_t error_code_of(const struct h2_exchange *exchange)
{
	enum fault_kind kind = exchange->transaction->fault.kind;
	if (exchange->end_taken)
		return NGHTTP2_NO_ERROR; // RFC 9113 section 8.1: the rest of the request is not needed
	if (kind == FAULT_CLIENT_GONE || kind == FAULT_CLIENT_SLOW || exchange->is_tunnel)
		return NGHTTP2_CANCEL;
	return NGHTTP2_INTERNAL_ERROR;
}

static void release_stream(struct h2_exchange *exchange)
{
	struct h2_connection *connection = exchange->connection;
	h2_request_body_drop(exchange);
	if (exchange->closed || connection->failed)
		return;
	(void)nghttp2_session_set_stream_user_data(connection->session, exchange->id, NULL);
	bool both_ended = exchange->end_taken && exchange->body_ended;
	if (!both_ended &&
	    nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, exchange->id, error_code_of(exchange)))
		h2_connection_fail(connection); // its frames may point into the exchange
}

void h2_exchange_end(struct h2_exchange *exchange)
{
	struct h2_connection *connection = exchange->connection;
	struct h2_server *server = connection->server;
	if (connection->section == exchange)
		connection->section = NULL;
	list_remove(&exchange->link);
	release_stream(exchange);
	connection->exchange_count--;
	server->idle += connection->exchange_count == 0;
	exchange->transaction->request_body_bytes = exchange->body_bytes;
	server->service->end(exchange->transaction);
	h2_output_soon(connection);
	h2_connection_set_timer(connection);
	h2_connection_settle(connection);
}
