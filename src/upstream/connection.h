// Connections to servers: made, kept idle by each thread for the next request, and closed.
//
// One that speaks HTTP/2 carries many requests at once: each has a struct of its own, which
// stands for its part.
//
// An idle connection is parked in the loop, so that it is closed the moment the server
// closes it or says something unasked. Nothing is allocated in steady state: structs of
// closed connections are used again.
#ifndef USHER_UPSTREAM_CONNECTION_H
#define USHER_UPSTREAM_CONNECTION_H

#include "base/fault.h"
#include "base/list.h"
#include "fiber/loop.h"
#include "net/tcp.h"
#include "upstream/server.h"

#include <stdbool.h>
#include <stdint.h>

struct h2_link;
struct server_link;
struct server_local;
struct tls_stream;

struct upstream_connection {
	struct tcp_stream tcp;	// without TLS
	struct tls_stream *tls; // NULL: without TLS
	struct stream *stream;	// what HTTP/1.1 goes through; NULL with HTTP/2
	struct h2_link *h2;	// what carries HTTP/2; NULL with HTTP/1.1
	struct server *server;	// lives at least as long
	struct server_local *local;
	struct server_link *shared; // with HTTP/2
	struct list_link link;	    // while idle
	struct deferred deferred;
	struct address address; // the one connected to
	uint32_t addresses;	// version of the name's addresses that it was taken from
	bool is_http2;		// what was agreed upon
	bool is_counted;	// against the bounds of connections (connection_bound.h)
	bool reused;		// had carried a request before this one
	int64_t opened_ns;
	int64_t idle_since_ns;
	int64_t connect_ns; // how long connecting took, TLS included
};

// A connection to the server for one request: with `fresh` a new one, otherwise this
// thread's newest idle one that is still quiet, or else a new one. A new one is tried at
// each address of the server in turn; timeout_ns is for all of it, waiting for the first
// answer about its name and the handshake of TLS included. 0; or -errno with *ret_fault
// filled in, retry_safe set. Suspends when it has to connect.
//
// With HTTP/2 it is a part of a connection that takes another request; with `fresh` of one
// on which no request has failed last. Requests that come while the first one is being
// opened wait for it together. When the server takes no more on those that are there and
// their bound is reached, requests wait in a bounded queue, until timeout_ns at most.
//
// A `reused` connection that dies before a byte of the answer came had probably been
// closed by the server at that moment: try again with `fresh`. So does one where the server
// says that it has not seen the request (struct http_client: unseen).
int server_connect(struct server *server, int64_t timeout_ns, bool fresh, struct fault *ret_fault,
		   struct upstream_connection **ret_connection);

// The same for a request that HTTP/2 may not carry, an upgrade: where ALPN decides (protocol:
// auto), only HTTP/1.1 is offered.
int server_connect_to_upgrade(struct server *server, int64_t timeout_ns, bool fresh, struct fault *ret_fault,
			      struct upstream_connection **ret_connection);

// Adds TLS's own words to a fault that this connection met and that has none: a server of TLS
// 1.3 refuses a client's certificate only when the client takes the handshake for done.
void upstream_connection_explain(const struct upstream_connection *connection, struct fault *fault);

// The request is over and the connection may carry another one: keeps it on this thread,
// or closes it where a bound is reached, it is too old, or the server is retired. It is the
// caller's no more. Only for connections with nothing unread and no owner to be cancelled.
void upstream_connection_keep(struct upstream_connection *connection);

// Whether a connection that lay idle is still there, as far as the kernel knows: for a
// request that could not be sent again.
bool upstream_connection_is_alive(struct upstream_connection *connection);

// Closes; of one that speaks HTTP/2 only this request's part, on which something failed. The
// memory stays until the end of the loop's turn.
void upstream_connection_close(struct upstream_connection *connection);

// --- Threads.

// Before this thread connects to servers. 0 or -ENOMEM.
int upstream_thread_start(void);

// Closes this thread's idle connections and drops what it has; connections in use must be
// gone. The loop must still be there.
void upstream_thread_stop(void);

// Closes this thread's idle connections to all servers: before a drained thread ends, or
// when descriptors are out. Returns how many there were.
unsigned upstream_thread_close_idle(void);

#endif
