// The client's side of HTTP/2 (RFC 9113, by nghttp2): usher talks to a server, with many
// exchanges on one connection.
//
// A link is one connection; whoever keeps links (src/upstream) opens it over a stream and
// closes it. An h2_client is one exchange on a link, and one kind of http_client.
#ifndef USHER_HTTP_H2_CLIENT_H
#define USHER_HTTP_H2_CLIENT_H

#include "http/client.h"
#include "net/stream.h"

#include <stdbool.h>
#include <stdint.h>

struct h2_link;

struct h2_link_settings {
	uint32_t header_bytes;	// of a response's header section
	uint32_t stream_window; // bytes of a response's body that usher takes before it is asked for more
	uint32_t window;	// of the whole connection
	uint32_t streams;	// at most at once, whatever the server allows
	int64_t ping_after_ns;	// nothing came for so long while streams wait: asks whether the server is there
	int64_t ping_timeout_ns;
};

// Starts HTTP/2 over a stream that is neither parked nor read by anybody; owns it until
// h2_link_close. `changed` is called, in the loop or a fiber, when a stream has ended, when
// the server allows more or fewer, and when the link is over (h2_link_is_over). NULL when
// memory is out: the stream stays the caller's. Does not suspend.
struct h2_link *h2_link_new(struct stream *stream, const struct h2_link_settings *settings,
			    void (*changed)(struct h2_link *link, void *argument), void *argument);

// Whether another exchange may begin now.
bool h2_link_can_open(const struct h2_link *link);

// How many exchanges are under way.
uint32_t h2_link_streams(const struct h2_link *link);

// No exchange may begin any more: the server said GOAWAY, the connection is gone, or ids are
// used up. Those under way may go on.
bool h2_link_is_over(const struct h2_link *link);

// Whether the server takes WebSockets over HTTP/2 (RFC 8441); known once its settings came.
bool h2_link_takes_upgrades(const struct h2_link *link);

// Says GOAWAY and closes; exchanges under way fail. The memory goes at the end of the
// loop's turn, or with the last exchange.
void h2_link_close(struct h2_link *link);

struct h2_client_stream;

// One exchange.
struct h2_client {
	struct http_client client; // first
	const struct client_settings *settings;
	struct h2_link *link;
	struct arena *arena;
	struct h2_client_stream *stream; // NULL before client_send
};

// Lends settings, link and arena until client_fini, which returns whether the link is still
// good, and resets the stream when the exchange is not over.
void h2_client_init(struct h2_client *client, const struct client_settings *settings, struct h2_link *link,
		    struct arena *arena);

#endif
