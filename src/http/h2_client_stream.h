// One stream of a link: an exchange's request on its way out, and what has come of the
// response. Only for the files of the client's side.
#ifndef USHER_HTTP_H2_CLIENT_STREAM_H
#define USHER_HTTP_H2_CLIENT_STREAM_H

#include "base/fault.h"
#include "base/list.h"
#include "http/body.h"
#include "http/h2_client.h"
#include "http/h2_data.h"
#include "http/h2_link.h"
#include "http/h2_message.h"
#include "net/stream.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>

// A head that waits to be read.
struct h2_head {
	struct h2_head *next;
	struct response response;
};

// A WebSocket's bytes (RFC 8441), as a stream for whoever moves them.
struct h2_client_tunnel {
	struct stream stream;  // first
	struct list_link poke; // on the link's list while the parked callback is due
	struct timer timer;    // for one that parks where something is there already
	struct fiber *owner;
	bool is_parked;
};

// In the arena of the exchange; known to the link from client_send to client_fini.
struct h2_client_stream {
	struct list_link place; // on the link's list
	struct h2_link *link;
	struct h2_client *client;
	const struct client_request *request;
	int32_t id;
	bool is_tunnel;	    // extended CONNECT
	bool is_closed;	    // in both directions; the session has forgotten it
	bool was_reset;	    // the server sent RST_STREAM
	bool is_reset;	    // so did this side
	bool is_started;    // the request's HEADERS are in a frame
	struct fault fault; // why no more comes, or goes

	// What comes.
	struct h2_section section;		// the one that is arriving
	struct h2_head *first_head, *last_head; // those that wait to be read
	uint32_t heads;
	bool has_final; // the final head came
	bool has_ended; // END_STREAM came
	struct h2_data data;
	size_t lent; // of the data: handed out, and to be dropped at the next call
	struct body body;
	struct fiber *reader; // waits for what comes

	// What goes.
	struct slice out;      // lent by the body or the tunnel's writer: waits to be put into frames
	bool is_last;	       // nothing follows `out`
	bool is_sent;	       // the end is in a frame
	uint64_t taken;	       // bytes of the body that were read
	int64_t moved_ns;      // when sending last went on
	struct fiber *sender;  // sends the rest of the body, or NULL
	struct fiber *flusher; // waits until `out` is used up

	struct h2_client_tunnel tunnel;
};

// --- Events, from the link.

// The session's word that a header section begins, each of its fields, and that it is whole.
void client_stream_section(struct h2_client_stream *stream);
void client_stream_headers(struct h2_client_stream *stream, bool end_stream);

// Takes data.
void client_stream_data(struct h2_client_stream *stream, struct slice bytes);

// END_STREAM came.
void client_stream_end(struct h2_client_stream *stream);

// The session has closed the stream: with the server's reset, ours, or after both ends.
void client_stream_closed(struct h2_client_stream *stream, uint32_t code);

// The link is broken.
void client_stream_break(struct h2_client_stream *stream, enum fault_kind kind, const char *detail, int system_error);

// The request's frames: HEADERS is out, the end is out, and bytes for DATA are wanted (as
// nghttp2_data_source_read_callback).
void client_stream_started(struct h2_client_stream *stream);
void client_stream_sent(struct h2_client_stream *stream);
ssize_t client_stream_pull(struct h2_client_stream *stream, uint8_t *to, size_t size, uint32_t *flags);

// Calls those who parked on a tunnel to which something came.
void client_stream_call_poked(struct h2_link *link);

// --- Between the files of the client's side.

// The exchange fails, unless its response has come wholly: resets the stream with the code.
void client_stream_fail(struct h2_client_stream *stream, const struct fault *fault, uint32_t code);

// Resets the stream with the code, unless it is over; once, however often it is called.
void client_stream_reset(struct h2_client_stream *stream, uint32_t code);

// Suspends until something comes, or the stream has ended or failed: 0, -ETIMEDOUT or
// -ECANCELED.
int client_stream_wait(struct h2_client_stream *stream, const char *what, int64_t deadline_ns);

// Drops what was lent of the data, and lets the server send as much more.
void client_stream_drop_lent(struct h2_client_stream *stream);

// The response's body; its head has come.
void client_stream_body_init(struct h2_client_stream *stream, const struct response *response);

// Takes the next bytes of the request's body into `out`: 0, or -1 with *ret_fault filled in.
// Suspends where the body does.
int client_stream_take(struct h2_client_stream *stream, struct fault *ret_fault);

// Has `out` sent, and waits until it is in frames: 0 (also when the stream has ended
// otherwise), -ETIMEDOUT when the server took nothing for idle_ns, -ECANCELED. Suspends.
int client_stream_flush(struct h2_client_stream *stream, const char *what, int64_t idle_ns);

// Starts the fiber that sends the rest of the body: false when there is no memory for it.
bool client_stream_start_sender(struct h2_client_stream *stream);

// Whether the server takes no more, because its answer is whole or the stream is gone.
static inline bool client_stream_is_gone(const struct h2_client_stream *stream)
{
	return stream->is_closed || stream->fault.kind != FAULT_NONE;
}

void client_tunnel_init(struct h2_client_stream *stream);
void client_tunnel_fini(struct h2_client_stream *stream);

// Something has come to read, or the stream is gone.
void client_tunnel_poke(struct h2_client_stream *stream);

// Makes the 101 that a server's 2xx to an extended CONNECT stands for (RFC 8441 section 5).
// False when memory is out.
bool client_tunnel_response(struct h2_client_stream *stream, struct response *response);

#endif
