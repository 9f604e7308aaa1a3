#include "driver.h"

enum { LEFT_OUT_MAX = 16, RECEIVED_MAX = 1024 * 1024 };

struct driver_calls driver_calls;

static struct kernel real; // its functions, before they were wrapped
static int64_t skipped_ns;
static int left_out[LEFT_OUT_MAX];
static unsigned left_out_count;

static bool is_counted(int descriptor)
{
	for (unsigned i = 0; i < left_out_count; i++)
		if (left_out[i] == descriptor)
			return false;
	return true;
}

static int64_t counting_now(struct kernel *kernel)
{
	return real.now(kernel) + skipped_ns;
}

static ssize_t counting_read(struct kernel *kernel, int descriptor, void *to, size_t size)
{
	ssize_t got = real.read(kernel, descriptor, to, size);
	if (is_counted(descriptor)) {
		driver_calls.reads++;
		driver_calls.empty_reads += got == -EAGAIN;
		driver_calls.bytes_read += got > 0 ? (uint64_t)got : 0;
	}
	return got;
}

static ssize_t counting_write(struct kernel *kernel, int descriptor, const struct iovec *parts, int count, int flags)
{
	ssize_t sent = real.write(kernel, descriptor, parts, count, flags);
	if (is_counted(descriptor)) {
		driver_calls.writes++;
		driver_calls.bytes_written += sent > 0 ? (uint64_t)sent : 0;
	}
	return sent;
}

static ssize_t counting_splice(struct kernel *kernel, int from, int to, size_t size, unsigned flags)
{
	driver_calls.splices++;
	return real.splice(kernel, from, to, size, flags);
}

static int counting_connect(struct kernel *kernel, const struct sockaddr *address, socklen_t length)
{
	driver_calls.connects++;
	return real.connect(kernel, address, length);
}

static int counting_accept(struct kernel *kernel, int listener, struct sockaddr_storage *ret_peer,
			   socklen_t *ret_length)
{
	driver_calls.accepts++;
	return real.accept(kernel, listener, ret_peer, ret_length);
}

static void counting_close(struct kernel *kernel, int descriptor)
{
	driver_calls.closes += is_counted(descriptor);
	for (unsigned i = 0; i < left_out_count; i++)
		if (left_out[i] == descriptor)
			left_out[i] = -1;
	real.close(kernel, descriptor);
}

void driver_run(fiber_function *run, void *argument)
{
	struct kernel *kernel = kernel_linux_new();
	assert_non_null(kernel);
	real = *kernel;
	kernel->now = counting_now;
	kernel->read = counting_read;
	kernel->write = counting_write;
	kernel->splice = counting_splice;
	kernel->connect = counting_connect;
	kernel->accept = counting_accept;
	kernel->close = counting_close;
	driver_calls = (struct driver_calls){0};
	left_out_count = 0;
	skipped_ns = 0;
	struct loop *loop = loop_new(kernel);
	assert_non_null(loop);
	assert_non_null(fiber_spawn("test", run, argument));
	loop_run(loop);
	assert_int_equal(fiber_count(), 0);
	stream_trim_pipes();
	block_trim();
	loop_free(loop);
	kernel_linux_free(kernel);
}

void driver_leave_out(const struct tcp_stream *tcp)
{
	unsigned at = 0;
	while (at < left_out_count && left_out[at] >= 0)
		at++;
	assert_true(at < LEFT_OUT_MAX);
	left_out[at] = tcp->io.descriptor;
	left_out_count += at == left_out_count;
}

void driver_settle(void)
{
	for (int i = 0; i < 3; i++)
		(void)fiber_sleep("test", loop_now() + 2 * MILLISECOND_NS);
}

void driver_skip(int64_t duration_ns)
{
	driver_settle();
	skipped_ns += duration_ns;
	driver_settle();
}

void driver_send(struct tcp_stream *to, struct slice bytes)
{
	struct iovec part = {(void *)bytes.data, bytes.length};
	if (bytes.length)
		assert_int_equal(stream_write_all(&to->stream, &part, 1, false, "test", PATIENCE_NS), 0);
}

void driver_drip(void *argument)
{
	const struct driver_drip *drip = argument;
	for (size_t i = 0; i < drip->bytes.length; i++) {
		driver_send(drip->to, slice_from(drip->bytes.data + i, 1));
		fiber_yield();
	}
	if (drip->then_end)
		assert_int_equal(stream_shutdown(&drip->to->stream), 0);
}

struct slice driver_receive(struct tcp_stream *from, const char *until)
{
	static char received[RECEIVED_MAX + 1];
	size_t length = 0;
	received[0] = '\0';
	while (!until || !strstr(received, until)) {
		ssize_t got = stream_read(&from->stream, received + length, RECEIVED_MAX - length, "test",
					  loop_now() + 100 * PATIENCE_NS);
		if (got <= 0) {
			assert_true(!until || got == 0);
			break;
		}
		length += (size_t)got;
		received[length] = '\0';
		assert_true(length < RECEIVED_MAX);
	}
	return slice_from(received, length);
}
