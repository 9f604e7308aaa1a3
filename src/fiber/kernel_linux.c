#include "base/check.h"
#include "fiber/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 256 };

struct kernel_linux {
	struct kernel kernel; // first, so that a struct kernel * is one of these
	int epoll;
	int interrupts; // an eventfd
	// Descriptors that share their open file with others. epoll keeps watching until
	// the last of those is closed, so these must be taken out first.
	int *duplicates;
	size_t duplicate_count, duplicate_capacity;
};

static struct kernel_linux *linux_of(struct kernel *kernel)
{
	return (struct kernel_linux *)kernel;
}

// --- Clock and readiness.

static int64_t read_clock(clockid_t clock)
{
	struct timespec now;
	check(clock_gettime(clock, &now) == 0);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int64_t linux_now(struct kernel *kernel)
{
	return read_clock(CLOCK_MONOTONIC);
}

static int64_t linux_wall_clock(struct kernel *kernel)
{
	return read_clock(CLOCK_REALTIME);
}

static int to_milliseconds(int64_t timeout_ns)
{
	if (timeout_ns < 0)
		return -1;
	// Rounded up: a timer that is not yet due would only make the loop turn in vain.
	int64_t milliseconds = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
	const int64_t day = 24 * 60 * 60 * 1000;
	return (int)(milliseconds < day ? milliseconds : day);
}

static unsigned ready_of(uint32_t events)
{
	unsigned ready = 0;
	if (events & EPOLLIN)
		ready |= KERNEL_READABLE;
	if (events & EPOLLOUT)
		ready |= KERNEL_WRITABLE;
	if (events & EPOLLRDHUP)
		ready |= KERNEL_END;
	if (events & (EPOLLHUP | EPOLLERR))
		ready |= KERNEL_HANGUP;
	return ready;
}

static int linux_wait(struct kernel *kernel, struct kernel_event *events, int capacity, int64_t timeout_ns)
{
	struct epoll_event from[EVENTS_MAX];
	if (capacity > EVENTS_MAX)
		capacity = EVENTS_MAX;
	int count = epoll_wait(linux_of(kernel)->epoll, from, capacity, to_milliseconds(timeout_ns));
	if (count < 0)
		return -errno;
	int kept = 0;
	for (int i = 0; i < count; i++) {
		// Without an io it is an interrupt. Its eventfd is never read: being
		// edge-triggered, each write to it is an event of its own.
		if (from[i].data.ptr != NULL)
			events[kept++] = (struct kernel_event){from[i].data.ptr, ready_of(from[i].events)};
	}
	return kept;
}

static void linux_interrupt(struct kernel *kernel)
{
	uint64_t one = 1;
	ssize_t written = write(linux_of(kernel)->interrupts, &one, sizeof one);
	check(written == sizeof one);
}

static int add_to_epoll(struct kernel_linux *self, int descriptor, struct io *io)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = io};
	return epoll_ctl(self->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 ? 0 : -errno;
}

static void linux_unwatch(struct kernel *kernel, int descriptor)
{
	check(epoll_ctl(linux_of(kernel)->epoll, EPOLL_CTL_DEL, descriptor, NULL) == 0);
}

static int linux_watch(struct kernel *kernel, int descriptor, struct io *io)
{
	check(io != NULL);
	return add_to_epoll(linux_of(kernel), descriptor, io);
}

// --- Sockets.

static ssize_t linux_read(struct kernel *kernel, int descriptor, void *to, size_t size)
{
	ssize_t count = recv(descriptor, to, size, 0);
	return count >= 0 ? count : -errno;
}

static ssize_t linux_write(struct kernel *kernel, int descriptor, const struct iovec *parts, int count, int flags)
{
	// The kernel takes one part by a shorter way.
	if (count == 1) {
		ssize_t sent = send(descriptor, parts->iov_base, parts->iov_len, flags | MSG_NOSIGNAL);
		return sent >= 0 ? sent : -errno;
	}
	struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
	ssize_t written = sendmsg(descriptor, &message, flags | MSG_NOSIGNAL);
	return written >= 0 ? written : -errno;
}

