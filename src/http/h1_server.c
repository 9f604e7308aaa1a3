#include "http/h1_server.h"

#include "base/block.h"
#include "base/check.h"
#include "base/log.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "http/h1_connection.h"
#include "net/connection_count.h"
#include "net/tunnel.h"

#include <errno.h>
#include <stdlib.h>

enum {
	// After an answer to a request whose body was not read to its end: how much of it is
	// read and dropped, so that closing does not reset the connection under the answer.
	LINGER_BYTES = 1024 * 1024,
	DRAIN_BYTES = 64 * 1024,
	SPARE_ACTIVITIES_MAX = 1024,
};
#define LINGER_NS (5 * SECOND_NS)

// What becomes of a connection after a visit of its fiber.
enum next { NEXT_REQUEST, NEXT_PARK, NEXT_CLOSE, NEXT_LINGER, NEXT_TUNNEL };

static void connection_parked(struct stream *stream, void *argument);
static void connection_run(void *argument);

// --- The life of a connection

static void connection_peer(const struct h1_connection *connection, struct address *ret_peer)
{
	static const struct sockaddr local = {.sa_family = AF_UNIX};
	if (connection->peer_is_local)
		address_from_sockaddr(&local, sizeof local.sa_family, ret_peer);
	else
		address_from_sockaddr((const struct sockaddr *)&connection->peer, sizeof connection->peer, ret_peer);
}

// Takes what is needed to answer. False when memory is out.
static bool connection_wake(struct h1_connection *connection)
{
	struct h1_server *server = connection->server;
	struct h1_activity *activity = server->spare;
	if (connection->activity)
		return true;
	if (activity) {
		server->spare = activity->next;
		server->spares--;
	} else {
		activity = malloc(sizeof *activity);
	}
	if (!activity)
		return false;
	const struct tls_peer *tls = connection->is_taken ? ((struct h1_taken_connection *)connection)->tls : NULL;
	*activity = (struct h1_activity){.client = {.scheme = tls ? SLICE("https") : SLICE("http"),
						    .listener = connection->listener,
						    .number = connection->number,
						    .tls = tls}};
	connection_peer(connection, &activity->client.peer);
	h1_reader_init(&activity->reader, h1_connection_stream(connection));
	connection->activity = activity;
	return true;
}

static void connection_rest(struct h1_connection *connection)
{
	struct h1_server *server = connection->server;
	struct h1_activity *activity = connection->activity;
	if (!activity)
		return;
	h1_reader_fini(&activity->reader);
	connection->activity = NULL;
	if (server->spares >= SPARE_ACTIVITIES_MAX) {
		free(activity);
		return;
	}
	activity->next = server->spare;
	server->spare = activity;
	server->spares++;
}

static void connection_free(struct deferred *deferred)
{
	free(LIST_ENTRY((void *)deferred, struct h1_connection, deferred));
}

static void connection_close(struct h1_connection *connection)
{
	struct h1_server *server = connection->server;
	timer_stop(&connection->timer);
	connection_rest(connection);
	list_remove(&connection->link);
	if (connection->counted) {
		struct address peer;
		connection_peer(connection, &peer);
		connection_count_remove(&peer);
	}
	stream_close(h1_connection_stream(connection));
	server->connections--;
	if (server->closed)
		server->closed(server);
	loop_defer(&connection->deferred, connection_free);
}

// Gives fiber and buffer back until something comes. What has arrived of a head stays.
static void connection_park(struct h1_connection *connection)
{
	struct h1_activity *activity = connection->activity;
	if (activity && h1_reader_buffered(&activity->reader).length > 0) {
		activity->fiber = NULL;
		h1_reader_shrink(&activity->reader);
	} else {
		connection_rest(connection);
		timer_start(&connection->timer, loop_now() + connection->server->settings.idle_timeout_ns);
	}
	connection->server->parked++;
	stream_park(h1_connection_stream(connection), connection_parked, connection);
}

static void connection_unparked(struct h1_connection *connection)
{
	connection->server->parked--;
}

static bool connection_spawn(struct h1_connection *connection)
{
	if (!connection_wake(connection))
		return false;
	connection->activity->fiber = fiber_spawn("connection", connection_run, connection);
	return connection->activity->fiber != NULL;
}

static void connection_parked(struct stream *stream, void *argument)
{
	struct h1_connection *connection = argument;
	connection_unparked(connection);
	if (connection_spawn(connection))
		return;
	log_warning("no memory for another fiber (%zu in use): closing a connection", fiber_count());
	h1_refuse_bare(connection);
	connection_close(connection);
}

