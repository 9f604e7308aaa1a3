#include "fiber/io.h"

#include "base/check.h"
#include "fiber/fiber.h"
#include "fiber/fiber_internal.h"
#include "fiber/kernel.h"

#include <errno.h>

enum {
	// Bits of io->ready beside the kernel's. The kernel tells of a connection's loss once,
	// by the next call; what reads afterwards finds an end. So io remembers that a call
	// failed, and takes an end for a loss then, unless it came before: a loss is reported
	// as an end too, but never as an end alone.
	IO_LOST = 1 << 16,
	IO_ENDED = 1 << 17,

	// After so many calls that did not have to wait, other fibers have their turn.
	STREAK_MAX = 64,
};

int io_open(struct io *io, int descriptor)
{
	struct loop *loop = loop_current();
	check(loop != NULL && descriptor >= 0);
	*io = (struct io){.descriptor = descriptor};
	list_init(&io->link);
	int failed = loop->kernel->watch(loop->kernel, descriptor, io);
	if (failed != 0) {
		loop->kernel->close(loop->kernel, descriptor);
		io->descriptor = -1;
		return failed;
	}
	loop->watched++;
	return 0;
}

void io_close(struct io *io)
{
	struct loop *loop = loop_current();
	check(io->descriptor >= 0 && loop->watched > 0);
	loop->watched--;
	loop->kernel->close(loop->kernel, io->descriptor);
	io->descriptor = -1;
	io->ready = 0;
	io->owner = NULL;
	io_unpark(io);
	if (io->reader != NULL)
		fiber_wake(io->reader);
	if (io->writer != NULL)
		fiber_wake(io->writer);
}

int io_release(struct io *io)
{
	struct loop *loop = loop_current();
	int descriptor = io->descriptor;
	check(descriptor >= 0 && !io->reader && !io->writer && loop->watched > 0);
	loop->watched--;
	loop->kernel->unwatch(loop->kernel, descriptor);
	io_unpark(io);
	*io = (struct io){.descriptor = -1};
	list_init(&io->link);
	return descriptor;
}

// --- Waiting.

static void give_others_a_turn(void)
{
	struct loop *loop = loop_current();
	if (++loop->io_streak >= STREAK_MAX)
		fiber_yield();
}

static int wait_until_ready(struct io *io, struct fiber **waiter, unsigned wanted, const char *what,
			    int64_t deadline_ns)
{
	while (io->descriptor >= 0 && (io->ready & wanted) == 0) {
		check(*waiter == NULL); // one reader, one writer
		*waiter = fiber_current();
		int failed = fiber_wait(what, deadline_ns);
		*waiter = NULL;
		if (failed != 0)
			return failed;
	}
	return io->descriptor >= 0 ? 0 : -ECANCELED;
}

int io_wait_readable(struct io *io, const char *what, int64_t deadline_ns)
{
	give_others_a_turn();
	return wait_until_ready(io, &io->reader, KERNEL_READABLE, what, deadline_ns);
}

int io_wait_writable(struct io *io, const char *what, int64_t deadline_ns)
{
	give_others_a_turn();
	return wait_until_ready(io, &io->writer, KERNEL_WRITABLE, what, deadline_ns);
}

void io_used_up_reading(struct io *io)
{
	io->ready &= ~(unsigned)KERNEL_READABLE;
}

void io_used_up_writing(struct io *io)
{
	io->ready &= ~(unsigned)KERNEL_WRITABLE;
}

// --- Reading and writing.

static void note_failure(struct io *io)
{
	if ((io->ready & IO_ENDED) == 0)
		io->ready |= IO_LOST;
}

static ssize_t read_now(struct io *io, void *to, size_t size)
{
	struct kernel *kernel = loop_kernel();
	ssize_t count;
	do {
		count = kernel->read(kernel, io->descriptor, to, size);
	} while (count == -EINTR);
	if (count == -EAGAIN) {
		io_used_up_reading(io);
	} else if (count > 0 && (size_t)count < size && (io->ready & (KERNEL_END | KERNEL_HANGUP)) == 0) {
		// Less than asked for: there is no more, and the next arrival is an edge
		// (epoll(7)). But an end that was told already gives no edge any more.
		io_used_up_reading(io);
	} else if (count < 0) {
		note_failure(io);
	} else if (count == 0 && (io->ready & IO_LOST) != 0) {
		return -ECONNRESET;
	}
	return count;
}

