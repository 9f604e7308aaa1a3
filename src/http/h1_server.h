// The server's side of HTTP/1.1 connections: clients talk to it.
//
// An idle connection is a small struct parked in the loop, without fiber or buffer. When
// bytes come it gets both, reads requests one after the other, has each answered by the
// service, and parks again.
#ifndef USHER_HTTP_H1_SERVER_H
#define USHER_HTTP_H1_SERVER_H

#include "http/h1.h"
#include "http/transaction.h"

#include <stdint.h>

// Limits and times of a connection; the same for all of a thread until a reload.
struct h1_server_settings {
	uint32_t header_bytes; // of one header section
	struct h1_limits limits;
	int64_t header_timeout_ns; // from the first byte of a head to its last
	int64_t idle_timeout_ns;   // between requests
	int64_t body_timeout_ns;   // without progress of a request body
	int64_t send_timeout_ns;   // without progress of a response
	int64_t tunnel_timeout_ns;
	uint32_t connections;		 // in the whole process; 0: no limit
	uint32_t connections_per_client; // 0: no limit
	uint32_t requests;		 // on one connection; 0: no limit
};

// All connections of one thread.
struct h1_server;

struct h1_server *h1_server_new(struct http_service *service, const struct h1_server_settings *settings);

// From now on, for connections that exist too; the settings are copied.
void h1_server_set(struct h1_server *server, const struct h1_server_settings *settings);

// Takes over an accepted descriptor. `listener` lives as long as the server. When there are
// too many connections already, the client gets a 503 and is closed.
void h1_server_accept(struct h1_server *server, int descriptor, const struct address *peer, const char *listener);

// Takes over a stream that is neither parked nor read by anybody, and its count
// (connection_count_add). `early` was read from it already, and is copied. `tls` belongs to
// the stream; NULL where it is not encrypted. Closes the stream when memory is out.
void h1_server_take(struct h1_server *server, struct stream *stream, struct slice early, const struct address *peer,
		    const char *listener, const struct tls_peer *tls);

// From now on each response is the last of its connection, and says so; idle connections stay
// open for what may be on its way to them.
void h1_server_announce_drain(struct h1_server *server);

// No connection stays open longer than its exchange from now on: idle ones are closed at
// once, and responses say Connection: close.
void h1_server_drain(struct h1_server *server);

// Ends what is left: exchanges are cancelled, connections closed. Takes effect while the
// loop turns.
void h1_server_abort(struct h1_server *server);

// How many connections there are, and how many of them are idle.
uint32_t h1_server_connections(const struct h1_server *server);
uint32_t h1_server_idle(const struct h1_server *server);

// No connection may be left.
void h1_server_free(struct h1_server *server);

#endif
