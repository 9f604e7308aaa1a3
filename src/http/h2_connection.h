// One client's HTTP/2 connection: what h2_server.c (its life), h2_frames.c (what arrives),
// h2_output.c (what is sent), h2_exchange.c, h2_respond.c, h2_request_body.c and h2_stream.c
// (its streams) share. For no other file.
//
// nghttp2's callbacks run within mem_recv, which the loop calls, and within mem_send, which
// a fiber or the loop calls; they never suspend and never free a connection. What must end
// it is noted, and h2_connection_settle, outside of them, does it.
#ifndef USHER_HTTP_H2_CONNECTION_H
#define USHER_HTTP_H2_CONNECTION_H

#include "base/block.h"
#include "base/list.h"
#include "fiber/fiber.h"
#include "http/h2_limits.h"
#include "http/h2_message.h"
#include "http/h2_server.h"
#include "net/tunnel.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>

struct h2_server {
	struct http_service *service;
	struct h2_server_settings settings;
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *options;
	struct list_link list; // of all connections
	uint32_t connections, idle;
	uint64_t accepted;
	bool draining;
};

enum {
	H2_OUTPUT_BLOCKS = 4,
	H2_FRAME_HEADER_BYTES = 9,
};

// Frames on their way to one large write.
struct h2_output {
	char *blocks[H2_OUTPUT_BLOCKS]; // taken one after the other
	uint32_t lengths[H2_OUTPUT_BLOCKS];
	uint32_t count;
};

// How far the goodbye has come (RFC 9113 section 6.8).
enum h2_goodbye {
	H2_STAYS,
	H2_ANNOUNCED, // GOAWAY with the highest id and a PING are sent: whatever comes before its
		      // answer was sent before the client knew
	H2_SAID,      // GOAWAY with the last id: nothing new is taken
};

struct h2_connection {
	struct timer timer; // for the preface, a header section, the next request, or the last bytes
	struct h2_server *server;
	struct list_link link;
	struct deferred flush; // at the end of the loop's turn
	struct deferred freed;
	struct stream *stream;
	nghttp2_session *session;
	struct list_link exchanges;
	uint32_t exchange_count;
	uint32_t requests;
	struct h2_exchange *section; // whose header section is under way
	struct fiber *writer;	     // while it sends
	struct h2_output output;
	struct slice held; // the rest of a frame that the output had no room for; of the session's memory
	struct h2_limits limits;
	enum h2_goodbye goodbye;
	bool greeted;	 // the client's preface and SETTINGS have come
	bool parked;	 // the loop calls when something comes
	bool flushing;	 // `flush` is deferred
	bool in_session; // a callback of nghttp2 may be running
	bool failed;	 // nothing can be sent or received any more
	bool doomed;	 // GOAWAY with an error: what is under way is cancelled
	bool lingering;	 // all was said; the client's end is awaited
	bool closed;	 // on its way to be freed
	struct client client;
};

// One stream and the exchange on it, in the transaction's arena.
struct h2_exchange {
	struct list_link link;
	struct h2_connection *connection;
	struct transaction *transaction;
	struct fiber *fiber; // NULL while its head is read, and in a tunnel
	int32_t id;
	bool started;	  // a fiber serves it, or did
	bool is_extended; // by extended CONNECT (RFC 8441)
	bool closed;	  // nothing can be sent or received any more
	bool continued;	  // 100 (Continue) was sent
	struct h2_section section;

	// What is sent: lent to the session until it has taken it.
	struct slice lent;
	bool lent_last;	 // END_STREAM follows
	bool head_taken; // HEADERS of the response are in the output
	bool end_taken;	 // END_STREAM is
	const nghttp2_nv *trailers;
	size_t trailer_count;
	uint64_t taken;	      // bytes of lent slices that are in the output, so far
	struct fiber *sender; // waits until they are

	// What came of the request's body, in a chain of blocks.
	struct body body;
	struct h2_chunk *first, *last;
	size_t handed;	     // bytes of the first that are lent to the reader until the next read
	uint64_t body_bytes; // that came
	bool body_ended;
	struct fiber *reader; // waits for more

	// Once it is a tunnel.
	struct stream stream;
	struct fiber *owner;	  // cancelled when the stream is closed
	struct timer parked_soon; // something was there when it was parked
	bool is_parked;
	bool is_tunnel;
	struct tunnel tunnel;
};

// --- h2_server.c

// Ends it as soon as it can be ended: after whatever shows that something has.
void h2_connection_settle(struct h2_connection *connection);

