// Sends a message over one HTTP/1.1 connection, for both sides: the head, and the body
// pulled to its end.
//
// A message whose body is there already goes out with one write. What comes from a plain
// socket and goes to one is moved by splice.
#ifndef USHER_HTTP_H1_WRITER_H
#define USHER_HTTP_H1_WRITER_H

#include "base/slice.h"
#include "http/body.h"
#include "http/message.h"
#include "net/stream.h"

#include <stdint.h>

enum h1_send_result {
	H1_SEND_DONE,
	H1_SEND_READ_FAILED,  // body->fault tells; what was sent must not look whole
	H1_SEND_WRITE_FAILED, // *ret_error: -ETIMEDOUT, -ECANCELED, -EPIPE, ...
};

struct h1_sending {
	struct stream *stream;
	struct slice head; // sent before the body
	struct body *body;
	enum body_framing framing; // as announced in the head
	int64_t idle_ns;	   // the longest wait without progress of a write
	const char *step;	   // names the waits: "send response"
	uint64_t sent;		   // bytes that went out, head included
	uint64_t sent_body;	   // ... of them payload
	int error;		   // with H1_SEND_WRITE_FAILED
};

// Sends what can be sent without waiting for the body: the head, and body bytes that have
// arrived. *ret_finished tells whether that was all. For senders that want to leave the
// rest to another fiber. Suspends for writes only.
enum h1_send_result h1_send_start(struct h1_sending *sending, bool *ret_finished);

// Sends the rest, to the end of the body and its trailers. Suspends.
enum h1_send_result h1_send_rest(struct h1_sending *sending);

#endif