ssize_t io_read(struct io *io, void *to, size_t size, const char *what, int64_t deadline_ns)
{
	check(size > 0);
	ssize_t count;
	do {
		int failed = io_wait_readable(io, what, deadline_ns);
		if (failed != 0)
			return failed;
		count = read_now(io, to, size);
	} while (count == -EAGAIN);
	return count;
}

ssize_t io_try_read(struct io *io, void *to, size_t size)
{
	check(size > 0);
	if (io->descriptor < 0)
		return -ECANCELED;
	return (io->ready & KERNEL_READABLE) != 0 ? read_now(io, to, size) : -EAGAIN;
}

static size_t parts_size(const struct iovec *parts, int count)
{
	size_t size = 0;
	for (int i = 0; i < count; i++)
		size += parts[i].iov_len;
	return size;
}

static ssize_t write_now(struct io *io, const struct iovec *parts, int count, int flags)
{
	struct kernel *kernel = loop_kernel();
	ssize_t written;
	do {
		written = kernel->write(kernel, io->descriptor, parts, count, flags);
	} while (written == -EINTR);
	if (written == -EAGAIN) {
		io_used_up_writing(io);
	} else if (written < 0) {
		note_failure(io);
	} else if ((size_t)written < parts_size(parts, count) && (io->ready & KERNEL_HANGUP) == 0) {
		io_used_up_writing(io);
	}
	return written;
}

ssize_t io_write(struct io *io, const struct iovec *parts, int count, int flags, const char *what, int64_t deadline_ns)
{
	ssize_t written;
	do {
		int failed = io_wait_writable(io, what, deadline_ns);
		if (failed != 0)
			return failed;
		written = write_now(io, parts, count, flags);
	} while (written == -EAGAIN);
	return written;
}

ssize_t io_try_write(struct io *io, const struct iovec *parts, int count, int flags)
{
	if (io->descriptor < 0)
		return -ECANCELED;
	return (io->ready & KERNEL_WRITABLE) != 0 ? write_now(io, parts, count, flags) : -EAGAIN;
}

// --- Parking, and what the kernel says.

void io_park(struct io *io, void (*parked)(struct io *io))
{
	check(io->descriptor >= 0 && io->parked == NULL && parked != NULL && io->reader == NULL);
	io->parked = parked;
	if ((io->ready & KERNEL_READABLE) != 0)
		list_push_back(&loop_current()->parked, &io->link);
}

void io_unpark(struct io *io)
{
	if (io->parked == NULL)
		return;
	io->parked = NULL;
	list_remove(&io->link);
}

void io_call_parked(struct io *io)
{
	void (*parked)(struct io * io) = io->parked;
	if (parked == NULL)
		return;
	io_unpark(io);
	parked(io);
}

void io_handle_event(struct io *io, unsigned ready)
{
	// Closed by a callback for another event of the same turn.
	if (io->descriptor < 0)
		return;
	if ((ready & (KERNEL_END | KERNEL_HANGUP)) == KERNEL_END)
		ready |= IO_ENDED;
	if ((ready & (KERNEL_END | KERNEL_HANGUP)) != 0)
		ready |= KERNEL_READABLE;
	if ((ready & KERNEL_HANGUP) != 0)
		ready |= KERNEL_WRITABLE;
	io->ready |= ready;

	if ((ready & KERNEL_HANGUP) != 0 && io->owner != NULL)
		fiber_cancel(io->owner);
	if ((ready & KERNEL_WRITABLE) != 0 && io->writer != NULL)
		fiber_wake(io->writer);
	if ((ready & KERNEL_READABLE) == 0)
		return;
	if (io->reader != NULL)
		fiber_wake(io->reader);
	io_call_parked(io);
}
