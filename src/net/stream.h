// A stream: bytes in order, both ways, over TCP, a UNIX socket, or TLS.
//
// Layers above do not know which. At most one fiber reads and one writes at a time.
// Deadlines are absolute, on the loop's clock.
#ifndef USHER_NET_STREAM_H
#define USHER_NET_STREAM_H

#include "base/slice.h"
#include "fiber/fiber.h"
#include "fiber/io.h"
#include "fiber/loop.h"
#include "net/address.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct stream;

typedef void stream_parked(struct stream *stream, void *argument);

struct stream_operations {
	ssize_t (*read)(struct stream *stream, void *to, size_t size, const char *what, int64_t deadline_ns);
	ssize_t (*try_read)(struct stream *stream, void *to, size_t size);
	int (*wait)(struct stream *stream, const char *what, int64_t deadline_ns);
	ssize_t (*write)(struct stream *stream, const struct iovec *parts, int count, bool more, const char *what,
			 int64_t deadline_ns);
	int (*shutdown)(struct stream *stream);
	void (*close)(struct stream *stream);
	void (*park)(struct stream *stream);
	void (*unpark)(struct stream *stream);
	// The io to splice from and to; NULL when the bytes are not the socket's own.
	struct io *(*plain_io)(struct stream *stream);
	void (*set_owner)(struct stream *stream, struct fiber *owner);
	bool (*is_quiet)(struct stream *stream, bool ask);
	void (*say_last)(struct stream *stream, struct slice bytes);
	void (*reset_on_close)(struct stream *stream);
};

// The part that all kinds share. TCP streams are embedded in what owns them (an idle
// connection is one small struct); see tcp.h.
struct stream {
	const struct stream_operations *operations;
	stream_parked *parked;
	void *parked_argument;
	uint64_t bytes_read, bytes_written; // of payload
};

// At least one byte: its count; 0 at the end; -ETIMEDOUT, -ECANCELED, -ECONNRESET or
// another -errno. Suspends.
static inline ssize_t stream_read(struct stream *stream, void *to, size_t size, const char *what, int64_t deadline_ns)
{
	return stream->operations->read(stream, to, size, what, deadline_ns);
}

// As stream_read, but -EAGAIN instead of suspending.
static inline ssize_t stream_try_read(struct stream *stream, void *to, size_t size)
{
	return stream->operations->try_read(stream, to, size);
}

// Waits until a read would return something: 0, -ETIMEDOUT or -ECANCELED. For readers that
// take a buffer only then. Suspends.
static inline int stream_wait(struct stream *stream, const char *what, int64_t deadline_ns)
{
	return stream->operations->wait(stream, what, deadline_ns);
}

// At least one byte of the parts: its count, or -errno. `more`: more follows at once, so
// that small writes may be joined. Suspends.
static inline ssize_t stream_write(struct stream *stream, const struct iovec *parts, int count, bool more,
				   const char *what, int64_t deadline_ns)
{
	return stream->operations->write(stream, parts, count, more, what, deadline_ns);
}

// The deadline of a wait for progress: idle_ns from now; idle_ns of 0 or less is none.
static inline int64_t stream_deadline(int64_t idle_ns)
{
	int64_t now = loop_now();
	return idle_ns <= 0 || idle_ns > FIBER_NEVER - now ? FIBER_NEVER : now + idle_ns;
}

// All of the parts: 0 or -errno. `parts` is changed on the way. The deadline is one of
// progress: each byte that moves starts idle_ns anew. Suspends.
int stream_write_all(struct stream *stream, struct iovec *parts, int count, bool more, const char *what,
		     int64_t idle_ns);

// Tells the other side that no more will come (FIN, close_notify): 0 or -errno. What it
// sends can still be read. May suspend, for a moment, over TLS.
static inline int stream_shutdown(struct stream *stream)
{
	return stream->operations->shutdown(stream);
}

// Closes. The memory of a stream that is embedded in its owner must stay until the end of
// the loop's turn; a stream that its kind allocated (TLS, an HTTP/2 stream) frees itself.
static inline void stream_close(struct stream *stream)
{
	stream->operations->close(stream);
}

// While no fiber works on the stream: `parked` is called once, in the loop, as soon as
// something can be read, the end included.
static inline void stream_park(struct stream *stream, stream_parked *parked, void *argument)
{
	stream->parked = parked;
	stream->parked_argument = argument;
	stream->operations->park(stream);
}

static inline void stream_unpark(struct stream *stream)
{
	stream->operations->unpark(stream);
}

static inline struct io *stream_plain_io(struct stream *stream)
{
	return stream->operations->plain_io(stream);
}

// Sets the fiber that is cancelled when the connection is gone in both directions (reset,
// or closed for good); NULL for none. An end of what the other side sends does not cancel.
static inline void stream_set_owner(struct stream *stream, struct fiber *owner)
{
	stream->operations->set_owner(stream, owner);
}

// Whether nothing has arrived on an idle connection, neither bytes nor its end: it may be
// used for a request; one that is not quiet is to be closed. Looks at what the loop knows
// already; with `ask` it asks the kernel, which may know more. What the protocol below
// takes for itself (TLS session tickets) does not count. May take a byte when there is
// one, so that the stream is of no use if the answer is false.
static inline bool stream_is_quiet(struct stream *stream, bool ask)
{
	return stream->operations->is_quiet(stream, ask);
}

// Writes what the connection has room for, without waiting and outside of a fiber; what
// does not fit is lost. For a last word before the close.
static inline void stream_say_last(struct stream *stream, struct slice bytes)
{
	stream->operations->say_last(stream, bytes);
}

// Makes the close that follows a reset, so that the other side cannot take what it got for
// whole.
static inline void stream_reset_on_close(struct stream *stream)
{
	stream->operations->reset_on_close(stream);
}

// From this size on splice costs clearly less than reading into 64 KiB and writing. CPU of
// the forwarding thread for a GB over loopback, Linux 6.18, medians, in ms:
//
//   one transfer    8 KiB  16 KiB  32 KiB  64 KiB  128 KiB  256 KiB  1 MiB  100 MiB
//   splice           2840    1410     670     450      320      205    220      300
//   read and write   2900    1430     765     650      490      330    415      600
enum { STREAM_SPLICE_MIN = 64 * 1024 };

// Moves exactly `size` bytes (or, with size UINT64_MAX, all up to the end) from one plain
// stream to another through a pipe, by splice. *ret_moved tells how many went out, also on
// failure; *ret_read_failed tells which side failed. 0, -EPIPE when `from` ended early, or
// -errno. Each byte that moves starts idle_ns anew. Suspends. The pipe comes from a
// per-thread list; where none can be had the bytes are copied.
int stream_splice(struct stream *from, struct stream *to, uint64_t size, int64_t idle_ns, uint64_t *ret_moved,
		  bool *ret_read_failed);

// Closes the pipes that this thread keeps; before the thread ends.
void stream_trim_pipes(void);

// Whether stream_splice can be used: both plain, and the kernel has it.
bool stream_can_splice(struct stream *from, struct stream *to);

#endif
