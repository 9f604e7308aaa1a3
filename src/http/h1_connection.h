// One client's HTTP/1.1 connection: what h1_server.c (its life) and h1_respond.c (its
// answers) share. For no other file.
#ifndef USHER_HTTP_H1_CONNECTION_H
#define USHER_HTTP_H1_CONNECTION_H

#include "base/list.h"
#include "fiber/wait.h"
#include "http/h1_reader.h"
#include "http/h1_server.h"
#include "net/tcp.h"
#include "net/tunnel.h"

#include <stdbool.h>
#include <stdint.h>

struct h1_server {
	struct http_service *service;
	struct h1_server_settings settings;
	struct list_link list;	   // of all connections
	struct h1_activity *spare; // at most SPARE_ACTIVITIES_MAX
	uint32_t spares;
	uint32_t connections, parked;
	uint64_t accepted;
	bool draining, aborting;
	void (*closed)(struct h1_server *server); // NULL, or told of each connection's end
};

// What an idle client costs; everything else is there only while it is being answered.
struct h1_connection {
	struct timer timer; // for the rest of a head, or the next request
	struct h1_server *server;
	union {
		struct list_link link;
		struct deferred deferred; // once it is closed
	};
	struct h1_activity *activity; // NULL while it is idle
	const char *listener;
	uint64_t number;
	uint32_t requests;
	bool counted;		  // by connection_count_add
	bool is_taken;		  // a struct h1_taken_connection, else a struct h1_plain_connection
	bool peer_is_local;	  // at a UNIX socket: it has no address
	struct sockaddr_in6 peer; // or a sockaddr_in
};

// A connection over a socket of its own, in one piece with it.
struct h1_plain_connection {
	struct h1_connection connection; // first
	struct tcp_stream tcp;
};

// A connection over a stream that was taken over.
struct h1_taken_connection {
	struct h1_connection connection; // first
	struct stream *stream;
	const struct tls_peer *tls;
};

static inline struct stream *h1_connection_stream(struct h1_connection *connection)
{
	return connection->is_taken ? ((struct h1_taken_connection *)connection)->stream
				    : &((struct h1_plain_connection *)connection)->tcp.stream;
}

// What a connection has while it is being answered, or has sent a part of a head.
struct h1_activity {
	struct h1_activity *next; // while it is spare
	struct client client;
	struct h1_reader reader;
	struct fiber *fiber;  // NULL while parked, and in a tunnel
	struct h1_work *work; // NULL between exchanges
	bool timed_out;
};

// What a connection needs for one exchange, in the transaction's arena.
struct h1_work {
	struct h1_connection *connection;
	struct transaction *transaction;
	struct h1_body body; // of the request
	struct tunnel tunnel;
	bool continued;		   // 100 (Continue) was sent
	bool writing;		   // a fiber writes an interim or the final response
	struct wait_queue writers; // that wait for their turn
	bool broken;		   // a response was cut off: nothing may follow
};

// Makes the transaction one of this connection's, and gives it an empty request. False
// when memory is out.
bool h1_transaction_init(struct h1_connection *connection, struct transaction *transaction);

// A request was parsed: gives it its body.
void h1_request_begin(struct h1_connection *connection, struct transaction *transaction);

// A bare 503, written without waiting, where there is no memory for an exchange.
void h1_refuse_bare(struct h1_connection *connection);

#endif
