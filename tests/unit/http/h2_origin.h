// A server that speaks HTTP/2 by nghttp2, for tests of the client's side: it does what the
// test tells it to, and nothing by itself but what the protocol wants.
#ifndef USHER_TESTS_UNIT_HTTP_H2_ORIGIN_H
#define USHER_TESTS_UNIT_HTTP_H2_ORIGIN_H

#include "driver.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>

enum { ORIGIN_STREAMS = 256, ORIGIN_TEXT = 4096 };

struct origin_stream {
	int32_t id;
	char head[ORIGIN_TEXT];	    // "name: value\n" for each field of the request, as far as there is room
	size_t head_bytes;	    // of all values
	char trailers[ORIGIN_TEXT]; // the same
	char body[ORIGIN_TEXT];	    // the first bytes of it
	size_t body_bytes;	    // of all that came
	bool has_head, has_ended, is_closed;
	uint32_t code;	   // with is_closed
	struct slice data; // to be sent
	bool data_ends;
};

struct origin {
	struct tcp_stream *stream;
	nghttp2_session *session;
	struct origin_stream streams[ORIGIN_STREAMS];
	unsigned count; // of streams
	unsigned pings, ping_answers, settings_answers, goaways, window_updates;
	uint32_t goaway_code;
	struct fiber *fiber;
	bool is_flushing, is_over;
};

// manual_windows: data of requests is not acknowledged but by origin_consume.
void origin_open(struct origin *origin, struct tcp_stream *stream, const nghttp2_settings_entry *settings, size_t count,
		 bool manual_windows);
void origin_close(struct origin *origin);

// Waits for the head of the request so many after the first.
struct origin_stream *origin_request(struct origin *origin, unsigned number);

// Waits for something that a test looks at.
#define origin_until(condition)                                                                                        \
	do {                                                                                                           \
		int64_t until_ns = loop_now_exact() + PATIENCE_NS;                                                     \
		while (!(condition) && loop_now_exact() < until_ns)                                                    \
			assert_int_equal(fiber_sleep("test", loop_now() + MILLISECOND_NS), 0);                         \
		assert_true(condition);                                                                                \
	} while (0)

// Sends a header section: lines of "name: value".
void origin_head(struct origin *origin, const struct origin_stream *stream, const char *lines, bool ends);

// Sends data as the windows let it out; the second one waits until all is.
void origin_data_start(struct origin *origin, struct origin_stream *stream, struct slice bytes, bool ends);
void origin_data(struct origin *origin, struct origin_stream *stream, struct slice bytes, bool ends);

void origin_reset(struct origin *origin, const struct origin_stream *stream, uint32_t code);
void origin_goaway(struct origin *origin, int32_t last_id, uint32_t code);
void origin_ping(struct origin *origin);
void origin_settings(struct origin *origin, int32_t id, uint32_t value);
void origin_consume(struct origin *origin, const struct origin_stream *stream, size_t size);

// Sends bytes that no session would.
void origin_raw(struct origin *origin, struct slice bytes);

#endif