// The time for a whole head, or between two requests, is up. The fiber, if there is one, is
// answering and not concerned.
static void connection_timeout(struct timer *timer)
{
	struct h1_connection *connection = LIST_ENTRY((void *)timer, struct h1_connection, timer);
	struct h1_activity *activity = connection->activity;
	if (activity && activity->fiber)
		return;
	connection_unparked(connection);
	stream_unpark(h1_connection_stream(connection));
	if (activity) {
		activity->timed_out = true;
		if (connection_spawn(connection))
			return;
	}
	connection_close(connection);
}

static void connection_begin(struct h1_server *server, struct h1_connection *connection, const struct address *peer,
			     const char *listener)
{
	connection->server = server;
	connection->listener = listener;
	connection->number = ++server->accepted;
	connection->peer_is_local = peer->any.sa_family == AF_UNIX;
	if (!connection->peer_is_local)
		memcpy(&connection->peer, &peer->any, peer->length);
	list_init(&connection->link);
	list_push_back(&server->list, &connection->link);
	server->connections++;
	timer_init(&connection->timer, connection_timeout);
}

void h1_server_accept(struct h1_server *server, int descriptor, const struct address *peer, const char *listener)
{
	struct h1_plain_connection *plain = calloc(1, sizeof *plain);
	if (!plain) {
		struct kernel *kernel = loop_kernel();
		kernel->close(kernel, descriptor);
		return;
	}
	if (tcp_open(&plain->tcp, descriptor) < 0) {
		free(plain);
		return;
	}
	struct h1_connection *connection = &plain->connection;
	connection_begin(server, connection, peer, listener);
	connection->counted =
		connection_admit(peer, server->settings.connections, server->settings.connections_per_client);
	if (!connection->counted) {
		h1_refuse_bare(connection);
		connection_close(connection);
		return;
	}
	connection_park(connection);
	timer_start(&connection->timer, loop_now() + server->settings.header_timeout_ns);
}

void h1_server_take(struct h1_server *server, struct stream *stream, struct slice early, const struct address *peer,
		    const char *listener, const struct tls_peer *tls)
{
	struct h1_taken_connection *taken = calloc(1, sizeof *taken);
	if (!taken) {
		connection_count_remove(peer);
		stream_close(stream);
		return;
	}
	taken->stream = stream;
	taken->tls = tls;
	struct h1_connection *connection = &taken->connection;
	connection->is_taken = connection->counted = true;
	connection_begin(server, connection, peer, listener);
	timer_start(&connection->timer, loop_now() + server->settings.header_timeout_ns);
	if (early.length == 0) {
		connection_park(connection);
		timer_start(&connection->timer, loop_now() + server->settings.header_timeout_ns);
	} else if (!connection_wake(connection) || h1_reader_put(&connection->activity->reader, early) < 0 ||
		   !connection_spawn(connection)) {
		h1_refuse_bare(connection);
		connection_close(connection);
	}
}

// --- One request

static enum fault_kind head_fault(enum h1_head_result result)
{
	switch (result) {
	case H1_HEAD_TOO_LARGE:
		return FAULT_HEADER_TOO_LARGE;
	case H1_HEAD_BARE_LF:
		return FAULT_BAD_REQUEST;
	case H1_HEAD_TIMEOUT:
		return FAULT_HEADER_TIMEOUT;
	case H1_HEAD_NO_MEMORY:
		return FAULT_OUT_OF_MEMORY;
	case H1_HEAD_CUT:
		return FAULT_BAD_REQUEST;
	case H1_HEAD_CANCELLED:
	case H1_HEAD_FAILED:
		return FAULT_CLIENT_GONE;
	case H1_HEAD_WHOLE:
	case H1_HEAD_MORE:
	case H1_HEAD_NONE:
		return FAULT_NONE;
	}
	return FAULT_NONE;
}

static const char *head_detail(enum h1_head_result result)
{
	switch (result) {
	case H1_HEAD_TOO_LARGE:
		return "the header section is larger than limits.header";
	case H1_HEAD_BARE_LF:
		return "a bare LF ends a line";
	case H1_HEAD_CUT:
		return "the connection ended within the header section";
	case H1_HEAD_WHOLE:
	case H1_HEAD_MORE:
	case H1_HEAD_NONE:
	case H1_HEAD_TIMEOUT:
	case H1_HEAD_CANCELLED:
	case H1_HEAD_FAILED:
	case H1_HEAD_NO_MEMORY:
		return NULL;
	}
	return NULL;
}

