// A client that speaks HTTP/2 with an h2_server in the same loop, by nghttp2.
#ifndef USHER_TESTS_UNIT_HTTP_H2_VISITOR_H
#define USHER_TESTS_UNIT_HTTP_H2_VISITOR_H

#include "driver.h"
#include "http/h2_server.h"
#include "support.h"

#include <nghttp2/nghttp2.h>

enum { VISITOR_STREAMS_MAX = 1024, VISITOR_HEAD_MAX = 8 * 1024 };

// One request and what came back. Heads are lines of "name: value\n".
struct visitor_stream {
	int32_t id;
	unsigned status;	     // of the last head
	unsigned interims;	     // heads of 1xx
	char head[VISITOR_HEAD_MAX]; // all that came, trailers included
	char *body;
	size_t body_length;
	bool ended, closed;
	uint32_t code; // of the end
	struct slice upload;
	size_t uploaded;
	bool upload_held; // END_STREAM does not follow yet
};

struct visitor {
	struct tcp_stream tcp;
	nghttp2_session *session;
	struct visitor_stream streams[VISITOR_STREAMS_MAX];
	unsigned count;
	unsigned goaways, pings, reset_count;
	uint32_t goaway_code;
	int32_t goaway_last;
	bool ended; // usher closed the connection
	bool deaf;  // does not read
};

// With the client's own settings, if any, sent first; windows open by themselves unless
// `holds_windows`.
void visitor_open(struct visitor *visitor, struct h2_server *server, const nghttp2_settings_entry *settings,
		  size_t count, bool holds_windows);
void visitor_close(struct visitor *visitor);

// A connection to the server, taken over from the start.
void visitor_connect(struct tcp_stream *tcp, struct h2_server *server);

// A request with a body, or without one when upload.data is NULL.
struct visitor_stream *visitor_request(struct visitor *visitor, const char *head, struct slice upload, bool held);

// The same with "GET", "http", "a.example" and the path.
struct visitor_stream *visitor_get(struct visitor *visitor, const char *path);

// More of a body that is held, or its end.
void visitor_upload(struct visitor *visitor, struct visitor_stream *stream, struct slice upload, bool held);

// Sends and receives what there is.
void visitor_turn(struct visitor *visitor);

// ... until the condition holds; false when it never does.
#define visitor_until(visitor, condition)                                                                              \
	do {                                                                                                           \
		int64_t until_ = loop_now() + PATIENCE_NS;                                                             \
		while (!(condition)) {                                                                                 \
			if (loop_now() > until_)                                                                       \
				_fail(__FILE__, __LINE__);                                                             \
			visitor_turn(visitor);                                                                         \
		}                                                                                                      \
	} while (0)

// The stream's answer is whole: its status and body.
#define visitor_expect(visitor, stream, expected_status, expected_body)                                                \
	do {                                                                                                           \
		struct visitor_stream *stream_ = (stream);                                                             \
		visitor_until(visitor, stream_->closed);                                                               \
		assert_int_equal(stream_->status, expected_status);                                                    \
		assert_slice(slice_from(stream_->body, stream_->body_length), expected_body);                          \
	} while (0)

#endif
