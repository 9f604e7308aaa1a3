// A transaction: one request and its response, as the connection that carries them and
// the exchange that answers them both see it.
//
// The connection driver (h1_server.h; later h2 and h3) fills in the request and calls the
// service; the service fills in the response and calls `respond`. Nothing above this
// header knows which version of HTTP carries it.
#ifndef USHER_HTTP_TRANSACTION_H
#define USHER_HTTP_TRANSACTION_H

#include "base/arena.h"
#include "base/fault.h"
#include "http/body.h"
#include "http/message.h"
#include "net/address.h"
#include "net/stream.h"

#include <stdbool.h>
#include <stdint.h>

struct tls_peer;
struct transaction;

struct transaction_operations {
	// Sends an interim response (1xx, not 101) at once: 0, or -1 with fault filled in.
	// Left out where the client cannot take it (HTTP/1.0). May suspend.
	int (*inform)(struct transaction *transaction, const struct response *interim);
	// Sends the response's head, then its body, which it pulls to the end. Decides the
	// framing itself; Content-Length is taken from response.body->length. 0, or -1 with
	// fault filled in when the client did not get all of it. May suspend. Called once,
	// and once more with another response when it failed before a byte was sent
	// (response_started is false then).
	int (*respond)(struct transaction *transaction);
};

// What is known of the client's connection.
struct client {
	struct address peer;	    // who is at the other end of the connection
	struct slice scheme;	    // "http" or "https"
	const char *listener;	    // as configured, for logs
	uint64_t number;	    // of the connection, for logs
	const struct tls_peer *tls; // what the handshake established; NULL: not encrypted
};

struct pace; // net/pace.h

// A connection that both sides agreed to use for something else than HTTP: after 101, or a
// 2xx to CONNECT.
struct tunnel_end {
	struct stream *stream;	     // owned by whoever set it, until `done` is called
	struct slice early;	     // bytes that it sent with the head; good until `done`
	struct pace *receive, *send; // how fast bytes come from the client, and go there; NULL: as fast as they do
	int64_t idle_ns;	     // neither way moved a byte for so long: it ends
	void (*done)(struct transaction *transaction); // in a fiber; closes the stream
};

struct transaction {
	const struct transaction_operations *operations;
	const struct client *client;
	void *carrier; // the connection driver's own
	struct arena arena;
	struct request request;
	struct response response;
	struct fault fault;	     // the first one stands
	struct tunnel_end tunnel;    // .stream set by the service when response.status switches protocols
	bool response_started;	     // the head of the final response is on its way
	bool close_after;	     // set by either side: the connection ends with this response
	uint64_t request_body_bytes; // received so far
	uint64_t response_bytes;     // sent so far, heads included
	uint64_t response_body_bytes;
	// The longest waits without progress of the request's body and of the response: the
	// connection's own, unless the service says otherwise before it reads or sends.
	int64_t body_timeout_ns, send_timeout_ns;
	int64_t started_ns;   // the first byte of the request was there
	int64_t head_done_ns; // the head of the request was parsed
	int64_t response_started_ns;
};

// What a connection asks of those who answer.
struct http_service {
	// A new transaction, zeroed but for its arena. NULL when memory is out: the client
	// gets a bare 503.
	struct transaction *(*begin)(struct http_service *service, const struct client *client);
	// Answers the request; it must have called `respond` when it returns, unless
	// nothing can be sent any more. transaction->fault may be filled in already, by the
	// parser: then only an error answer is due. Runs on the exchange's own fiber.
	void (*serve)(struct transaction *transaction);
	// The end, exactly once for each begin: logs and frees.
	void (*end)(struct transaction *transaction);
};

#endif
