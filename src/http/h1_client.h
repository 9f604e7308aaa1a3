// The client's side of HTTP/1.1: usher talks to a server.
//
// One request and its response on a connection that somebody else found and keeps. The
// caller sends, reads interim responses and the final one, pulls the body, and asks at the
// end whether the connection may carry another request.
#ifndef USHER_HTTP_H1_CLIENT_H
#define USHER_HTTP_H1_CLIENT_H

#include "http/h1_reader.h"
#include "http/h1_writer.h"
#include "http/message.h"

#include <stdbool.h>
#include <stdint.h>

struct fiber;

struct h1_client_settings {
	uint32_t header_bytes; // of a response's header section
	struct h1_limits limits;
	int64_t send_timeout_ns;     // without progress of the request
	int64_t response_timeout_ns; // from the end of the request to the head of the response
	int64_t read_timeout_ns;     // without progress of the response's body
};

struct h1_client {
	const struct h1_client_settings *settings;
	struct stream *stream;
	struct arena *arena;
	enum method method;
	struct h1_reader reader;
	struct h1_sending sending;
	struct h1_body body;	  // of the response
	struct fiber *sender;	  // sends the rest of a request's body, or NULL
	struct fiber *waiter;	  // waits for the response
	enum h1_send_result sent; // how sending ended
	bool sending_rest;	  // the request is not wholly sent yet
	bool persistent;	  // the server keeps the connection
	bool got_bytes;		  // a byte of an answer has arrived
	int64_t sent_ns;	  // when the request was wholly sent
};

// Lends settings, stream and arena until h1_client_fini.
void h1_client_init(struct h1_client *client, const struct h1_client_settings *settings, struct stream *stream,
		    struct arena *arena);

// Sends the head and what is there of the body; what is not goes out by a fiber of its own
// while the caller waits for the response, or when h1_client_send_body is called if
// `hold_body`. `head` and `body` are lent. 0, or -1 with the fault filled in: body->fault
// when reading the body failed. Suspends.
int h1_client_send(struct h1_client *client, enum method method, struct slice head, struct body *body,
		   enum body_framing framing, bool hold_body, struct fault *ret_fault);

// Starts to send a body that was held. 0, or -1 when there is no memory for a fiber.
int h1_client_send_body(struct h1_client *client, struct fault *ret_fault);

// Whether a held body still waits for h1_client_send_body.
bool h1_client_holds_body(const struct h1_client *client);

// Reads the next head: 1xx or the final one (then *ret_response has its body). Slices are
// good until the next call or h1_client_fini. Returns 0; -1 with the fault filled in; or 1
// when patience_ns (0: none) is over before a byte came, for a held body. A request that
// is still being sent makes it wait on; one whose body fails ends the wait with that
// fault. Suspends.
int h1_client_read_head(struct h1_client *client, int64_t patience_ns, struct response *ret_response,
			struct fault *ret_fault);

// Ends the exchange: stops sending if need be. Returns whether the connection may carry
// another request: all was sent, the response read to its end, and nothing follows it.
// Suspends while a sender ends.
bool h1_client_fini(struct h1_client *client);

#endif
