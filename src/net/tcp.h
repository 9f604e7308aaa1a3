// Streams over TCP and UNIX sockets.
#ifndef USHER_NET_TCP_H
#define USHER_NET_TCP_H

#include "net/stream.h"

struct tcp_stream {
	struct stream stream; // first, so that a struct stream * is one of these
	struct io io;
};

// Takes over an accepted, non-blocking descriptor: 0 or -errno (closed then). As with
// stream_close, the memory must stay until the end of the loop's turn when a call here
// fails.
int tcp_open(struct tcp_stream *tcp, int descriptor);

// Connects: 0, or -ECONNREFUSED, -ETIMEDOUT, -ECANCELED or another -errno; nothing is open
// then. TCP_NODELAY is set. Suspends until the deadline at most.
int tcp_connect(struct tcp_stream *tcp, const struct address *address, int64_t deadline_ns);

// Sets the fiber that is cancelled when the connection is gone in both directions (reset,
// or closed for good); NULL for none. An end of what the other side sends does not cancel.
void tcp_set_owner(struct tcp_stream *tcp, struct fiber *owner);

// Whether nothing has arrived on an idle connection, neither bytes nor its end: it may be
// used for a request; one that is not quiet is to be closed. Looks at what the loop knows
// already, and asks the kernel (one read) only where the last read took exactly what there
// was, so that the loop cannot know.
bool tcp_is_quiet(struct tcp_stream *tcp);

// The same, but asks the kernel: what has arrived is not known to the loop yet. Takes a byte
// when there is one, so that the connection is of no use if the answer is false.
bool tcp_ask_quiet(struct tcp_stream *tcp);

// Makes the close that follows a reset, so that the other side cannot take what it got for
// whole.
void tcp_reset_on_close(struct tcp_stream *tcp);

#endif
