#include "net/tcp.h"

#include "base/check.h"
#include "fiber/kernel.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

static const struct stream_operations tcp_operations, owned_operations;

static struct tcp_stream *tcp_of(struct stream *stream)
{
	return (struct tcp_stream *)stream;
}

static void tcp_init(struct tcp_stream *tcp)
{
	*tcp = (struct tcp_stream){.stream.operations = &tcp_operations, .io.descriptor = -1};
}

int tcp_open(struct tcp_stream *tcp, int descriptor)
{
	tcp_init(tcp);
	return io_open(&tcp->io, descriptor);
}

// One that nobody embeds.
struct owned_tcp {
	struct tcp_stream tcp; // first
	struct deferred deferred;
};

struct stream *tcp_new(int descriptor)
{
	struct kernel *kernel = loop_kernel();
	struct owned_tcp *owned = malloc(sizeof *owned);
	if (!owned) {
		kernel->close(kernel, descriptor);
		return NULL;
	}
	if (tcp_open(&owned->tcp, descriptor) < 0) {
		free(owned);
		return NULL;
	}
	owned->tcp.stream.operations = &owned_operations;
	return &owned->tcp.stream;
}

int tcp_connect(struct tcp_stream *tcp, const struct address *address, int64_t deadline_ns)
{
	struct kernel *kernel = loop_kernel();
	tcp_init(tcp);
	int descriptor = kernel->connect(kernel, &address->any, address->length);
	if (descriptor < 0)
		return descriptor;
	int failed = io_open(&tcp->io, descriptor);
	if (failed)
		return failed;

	failed = io_wait_writable(&tcp->io, "connect", deadline_ns);
	if (!failed)
		failed = kernel->connect_result(kernel, descriptor);
	if (failed)
		io_close(&tcp->io);
	return failed;
}

static ssize_t tcp_read(struct stream *stream, void *to, size_t size, const char *what, int64_t deadline_ns)
{
	ssize_t count = io_read(&tcp_of(stream)->io, to, size, what, deadline_ns);
	if (count > 0)
		stream->bytes_read += (uint64_t)count;
	return count;
}

static ssize_t tcp_try_read(struct stream *stream, void *to, size_t size)
{
	ssize_t count = io_try_read(&tcp_of(stream)->io, to, size);
	if (count > 0)
		stream->bytes_read += (uint64_t)count;
	return count;
}

static int tcp_wait(struct stream *stream, const char *what, int64_t deadline_ns)
{
	return io_wait_readable(&tcp_of(stream)->io, what, deadline_ns);
}

static ssize_t tcp_write(struct stream *stream, const struct iovec *parts, int count, bool more, const char *what,
			 int64_t deadline_ns)
{
	count = count < IOV_MAX ? count : IOV_MAX;
	ssize_t written = io_write(&tcp_of(stream)->io, parts, count, more ? MSG_MORE : 0, what, deadline_ns);
	if (written > 0)
		stream->bytes_written += (uint64_t)written;
	return written;
}

static int tcp_shutdown(struct stream *stream)
{
	struct io *io = &tcp_of(stream)->io;
	if (io->descriptor < 0)
		return -EBADF;
	struct kernel *kernel = loop_kernel();
	return kernel->shutdown(kernel, io->descriptor, SHUT_WR);
}

static void tcp_close(struct stream *stream)
{
	struct io *io = &tcp_of(stream)->io;
	if (io->descriptor >= 0)
		io_close(io);
}

static void tcp_io_parked(struct io *io)
{
	struct tcp_stream *tcp = LIST_ENTRY(io, struct tcp_stream, io);
	tcp->stream.parked(&tcp->stream, tcp->stream.parked_argument);
}

static void tcp_park(struct stream *stream)
{
	io_park(&tcp_of(stream)->io, tcp_io_parked);
}

static void tcp_unpark(struct stream *stream)
{
	io_unpark(&tcp_of(stream)->io);
}

static struct io *tcp_plain_io(struct stream *stream)
{
	return &tcp_of(stream)->io;
}

static void tcp_set_owner(struct stream *stream, struct fiber *owner)
{
	struct tcp_stream *tcp = tcp_of(stream);
	tcp->io.owner = owner;
	// An edge that came before there was an owner is not reported again.
	if (owner && (tcp->io.ready & KERNEL_HANGUP))
		fiber_cancel(owner);
}

static bool tcp_is_quiet(struct stream *stream, bool ask)
{
	struct io *io = &tcp_of(stream)->io;
	char unwanted;
	if (ask)
		io->ready |= KERNEL_READABLE;
	else if (io->descriptor < 0 || (io->ready & (KERNEL_END | KERNEL_HANGUP)))
		return false;
	// The last read may have taken exactly what there was, without meeting -EAGAIN.
	return !(io->ready & KERNEL_READABLE) || io_try_read(io, &unwanted, 1) == -EAGAIN;
}

static void tcp_say_last(struct stream *stream, struct slice bytes)
{
	struct iovec part = {(void *)bytes.data, bytes.length};
	// No fiber may be running here, and io_write would wait for the first edge.
	struct kernel *kernel = loop_kernel();
	(void)kernel->write(kernel, tcp_of(stream)->io.descriptor, &part, 1, 0);
}

static void tcp_reset_on_close(struct stream *stream)
{
	struct kernel *kernel = loop_kernel();
	if (tcp_of(stream)->io.descriptor >= 0 && kernel->reset_on_close)
		kernel->reset_on_close(kernel, tcp_of(stream)->io.descriptor);
}

static void owned_free(struct deferred *deferred)
{
	free(LIST_ENTRY((void *)deferred, struct owned_tcp, deferred));
}

static void owned_close(struct stream *stream)
{
	struct owned_tcp *owned = (struct owned_tcp *)stream;
	tcp_close(stream);
	loop_defer(&owned->deferred, owned_free);
}

#define TCP_OPERATIONS(close_it)                                                                                       \
	{                                                                                                              \
		.read = tcp_read, .try_read = tcp_try_read, .wait = tcp_wait, .write = tcp_write,                      \
		.shutdown = tcp_shutdown, .close = (close_it), .park = tcp_park, .unpark = tcp_unpark,                 \
		.plain_io = tcp_plain_io, .set_owner = tcp_set_owner, .is_quiet = tcp_is_quiet,                        \
		.say_last = tcp_say_last, .reset_on_close = tcp_reset_on_close,                                        \
	}

static const struct stream_operations tcp_operations = TCP_OPERATIONS(tcp_close);
static const struct stream_operations owned_operations = TCP_OPERATIONS(owned_close);
