// Reads heads and bodies off one HTTP/1.1 connection, for both sides.
//
// Holds the bytes that have arrived and were not used yet. A head stays where it arrived,
// and its slices good, until the next head is asked for; body bytes go behind it.
#ifndef USHER_HTTP_H1_READER_H
#define USHER_HTTP_H1_READER_H

#include "base/arena.h"
#include "http/body.h"
#include "http/h1.h"
#include "http/message.h"
#include "net/stream.h"

#include <stddef.h>
#include <stdint.h>

struct h1_reader {
	struct stream *stream;
	char *buffer; // NULL until something is read
	size_t capacity;
	char *pinned; // an earlier buffer in which the head in use lies, or NULL
	size_t pinned_capacity;
	size_t floor;	   // the head in use ends here when it lies in `buffer`; nothing below moves
	size_t start, end; // what has arrived and was not used: [start, end)
	struct h1_scanner scanner;
};

void h1_reader_init(struct h1_reader *reader, struct stream *stream);
void h1_reader_fini(struct h1_reader *reader);

// Puts bytes that somebody else has read into an empty reader: 0 or -ENOMEM.
int h1_reader_put(struct h1_reader *reader, struct slice bytes);

// Bytes that have arrived and were not used; good until the next call.
struct slice h1_reader_buffered(const struct h1_reader *reader);

// Leaves the bytes of an unfinished head in the smallest buffer that holds them, for a
// connection that is parked in the middle of a head. Nothing happens when memory is out.
void h1_reader_shrink(struct h1_reader *reader);

enum h1_head_result {
	H1_HEAD_WHOLE,
	H1_HEAD_MORE, // only with H1_READ_TRY: nothing more has arrived yet
	H1_HEAD_NONE, // the stream ended before the first byte
	H1_HEAD_CUT,  // ... within the head
	H1_HEAD_TOO_LARGE,
	H1_HEAD_BARE_LF,
	H1_HEAD_TIMEOUT,
	H1_HEAD_CANCELLED,
	H1_HEAD_FAILED, // the stream failed; *ret_error
	H1_HEAD_NO_MEMORY,
};

enum h1_read_mode { H1_READ_TRY, H1_READ_WAIT };

// Reads until a whole head of at most limit_bytes has arrived; `deadline_ns` is for all of
// it. With H1_READ_TRY it does not suspend and goes on where it left off at the next call.
// skip_empty_lines: for requests (RFC 9112 section 2.2). *ret_head is set with
// H1_HEAD_WHOLE only; the bytes count as used then.
enum h1_head_result h1_reader_head(struct h1_reader *reader, size_t limit_bytes, bool skip_empty_lines,
				   enum h1_read_mode mode, const char *what, int64_t deadline_ns,
				   struct slice *ret_head, int *ret_error);

// A body as it comes in on the reader's connection.
struct h1_body {
	struct body body;
	struct h1_reader *reader;
	const struct h1_body_faults *faults;
	struct arena *arena; // for trailers
	const struct h1_limits *limits;
	uint32_t header_bytes; // limit of the trailer section
	enum body_framing framing;
	bool ended;
	bool in_trailers; // the last chunk was read
	bool filled;	  // the last read used all the room there was
	uint64_t left;	  // with BODY_LENGTH
	struct h1_chunked chunked;
	struct slice ahead;			   // decoded by `look`, not yet handed out
	const int64_t *idle_ns;			   // the longest wait without progress
	uint64_t taken;				   // payload bytes handed out so far
	void (*before_wait)(struct h1_body *body); // NULL, or called before each wait for bytes
	void *owner;				   // for before_wait
};

// What the failures of a body are called; they differ between the sides.
struct h1_body_faults {
	enum fault_kind timeout, cut, bad, gone;
	const char *step; // "read request body"
};

// Starts a body behind the head that was read last. limits, faults and
// idle_ns are lent.
void h1_body_init(struct h1_body *body, struct h1_reader *reader, enum body_framing framing, uint64_t length,
		  const struct h1_body_faults *faults, const struct h1_limits *limits, uint32_t header_bytes,
		  const int64_t *idle_ns, struct arena *arena);

#endif
