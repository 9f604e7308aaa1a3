// The server's side of HTTP/2 connections (RFC 9113, by nghttp2): clients talk to it.
//
// Each stream is a transaction on a fiber of its own, answered by the same service as
// HTTP/1.1. A connection itself needs no fiber to read: what comes is fed to the session
// from the loop, and what is to be sent is collected into few large writes by a fiber that
// lives only while there is something to write. An idle connection keeps no buffer.
#ifndef USHER_HTTP_H2_SERVER_H
#define USHER_HTTP_H2_SERVER_H

#include "http/h1.h"
#include "http/transaction.h"

#include <stdint.h>

struct h2_server_settings {
	uint32_t header_bytes; // of one header section, uncompressed
	struct h1_limits limits;
	uint32_t streams;	   // at once on one connection (SETTINGS_MAX_CONCURRENT_STREAMS)
	uint32_t stream_window;	   // bytes of a request's body that usher takes before it reads on
	uint32_t window;	   // of a whole connection
	int64_t header_timeout_ns; // from the first frame of a head to its last; of the preface, too
	int64_t idle_timeout_ns;   // without streams
	int64_t body_timeout_ns;
	int64_t send_timeout_ns;
	int64_t tunnel_timeout_ns;
	uint32_t requests; // on one connection, then GOAWAY; 0: no limit
	// What a connection may ask for that serves nobody, each in any ten seconds; beyond it the
	// connection ends with ENHANCE_YOUR_CALM (RFC 9113 section 10.5). 0: no limit.
	uint32_t resets;   // streams reset by the client, or for its errors
	uint32_t controls; // PING, SETTINGS, PRIORITY, PRIORITY_UPDATE, WINDOW_UPDATE without need, empty frames
};

// All connections of one thread.
struct h2_server;

struct h2_server *h2_server_new(struct http_service *service, const struct h2_server_settings *settings);

// From now on, for new connections; the settings are copied.
void h2_server_set(struct h2_server *server, const struct h2_server_settings *settings);

// Takes over a stream that is neither parked nor read by anybody, and its count
// (connection_count_add). `early` was read from it already, and is copied. `tls` belongs to
// the stream; NULL where it is not encrypted. Closes the stream when memory is out.
void h2_server_take(struct h2_server *server, struct stream *stream, struct slice early, const struct address *peer,
		    const char *listener, const struct tls_peer *tls);

// Says GOAWAY to all (RFC 9113 section 6.8): first with the highest stream id, so that what
// is on its way is served, then with the last one. Streams under way go on.
void h2_server_announce_drain(struct h2_server *server);

// As announce_drain, and connections without streams are closed at once.
void h2_server_drain(struct h2_server *server);

// Ends what is left: exchanges are cancelled, connections closed. Takes effect while the
// loop turns.
void h2_server_abort(struct h2_server *server);

// How many connections there are, and how many of them have no stream.
uint32_t h2_server_connections(const struct h2_server *server);
uint32_t h2_server_idle(const struct h2_server *server);

// No connection may be left.
void h2_server_free(struct h2_server *server);

#endif
