#include "http/h2_server.h"

#include "base/check.h"
#include "base/log.h"
#include "http/h2_connection.h"
#include "http/h2_memory.h"
#include "net/connection_count.h"
#include "observe/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	// Other connections have their turn after so many bytes.
	VISIT_BYTES_MAX = 4 * BLOCK_SIZE,
	// A client that does not take what is sent is not heard either, when so many frames wait.
	QUEUED_FRAMES_MAX = 1024,
};
// How long the client's end is awaited after the last word, so that closing does not reset
// the connection under it.
#define LINGER_NS (2 * SECOND_NS)

static void connection_readable(struct stream *stream, void *argument);

// --- The end of a connection

static void connection_free(struct deferred *deferred)
{
	free(LIST_ENTRY((void *)deferred, struct h2_connection, freed));
}

static void connection_close(struct h2_connection *connection)
{
	struct h2_server *server = connection->server;
	check(connection->exchange_count == 0 && !connection->writer && !connection->flushing);
	connection->closed = true;
	timer_stop(&connection->timer);
	list_remove(&connection->link);
	connection_count_remove(&connection->client.peer);
	h2_output_drop(connection);
	nghttp2_session_del(connection->session);
	stream_close(connection->stream);
	server->connections--;
	server->idle--;
	loop_defer(&connection->freed, connection_free);
}

static void unpark(struct h2_connection *connection)
{
	if (!connection->parked)
		return;
	connection->parked = false;
	stream_unpark(connection->stream);
}

static void cancel_exchanges(struct h2_connection *connection)
{
	for (struct list_link *link = connection->exchanges.next, *next; link != &connection->exchanges; link = next) {
		next = link->next;
		h2_exchange_cancel(LIST_ENTRY(link, struct h2_exchange, link));
	}
}

// Whoever works for a stream of a lost connection need not wait for anything on it.
static void close_exchanges(struct h2_connection *connection)
{
	for (struct list_link *link = connection->exchanges.next, *next; link != &connection->exchanges; link = next) {
		next = link->next;
		h2_exchange_closed(LIST_ENTRY(link, struct h2_exchange, link), NGHTTP2_NO_ERROR);
	}
}

void h2_connection_fail(struct h2_connection *connection)
{
	if (connection->failed)
		return;
	connection->failed = true;
	timer_stop(&connection->timer);
	unpark(connection);
	if (connection->writer)
		fiber_cancel(connection->writer);
	close_exchanges(connection);
}

static void count_abuse(const struct h2_connection *connection)
{
	enum h2_abuse abuse = connection->limits.over;
	char buffer[ADDRESS_TEXT_MAX], labels[64];
	const char *setting = h2_abuse_setting(abuse);
	struct slice peer = address_format(&connection->client.peer, buffer);
	log_warning("%.*s: %s: ending its HTTP/2 connection%s%s%s", SLICE_ARGUMENTS(peer), h2_abuse_words(abuse),
		    setting ? " (" : "", setting ? setting : "", setting ? ")" : "");
	snprintf(labels, sizeof labels, "reason=\"%s\"", h2_abuse_label(abuse));
	metric_count(metric_register(METRIC_COUNTER, "usher_http2_abuse_total", labels,
				     "HTTP/2 connections ended for what their clients asked"));
}

void h2_connection_doom(struct h2_connection *connection, uint32_t error_code)
{
	if (connection->doomed || connection->failed)
		return;
	connection->doomed = true;
	if (connection->limits.over)
		count_abuse(connection);
	if (nghttp2_session_terminate_session(connection->session, error_code)) {
		h2_connection_fail(connection);
		return;
	}
	cancel_exchanges(connection);
	h2_output_soon(connection);
}

// All is said: the client's end is awaited for a while. In a fiber, since the last record of
// TLS may have to wait for room.
static void linger_run(void *argument)
{
	struct h2_connection *connection = argument;
	int error = stream_shutdown(connection->stream);
	connection->writer = NULL;
	if (error) {
		h2_connection_fail(connection);
	} else if (!connection->failed) {
		timer_start(&connection->timer, loop_now() + LINGER_NS);
		h2_connection_read_on(connection);
	}
	h2_connection_settle(connection);
}