// The connection is lost: exchanges under way are cancelled, and nothing is sent any more.
void h2_connection_fail(struct h2_connection *connection);

// GOAWAY with the error, unless the session has said one already; exchanges under way are
// cancelled.
void h2_connection_doom(struct h2_connection *connection, uint32_t error_code);

// Says goodbye in two steps: at first that no more should come, later that no more is taken.
void h2_connection_announce(struct h2_connection *connection);
void h2_connection_say_goodbye(struct h2_connection *connection);

// Sets the timer for what is awaited now.
void h2_connection_set_timer(struct h2_connection *connection);

// Reads on, when it had to stop because the client did not take what was sent.
void h2_connection_read_on(struct h2_connection *connection);

// --- h2_frames.c

// What a server's sessions call. False when memory is out.
bool h2_frames_set_up(nghttp2_session_callbacks **ret_callbacks, nghttp2_option **ret_options);

// Feeds what has come. What breaks the protocol is answered by GOAWAY.
void h2_frames_receive(struct h2_connection *connection, struct slice bytes);

// --- h2_output.c

// Has what is to be sent written at the end of this turn of the loop, so that all that it
// brings leaves together.
void h2_output_soon(struct h2_connection *connection);

// Collects at once what the session has to send, as far as there is room, so that lent
// memory is free again; it is written soon.
void h2_output_collect(struct h2_connection *connection);

// Room for so many bytes more, and taking them; h2_output_put takes all that it can.
size_t h2_output_room(const struct h2_connection *connection);
size_t h2_output_put(struct h2_connection *connection, struct slice bytes);

// Whether everything that there was to send is sent.
bool h2_output_is_done(const struct h2_connection *connection);

void h2_output_drop(struct h2_connection *connection);

// --- h2_exchange.c

// A stream was opened: an exchange whose head is to come. NULL when memory is out.
struct h2_exchange *h2_exchange_new(struct h2_connection *connection, int32_t id);

// The head is whole, or will never be (with the fault filled in): it is served.
void h2_exchange_start(struct h2_exchange *exchange, bool end_stream);

// The stream is closed, by either side.
void h2_exchange_closed(struct h2_exchange *exchange, uint32_t error_code);

// Has it end soon: whoever works for it is cancelled.
void h2_exchange_cancel(struct h2_exchange *exchange);

// Ends it, and resets the stream when it is not over.
void h2_exchange_end(struct h2_exchange *exchange);

// --- h2_respond.c

extern const struct transaction_operations h2_transaction_operations;

// Lends the bytes (`last`: END_STREAM follows them) until the session has taken all of
// them: 0, or -ETIMEDOUT without progress for idle_ns, -ECANCELED, -ECONNRESET. Suspends.
int h2_send(struct h2_exchange *exchange, struct slice bytes, bool last, const char *what, int64_t idle_ns);

// The same up to a deadline: how many were taken, at least one, or -errno when none were.
ssize_t h2_send_some(struct h2_exchange *exchange, struct slice bytes, const char *what, int64_t deadline_ns);

// END_STREAM follows what was sent; does not wait.
void h2_send_end(struct h2_exchange *exchange);

// The session asks for lent bytes, and takes them.
ssize_t h2_lent_read(nghttp2_session *session, int32_t stream_id, uint8_t *to, size_t size, uint32_t *flags,
		     nghttp2_data_source *source, void *user_data);
int h2_lent_send(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *frame_header, size_t size,
		 nghttp2_data_source *source, void *user_data);

// --- h2_request_body.c

// The head of a request is whole; its body is now to be read.
void h2_request_body_init(struct h2_exchange *exchange, bool end_stream);

// Keeps what came. False when memory is out.
bool h2_request_body_add(struct h2_exchange *exchange, struct slice bytes);

// END_STREAM came.
void h2_request_body_end(struct h2_exchange *exchange);

// Gives back what nobody read.
void h2_request_body_drop(struct h2_exchange *exchange);

// Copies what came, without waiting, as stream_try_read does.
ssize_t h2_request_body_copy(struct h2_exchange *exchange, void *to, size_t size);

// Waits until there is something, the end included: 0, -ETIMEDOUT or -ECANCELED.
int h2_request_body_wait(struct h2_exchange *exchange, const char *what, int64_t deadline_ns);

// --- h2_stream.c

// Makes exchange->stream one over the HTTP/2 stream, for a tunnel.
void h2_stream_init(struct h2_exchange *exchange);

// Something came for it, or it is closed.
void h2_stream_notify(struct h2_exchange *exchange);

#endif