static int linux_connect(struct kernel *kernel, const struct sockaddr *address, socklen_t length)
{
	int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (descriptor < 0)
		return -errno;
	// Requests and bodies come in few, whole writes: waiting for more of them only delays.
	int at_once = 1;
	if (address->sa_family != AF_UNIX)
		(void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
	if (connect(descriptor, address, length) == 0 || errno == EINPROGRESS || errno == EINTR)
		return descriptor;
	int failed = -errno;
	close(descriptor);
	return failed;
}

static int linux_connect_result(struct kernel *kernel, int descriptor)
{
	int failed;
	socklen_t size = sizeof failed;
	if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failed, &size) < 0)
		return -errno;
	return -failed;
}

static int linux_accept(struct kernel *kernel, int listener, struct sockaddr_storage *ret_peer, socklen_t *ret_length)
{
	*ret_length = sizeof *ret_peer;
	int descriptor = accept4(listener, (struct sockaddr *)ret_peer, ret_length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return descriptor >= 0 ? descriptor : -errno;
}

static int linux_shutdown(struct kernel *kernel, int descriptor, int how)
{
	return shutdown(descriptor, how) == 0 ? 0 : -errno;
}

static ssize_t linux_splice(struct kernel *kernel, int from, int to, size_t size, unsigned flags)
{
	ssize_t moved = splice(from, NULL, to, NULL, size, flags);
	return moved >= 0 ? moved : -errno;
}

static int linux_reset_on_close(struct kernel *kernel, int descriptor)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	return setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0 ? 0 : -errno;
}

// --- Duplicates.

static bool reserve_duplicate(struct kernel_linux *self)
{
	if (self->duplicate_count < self->duplicate_capacity)
		return true;
	size_t capacity = self->duplicate_capacity * 2 + 8;
	int *duplicates = realloc(self->duplicates, capacity * sizeof *duplicates);
	if (duplicates == NULL)
		return false;
	self->duplicates = duplicates;
	self->duplicate_capacity = capacity;
	return true;
}

static int linux_duplicate(struct kernel *kernel, int descriptor)
{
	struct kernel_linux *self = linux_of(kernel);
	if (!reserve_duplicate(self))
		return -ENOMEM;
	int duplicate = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
	if (duplicate < 0)
		return -errno;
	self->duplicates[self->duplicate_count++] = duplicate;
	return duplicate;
}

static void linux_close(struct kernel *kernel, int descriptor)
{
	struct kernel_linux *self = linux_of(kernel);
	for (size_t i = 0; i < self->duplicate_count; i++) {
		if (self->duplicates[i] == descriptor) {
			// Fails for one that was never watched, and that is as well.
			(void)epoll_ctl(self->epoll, EPOLL_CTL_DEL, descriptor, NULL);
			self->duplicates[i] = self->duplicates[--self->duplicate_count];
			break;
		}
	}
	// EINTR too leaves it closed (close(2)).
	check(close(descriptor) == 0 || errno != EBADF);
}

// --- A kernel's beginning and end.

static const struct kernel linux_table = {
	.now = linux_now,
	.wall_clock = linux_wall_clock,
	.wait = linux_wait,
	.interrupt = linux_interrupt,
	.watch = linux_watch,
	.unwatch = linux_unwatch,
	.read = linux_read,
	.write = linux_write,
	.connect = linux_connect,
	.connect_result = linux_connect_result,
	.accept = linux_accept,
	.shutdown = linux_shutdown,
	.close = linux_close,
	.splice = linux_splice,
	.duplicate = linux_duplicate,
	.reset_on_close = linux_reset_on_close,
};

struct kernel *kernel_linux_new(void)
{
	struct kernel_linux *self = malloc(sizeof *self);
	if (self == NULL)
		return NULL;
	*self = (struct kernel_linux){.kernel = linux_table};
	// A peer that is gone is an error of the call. sendmsg can be told so, splice cannot.
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	(void)sigaction(SIGPIPE, &ignore, NULL);
	self->epoll = epoll_create1(EPOLL_CLOEXEC);
	self->interrupts = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (self->epoll < 0 || self->interrupts < 0 || add_to_epoll(self, self->interrupts, NULL) != 0) {
		kernel_linux_free(&self->kernel);
		return NULL;
	}
	return &self->kernel;
}

void kernel_linux_free(struct kernel *kernel)
{
	struct kernel_linux *self = linux_of(kernel);
	if (self->epoll >= 0)
		close(self->epoll);
	if (self->interrupts >= 0)
		close(self->interrupts);
	free(self->duplicates);
	free(self);
}
