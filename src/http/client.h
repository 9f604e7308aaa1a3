// A client of a server, whatever the version of HTTP: one request and its response.
//
// The caller sends, reads interim responses and the final one, pulls the body, and asks at
// the end whether the connection may carry another request. h1_client.h and h2_client.h are
// the two kinds; nothing above this header knows which one it has.
#ifndef USHER_HTTP_CLIENT_H
#define USHER_HTTP_CLIENT_H

#include "base/fault.h"
#include "http/h1.h"
#include "http/message.h"

#include <stdbool.h>
#include <stdint.h>

struct stream;

struct client_settings {
	uint32_t header_bytes; // of a response's header section
	struct h1_limits limits;
	int64_t send_timeout_ns;     // without progress of the request
	int64_t response_timeout_ns; // from the end of the request to the head of the response
	int64_t read_timeout_ns;     // without progress of the response's body
};

// A request as it goes to a server. All is lent until client_fini, and may be sent again to
// another server.
struct client_request {
	enum method method;
	bool takes_trailers;	   // TE: trailers
	bool hold_body;		   // wait with the body for client_send_body, and say Expect: 100-continue
	enum body_framing framing; // of the body: none, by its length, or chunked (of unknown length)
	struct slice method_name;
	struct slice scheme;	     // "http" or "https"
	struct slice authority;	     // for Host or :authority
	struct slice target;	     // path and query, or "*"; of CONNECT the authority
	const struct fields *fields; // the visitor's, without those that concern a connection
	uint64_t skipped;	     // bits of the ids of those that do not go
	struct fields own;	     // what is added
	struct slice upgrade;	     // the protocols asked for (RFC 9110 section 7.8), or empty
	struct body *body;
};

struct http_client;

struct http_client_operations {
	int (*send)(struct http_client *client, const struct client_request *request, struct fault *ret_fault);
	int (*send_body)(struct http_client *client, struct fault *ret_fault);
	bool (*holds_body)(const struct http_client *client);
	int (*read_head)(struct http_client *client, int64_t patience_ns, struct response *ret_response,
			 struct fault *ret_fault);
	struct stream *(*tunnel)(struct http_client *client, struct slice *ret_early);
	bool (*fini)(struct http_client *client);
};

// What both kinds share; first in each.
struct http_client {
	const struct http_client_operations *operations;
	bool got_bytes;	 // a byte of an answer has arrived
	bool unseen;	 // with a fault: the server has not acted on the request and will not
			 // (REFUSED_STREAM, a GOAWAY that leaves it out: RFC 9113 section 8.7)
	int64_t sent_ns; // when the request was wholly sent
};

// Sends the head and what is there of the body; what is not goes out by a fiber of its own
// while the caller waits for the response, or when client_send_body is called if
// `hold_body`. 0, or -1 with the fault filled in: body->fault when reading the body failed.
// Suspends.
static inline int client_send(struct http_client *client, const struct client_request *request, struct fault *ret_fault)
{
	return client->operations->send(client, request, ret_fault);
}

// Starts to send a body that was held. 0, or -1 when there is no memory for a fiber.
static inline int client_send_body(struct http_client *client, struct fault *ret_fault)
{
	return client->operations->send_body(client, ret_fault);
}

// Whether a held body still waits for client_send_body.
static inline bool client_holds_body(const struct http_client *client)
{
	return client->operations->holds_body(client);
}

// Reads the next head: 1xx or the final one (then *ret_response has its body). Slices are
// good until the next call or client_fini. Returns 0; -1 with the fault filled in; or 1
// when patience_ns (0: none) is over before a byte came, for a held body. A request that
// is still being sent makes it wait on; one whose body fails ends the wait with that
// fault. Suspends.
static inline int client_read_head(struct http_client *client, int64_t patience_ns, struct response *ret_response,
				   struct fault *ret_fault)
{
	return client->operations->read_head(client, patience_ns, ret_response, ret_fault);
}

// After a response that switched protocols (101): the stream to go on with, and what came
// with the head; both good until client_fini.
static inline struct stream *client_tunnel(struct http_client *client, struct slice *ret_early)
{
	return client->operations->tunnel(client, ret_early);
}

// Ends the exchange: stops sending if need be. Returns whether the connection may carry
// another request. Suspends while a sender ends.
static inline bool client_fini(struct http_client *client)
{
	return client->operations->fini(client);
}

#endif