static void linger(struct h2_connection *connection)
{
	connection->lingering = true;
	connection->writer = fiber_spawn("HTTP/2 goodbye", linger_run, connection);
	if (connection->writer)
		return;
	h2_connection_fail(connection);
	connection_close(connection);
}

void h2_connection_settle(struct h2_connection *connection)
{
	if (connection->closed || connection->in_session || connection->exchange_count > 0 || connection->writer ||
	    connection->flushing)
		return;
	bool over = connection->doomed || connection->goodbye == H2_SAID;
	if (connection->failed)
		connection_close(connection);
	else if (over && !connection->lingering && h2_output_is_done(connection))
		linger(connection);
}

// --- Goodbye (RFC 9113 section 6.8)

void h2_connection_announce(struct h2_connection *connection)
{
	if (connection->goodbye != H2_STAYS || connection->failed)
		return;
	connection->goodbye = H2_ANNOUNCED;
	if (nghttp2_submit_shutdown_notice(connection->session) ||
	    nghttp2_submit_ping(connection->session, NGHTTP2_FLAG_NONE, NULL))
		h2_connection_fail(connection);
	h2_output_soon(connection);
}

void h2_connection_say_goodbye(struct h2_connection *connection)
{
	if (connection->goodbye == H2_SAID || connection->failed)
		return;
	connection->goodbye = H2_SAID;
	if (nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE,
				  nghttp2_session_get_last_proc_stream_id(connection->session), NGHTTP2_NO_ERROR, NULL,
				  0))
		h2_connection_fail(connection);
	h2_output_soon(connection);
}

// --- Reading

static void park(struct h2_connection *connection)
{
	connection->parked = true;
	stream_park(connection->stream, connection_readable, connection);
}

static bool may_read(const struct h2_connection *connection)
{
	return !connection->closed && !connection->failed &&
	       nghttp2_session_get_outbound_queue_size(connection->session) < QUEUED_FRAMES_MAX;
}

void h2_connection_read_on(struct h2_connection *connection)
{
	if (!connection->parked && may_read(connection))
		park(connection);
}

static void receive(struct h2_connection *connection, struct slice bytes)
{
	// What comes after the last word is not for anybody.
	if (!connection->lingering)
		h2_frames_receive(connection, bytes);
}

static void connection_readable(struct stream *stream, void *argument)
{
	struct h2_connection *connection = argument;
	connection->parked = false;
	char *block = block_take();
	ssize_t got = block ? 1 : -ENOMEM;
	for (size_t bytes = 0; got > 0 && bytes < VISIT_BYTES_MAX && may_read(connection); bytes += (size_t)got) {
		got = stream_try_read(stream, block, BLOCK_SIZE);
		if (got > 0)
			receive(connection, slice_from(block, (size_t)got));
	}
	block_give(block);
	if (got <= 0 && got != -EAGAIN)
		h2_connection_fail(connection);
	h2_connection_read_on(connection);
	h2_output_soon(connection);
	h2_connection_settle(connection);
}

// --- Waiting for the client

void h2_connection_set_timer(struct h2_connection *connection)
{
	const struct h2_server_settings *settings = &connection->server->settings;
	if (connection->closed || connection->failed || connection->lingering || !connection->greeted)
		return;
	if (connection->section)
		timer_start(&connection->timer, loop_now() + settings->header_timeout_ns);
	else if (connection->exchange_count == 0)
		timer_start(&connection->timer, loop_now() + settings->idle_timeout_ns);
	else
		timer_stop(&connection->timer);
}

// RFC 9113 section 4.3: nothing else can be read before the section is whole, so that the
// connection ends with its answer.
static void section_timeout(struct h2_connection *connection)
{
	struct h2_exchange *exchange = connection->section;
	connection->section = NULL;
	struct fault *fault = exchange->started ? &exchange->body.fault : &exchange->transaction->fault;
	fault_set(fault, FAULT_HEADER_TIMEOUT, "read request header", NULL);
	fault->setting = "timeouts.header";
	if (exchange->started)
		h2_request_body_end(exchange);
	else
		h2_exchange_start(exchange, true);
	h2_connection_say_goodbye(connection);
}

