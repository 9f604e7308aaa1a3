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

// The same, for a stream of its own memory, which stream_close frees. NULL when that fails;
// the descriptor is closed then.
struct stream *tcp_new(int descriptor);

// Connects: 0, or -ECONNREFUSED, -ETIMEDOUT, -ECANCELED or another -errno; nothing is open
// then. TCP_NODELAY is set. Suspends until the deadline at most.
int tcp_connect(struct tcp_stream *tcp, const struct address *address, int64_t deadline_ns);

#endif
