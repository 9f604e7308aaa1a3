// The client's side of HTTP/1.1: usher talks to a server, with one exchange at a time on a
// connection that somebody else found and keeps.
#ifndef USHER_HTTP_H1_CLIENT_H
#define USHER_HTTP_H1_CLIENT_H

#include "http/client.h"
#include "http/h1_reader.h"
#include "http/h1_writer.h"

#include <stdbool.h>
#include <stdint.h>

struct fiber;

// One kind of http_client. client_fini returns that the connection may carry another request
// when all was sent, the response read to its end, and nothing follows it.
struct h1_client {
	struct http_client client; // first
	const struct client_settings *settings;
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
};

// Lends settings, stream and arena until client_fini.
void h1_client_init(struct h1_client *client, const struct client_settings *settings, struct stream *stream,
		    struct arena *arena);

#endif