static const char *head_setting(enum h1_head_result result)
{
	return result == H1_HEAD_TOO_LARGE ? "limits.header" : result == H1_HEAD_TIMEOUT ? "timeouts.header" : NULL;
}

// After the response: reads what is left of a short request body, so that the connection
// can carry another request. False when that is not worth it.
static bool drain_request(struct h1_work *work)
{
	struct slice bytes;
	uint64_t drained = 0;
	// Whoever sent the body on was cancelled when the answer came early; the connection was not.
	if (work->body.body.fault.system_error == ECANCELED)
		work->body.body.fault = (struct fault){0};
	while (!work->body.ended) {
		if (drained > DRAIN_BYTES || body_read(&work->body.body, &bytes) < 0)
			return false;
		if (bytes.length == 0)
			break;
		drained += bytes.length;
	}
	return true;
}

static void tunnel_ended(struct tunnel *tunnel)
{
	struct h1_work *work = LIST_ENTRY((void *)tunnel, struct h1_work, tunnel);
	struct h1_connection *connection = work->connection;
	struct transaction *transaction = work->transaction;
	transaction->request_body_bytes += tunnel->ways[0].bytes;
	transaction->response_body_bytes += tunnel->ways[1].bytes;
	transaction->response_bytes += tunnel->ways[1].bytes;
	transaction->tunnel.done(transaction);
	connection->activity->work = NULL;
	connection->server->service->end(transaction);
	connection_close(connection);
}

static enum next after_response(struct h1_work *work)
{
	struct transaction *transaction = work->transaction;
	if (transaction->tunnel.stream)
		return NEXT_TUNNEL;
	if (transaction->fault.kind == FAULT_CLIENT_GONE || transaction->fault.kind == FAULT_CLIENT_SLOW ||
	    !transaction->response_started || work->broken)
		return NEXT_CLOSE;
	if (transaction->close_after)
		return NEXT_LINGER;
	return drain_request(work) ? NEXT_REQUEST : NEXT_LINGER;
}

// Fills in the request, or the fault that made it none.
static void receive_request(struct h1_connection *connection, struct transaction *transaction, struct slice head,
			    enum h1_head_result result)
{
	const struct h1_server_settings *settings = &connection->server->settings;
	transaction->head_done_ns = loop_now();
	if (result != H1_HEAD_WHOLE) {
		fault_set(&transaction->fault, head_fault(result), "read request header", head_detail(result));
		transaction->fault.setting = head_setting(result);
	} else if (h1_parse_request(head, &settings->limits, &transaction->arena, &transaction->request,
				    &transaction->fault)) {
		h1_request_begin(connection, transaction);
		return;
	}
	transaction->close_after = true;
	if (!transaction->fault.step)
		transaction->fault.step = "read request header";
}

static enum next serve_request(struct h1_connection *connection, struct slice head, enum h1_head_result result)
{
	struct http_service *service = connection->server->service;
	struct transaction *transaction = service->begin(service, &connection->activity->client);
	if (!transaction || !h1_transaction_init(connection, transaction)) {
		h1_refuse_bare(connection);
		if (transaction)
			service->end(transaction);
		return NEXT_LINGER;
	}
	connection->requests++;
	receive_request(connection, transaction, head, result);
	stream_set_owner(h1_connection_stream(connection), connection->activity->fiber);
	service->serve(transaction);
	stream_set_owner(h1_connection_stream(connection), NULL);
	(void)fiber_clear_cancel();
	enum next next = after_response(connection->activity->work);
	if (next == NEXT_TUNNEL)
		return next;
	connection->activity->work = NULL;
	service->end(transaction);
	return next;
}

// Answers what has arrived, one request after the other (RFC 9112 section 9.3.2).
static enum next serve_requests(struct h1_connection *connection)
{
	struct h1_server *server = connection->server;
	// The first head's time may run already; what follows it is another head.
	bool begun = h1_reader_buffered(&connection->activity->reader).length > 0;
	for (;; begun = false) {
		struct slice head = SLICE_EMPTY;
		int error = 0;
		enum h1_head_result result = H1_HEAD_TIMEOUT;
		if (!connection->activity->timed_out)
			result = h1_reader_head(&connection->activity->reader, server->settings.header_bytes, true,
						H1_READ_TRY, "read request header", 0, &head, &error);
		bool in_head = h1_reader_buffered(&connection->activity->reader).length > 0;
		// The time may have run out while this fiber was about to look.
		if (result == H1_HEAD_MORE && in_head && begun && !timer_is_running(&connection->timer))
			result = H1_HEAD_TIMEOUT;
		if (result == H1_HEAD_MORE) {
			if (server->draining && !in_head)
				return NEXT_CLOSE;
			if (in_head && !begun)
				timer_start(&connection->timer, loop_now() + server->settings.header_timeout_ns);
			return NEXT_PARK;
		}
		if (result == H1_HEAD_NONE || result == H1_HEAD_FAILED || result == H1_HEAD_CANCELLED)
			return NEXT_CLOSE;
		enum next next = serve_request(connection, head, result);
		if (next != NEXT_REQUEST)
			return next;
		if (server->aborting)
			return NEXT_CLOSE;
	}
}

