// A descriptor that fibers read and write as if it blocked.
//
// Registered with the kernel once, for its life, edge-triggered; io keeps what the edges
// said until a call finds it used up. At most one fiber reads and one writes at a time.
// While nobody works on it, an io can be parked: a callback in the loop tells when
// something comes, and no fiber is needed until then.
#ifndef USHER_FIBER_IO_H
#define USHER_FIBER_IO_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct fiber;

struct io {
	int descriptor;	      // -1 when closed
	unsigned ready;	      // KERNEL_ bits not yet used up
	struct fiber *reader; // waits to read
	struct fiber *writer; // waits to write
	struct fiber *owner;  // cancelled when the connection is gone (KERNEL_HANGUP)
	void (*parked)(struct io *io);
	struct list_link link; // on the loop's list when something was there before it was parked
};

// Takes the (non-blocking) descriptor over and registers it: 0 or -errno (it is closed
// then).
int io_open(struct io *io, int descriptor);

// Closes. The memory of the io must stay until deferred work runs (loop_defer). A fiber that
// waits on it is woken, and its call returns -ECANCELED.
void io_close(struct io *io);

// Gives the descriptor back, open: nobody waits on the io. As with io_close, its memory must stay.
int io_release(struct io *io);

// At least one byte: its count, 0 at the end, -ETIMEDOUT, -ECANCELED or another -errno.
// Suspends until there is something, at most to the deadline. `what` names the wait. A
// connection that was lost never looks like one that ended.
//
// This and the calls below that suspend let other fibers run now and then, also when they
// need not wait; the io must not be freed meanwhile.
ssize_t io_read(struct io *io, void *to, size_t size, const char *what, int64_t deadline_ns);

// Tries once, without suspending: as io_read, or -EAGAIN.
ssize_t io_try_read(struct io *io, void *to, size_t size);

// At least one byte of the parts: its count, or -errno as above. flags: 0 or MSG_MORE.
ssize_t io_write(struct io *io, const struct iovec *parts, int count, int flags, const char *what, int64_t deadline_ns);

// Tries once, without suspending: as io_write, or -EAGAIN; also before the kernel has said for
// the first time that there is room.
ssize_t io_try_write(struct io *io, const struct iovec *parts, int count, int flags);

// Suspends until the io is readable (writable): 0, -ETIMEDOUT, -ECANCELED.
int io_wait_readable(struct io *io, const char *what, int64_t deadline_ns);
int io_wait_writable(struct io *io, const char *what, int64_t deadline_ns);

// Tells that a read (write) of one's own on the descriptor returned -EAGAIN, so that the
// next wait waits for a new edge. For splice and TLS.
void io_used_up_reading(struct io *io);
void io_used_up_writing(struct io *io);

// Parks: `parked` is called once, in the loop, when data, an end or a failure comes (at
// the end of this turn when it is already there). io_unpark takes that back.
void io_park(struct io *io, void (*parked)(struct io *io));
void io_unpark(struct io *io);

#endif