static void connection_timeout(struct timer *timer)
{
	struct h2_connection *connection = LIST_ENTRY((void *)timer, struct h2_connection, timer);
	if (connection->lingering || !connection->greeted)
		h2_connection_fail(connection);
	else if (connection->section)
		section_timeout(connection);
	else
		h2_connection_say_goodbye(connection);
	h2_connection_settle(connection);
}

// --- The beginning

static bool start_session(struct h2_connection *connection)
{
	struct h2_server *server = connection->server;
	const struct h2_server_settings *settings = &server->settings;
	const nghttp2_settings_entry entries[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings->streams},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings->stream_window},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, settings->header_bytes},
		{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}, // RFC 8441 section 3
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},   // RFC 9218 section 2.1
	};
	if (nghttp2_session_server_new3(&connection->session, server->callbacks, connection, server->options,
					h2_memory()))
		return false;
	return nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, entries,
				       sizeof(entries) / sizeof(entries[0])) == 0 &&
	       nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0,
						     (int32_t)settings->window) == 0;
}

static void connection_begin(struct h2_connection *connection, const struct address *peer, const char *listener,
			     const struct tls_peer *tls)
{
	struct h2_server *server = connection->server;
	connection->client = (struct client){.peer = *peer,
					     .scheme = tls ? SLICE("https") : SLICE("http"),
					     .listener = listener,
					     .number = ++server->accepted,
					     .tls = tls};
	list_init(&connection->link);
	list_init(&connection->exchanges);
	list_push_back(&server->list, &connection->link);
	server->connections++;
	server->idle++;
	timer_init(&connection->timer, connection_timeout);
	timer_start(&connection->timer, loop_now() + server->settings.header_timeout_ns);
}

void h2_server_take(struct h2_server *server, struct stream *stream, struct slice early, const struct address *peer,
		    const char *listener, const struct tls_peer *tls)
{
	struct h2_connection *connection = calloc(1, sizeof *connection);
	if (connection) {
		connection->server = server;
		connection->stream = stream;
	}
	if (!connection || !start_session(connection)) {
		if (connection)
			nghttp2_session_del(connection->session);
		free(connection);
		connection_count_remove(peer);
		stream_close(stream);
		return;
	}
	connection_begin(connection, peer, listener, tls);
	if (server->draining)
		h2_connection_announce(connection);
	if (early.length > 0)
		h2_frames_receive(connection, early);
	h2_connection_read_on(connection);
	h2_output_soon(connection);
	h2_connection_settle(connection);
}

// --- All connections of a thread

struct h2_server *h2_server_new(struct http_service *service, const struct h2_server_settings *settings)
{
	struct h2_server *server = calloc(1, sizeof *server);
	if (!server)
		return NULL;
	if (!h2_frames_set_up(&server->callbacks, &server->options)) {
		free(server);
		return NULL;
	}
	server->service = service;
	server->settings = *settings;
	list_init(&server->list);
	return server;
}

void h2_server_set(struct h2_server *server, const struct h2_server_settings *settings)
{
	server->settings = *settings;
}

// Calls the function for each connection, which may end it.
static void visit(struct h2_server *server, void (*act)(struct h2_connection *connection))
{
	for (struct list_link *link = server->list.next, *next; link != &server->list; link = next) {
		next = link->next;
		act(LIST_ENTRY(link, struct h2_connection, link));
	}
}

void h2_server_announce_drain(struct h2_server *server)
{
	server->draining = true;
	visit(server, h2_connection_announce);
}

static void drain_connection(struct h2_connection *connection)
{
	h2_connection_say_goodbye(connection);
}

void h2_server_drain(struct h2_server *server)
{
	server->draining = true;
	visit(server, drain_connection);
}

static void abort_connection(struct h2_connection *connection)
{
	h2_connection_fail(connection);
	h2_connection_settle(connection);
}

void h2_server_abort(struct h2_server *server)
{
	server->draining = true;
	visit(server, abort_connection);
}

uint32_t h2_server_connections(const struct h2_server *server)
{
	return server->connections;
}

uint32_t h2_server_idle(const struct h2_server *server)
{
	return server->idle;
}

void h2_server_free(struct h2_server *server)
{
	check(server->connections == 0);
	nghttp2_session_callbacks_del(server->callbacks);
	nghttp2_option_del(server->options);
	free(server);
}
