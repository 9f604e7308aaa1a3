// The kernel as the loop sees it: clock, readiness and sockets, behind one table.
//
// Everything that fibers learn from outside comes through here, so that a simulated
// kernel (tests/sim) can play time, readiness, delays, resets and short reads from a
// seed. Descriptors are small integers that only their kernel understands.
#ifndef USHER_FIBER_KERNEL_H
#define USHER_FIBER_KERNEL_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct io;

enum {
	KERNEL_READABLE = 1, // data, or a connection to accept
	KERNEL_WRITABLE = 2,
	KERNEL_END = 4,	   // the other side will send no more (FIN)
	KERNEL_HANGUP = 8, // the connection is gone in both directions, or failed
};

struct kernel_event {
	struct io *io;
	unsigned ready; // KERNEL_ bits
};

// All calls return what the system call would, with -errno instead of -1, and never
// block; only wait does.
struct kernel {
	// Nanoseconds on a clock that never goes back.
	int64_t (*now)(struct kernel *kernel);
	// Nanoseconds since 1970-01-01 UTC.
	int64_t (*wall_clock)(struct kernel *kernel);
	// Reports edges of readiness, at most `capacity` of them; waits at most timeout_ns
	// (0: not at all; -1: until something happens). The count, or -EINTR.
	int (*wait)(struct kernel *kernel, struct kernel_event *events, int capacity, int64_t timeout_ns);
	// Ends a wait in progress, or makes the next one return at once. From any thread.
	void (*interrupt)(struct kernel *kernel);
	// Registers a descriptor for all its events, edge-triggered, until it is closed.
	int (*watch)(struct kernel *kernel, int descriptor, struct io *io);
	// Takes that back; it may be registered anew.
	void (*unwatch)(struct kernel *kernel, int descriptor);
	ssize_t (*read)(struct kernel *kernel, int descriptor, void *to, size_t size);
	// As sendmsg with MSG_NOSIGNAL; `flags` may hold MSG_MORE.
	ssize_t (*write)(struct kernel *kernel, int descriptor, const struct iovec *parts, int count, int flags);
	// A non-blocking, close-on-exec TCP or UNIX socket that has begun to connect: its
	// descriptor; KERNEL_WRITABLE tells the end, connect_result how it went.
	int (*connect)(struct kernel *kernel, const struct sockaddr *address, socklen_t length);
	int (*connect_result)(struct kernel *kernel, int descriptor); // 0 or -errno
	int (*accept)(struct kernel *kernel, int listener, struct sockaddr_storage *ret_peer, socklen_t *ret_length);
	// `how` as shutdown(2).
	int (*shutdown)(struct kernel *kernel, int descriptor, int how);
	void (*close)(struct kernel *kernel, int descriptor);
	// Moves bytes between a socket and a pipe; NULL when this kernel has no splice.
	ssize_t (*splice)(struct kernel *kernel, int from, int to, size_t size, unsigned flags);
	// Another descriptor of the same socket, to be closed for itself. For listeners,
	// whose sockets stay open elsewhere.
	int (*duplicate)(struct kernel *kernel, int descriptor);
	// Makes the close that follows a reset (SO_LINGER with 0 seconds); NULL when this
	// kernel cannot.
	int (*reset_on_close)(struct kernel *kernel, int descriptor);
};

// The real one: epoll, edge-triggered. One for each loop. NULL when a descriptor cannot
// be had. From the first on, the process ignores SIGPIPE.
struct kernel *kernel_linux_new(void);
void kernel_linux_free(struct kernel *kernel);

#endif