// Reads on for a moment after the last response, so that a close does not reset the
// connection and take the response with it (RFC 9112 section 9.6).
static void linger(struct h1_connection *connection)
{
	char *dropped = block_take(); // not on the stack, of which every fiber would have it
	int64_t deadline_ns = loop_now() + LINGER_NS;
	size_t total = 0;
	ssize_t got = stream_shutdown(h1_connection_stream(connection)) < 0 || !dropped ? -1 : 1;
	while (got > 0 && total < LINGER_BYTES) {
		got = stream_read(h1_connection_stream(connection), dropped, BLOCK_SIZE, "linger", deadline_ns);
		total += got > 0 ? (size_t)got : 0;
	}
	block_give(dropped);
}

static void start_tunnel(struct h1_connection *connection)
{
	struct transaction *transaction = connection->activity->work->transaction;
	// The buffer stays to the end: the log reads the head in it.
	struct slice early = h1_reader_buffered(&connection->activity->reader);
	connection->activity->fiber = NULL;
	timer_stop(&connection->timer); // still set for the request
	const struct tunnel_end *server = &transaction->tunnel;
	tunnel_start(&connection->activity->work->tunnel,
		     (struct tunnel_side){h1_connection_stream(connection), early, server->receive},
		     (struct tunnel_side){server->stream, server->early, server->send}, server->idle_ns, tunnel_ended);
}

static void connection_run(void *argument)
{
	struct h1_connection *connection = argument;
	switch (serve_requests(connection)) {
	case NEXT_REQUEST:
	case NEXT_PARK:
		connection_park(connection);
		return;
	case NEXT_TUNNEL:
		start_tunnel(connection);
		return;
	case NEXT_LINGER:
		linger(connection);
		break;
	case NEXT_CLOSE:
		break;
	}
	connection_close(connection);
}

// --- All connections of a thread

struct h1_server *h1_server_new(struct http_service *service, const struct h1_server_settings *settings)
{
	struct h1_server *server = calloc(1, sizeof *server);
	if (!server)
		return NULL;
	server->service = service;
	server->settings = *settings;
	list_init(&server->list);
	return server;
}

void h1_server_set(struct h1_server *server, const struct h1_server_settings *settings)
{
	server->settings = *settings;
}

static void close_if_idle(struct h1_connection *connection)
{
	if (connection->activity)
		return;
	connection_unparked(connection);
	stream_unpark(h1_connection_stream(connection));
	connection_close(connection);
}

void h1_server_announce_drain(struct h1_server *server)
{
	server->draining = true;
}

void h1_server_drain(struct h1_server *server)
{
	server->draining = true;
	for (struct list_link *link = server->list.next, *next; link != &server->list; link = next) {
		next = link->next;
		close_if_idle(LIST_ENTRY(link, struct h1_connection, link));
	}
}

void h1_server_abort(struct h1_server *server)
{
	h1_server_drain(server);
	server->aborting = true;
	for (struct list_link *link = server->list.next, *next; link != &server->list; link = next) {
		next = link->next;
		struct h1_connection *connection = LIST_ENTRY(link, struct h1_connection, link);
		struct h1_activity *activity = connection->activity;
		if (activity && activity->fiber)
			fiber_cancel(activity->fiber);
		else if (activity && activity->work)
			tunnel_abort(&activity->work->tunnel);
		else
			connection_timeout(&connection->timer);
	}
}

uint32_t h1_server_connections(const struct h1_server *server)
{
	return server->connections;
}

uint32_t h1_server_idle(const struct h1_server *server)
{
	return server->parked;
}

void h1_server_free(struct h1_server *server)
{
	check(server->connections == 0);
	for (struct h1_activity *spare; (spare = server->spare);) {
		server->spare = spare->next;
		free(spare);
	}
	free(server);
}
