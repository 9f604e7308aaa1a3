#include "base/random.h"
#include "cmocka_all.h"
#include "fiber/fiber.h"
#include "fiber/io.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// The real kernel, with its calls counted.
static struct kernel *kernel;
static struct kernel counting;
static unsigned reads, writes, waits;
static struct loop *loop;
static struct io ends[2];

static ssize_t count_read(struct kernel *self, int descriptor, void *to, size_t size)
{
	reads++;
	return counting.read(kernel, descriptor, to, size);
}

static ssize_t count_write(struct kernel *self, int descriptor, const struct iovec *parts, int count, int flags)
{
	writes++;
	return counting.write(kernel, descriptor, parts, count, flags);
}

static int count_wait(struct kernel *self, struct kernel_event *events, int capacity, int64_t timeout_ns)
{
	waits++;
	return counting.wait(kernel, events, capacity, timeout_ns);
}

static int set_up(void **state)
{
	kernel = kernel_linux_new();
	counting = *kernel;
	kernel->read = count_read;
	kernel->write = count_write;
	kernel->wait = count_wait;
	loop = loop_new(kernel);
	int descriptors[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, descriptors) != 0)
		return -1;
	reads = writes = waits = 0;
	return io_open(&ends[0], descriptors[0]) | io_open(&ends[1], descriptors[1]);
}

static int tear_down(void **state)
{
	for (int i = 0; i < 2; i++) {
		if (ends[i].descriptor >= 0)
			io_close(&ends[i]);
	}
	loop_free(loop);
	kernel_linux_free(kernel);
	return 0;
}

static ssize_t write_bytes(struct io *io, const void *bytes, size_t size)
{
	struct iovec part = {(void *)bytes, size};
	return io_write(io, &part, 1, 0, "write", loop_now() + 10 * SECOND_NS);
}

static int64_t soon(void)
{
	return loop_now() + 10 * MILLISECOND_NS;
}

// Open ios would keep loop_run waiting after the last fiber's end.
static void run_fibers(void)
{
	while (fiber_count() > 0)
		loop_turn(loop, 20 * MILLISECOND_NS);
}

static void run_fiber(fiber_function *run)
{
	assert_non_null(fiber_spawn("test", run, NULL));
	run_fibers();
}

// --- Reading and writing.

static void talk(void *argument)
{
	char got[16];
	assert_int_equal(io_try_read(&ends[1], got, sizeof got), -EAGAIN);
	assert_int_equal(io_read(&ends[1], got, sizeof got, "read", soon()), -ETIMEDOUT);
	assert_int_equal(write_bytes(&ends[0], "hello", 5), 5);
	assert_int_equal(io_read(&ends[1], got, sizeof got, "read", FIBER_NEVER), 5);
	assert_memory_equal(got, "hello", 5);
	assert_int_equal(io_wait_writable(&ends[1], "writable", soon()), 0);
	assert_int_equal(io_wait_readable(&ends[1], "readable", soon()), -ETIMEDOUT);
	// Piece by piece; what is asked for is there, so more may follow.
	assert_int_equal(write_bytes(&ends[0], "world", 5), 5);
	assert_int_equal(io_read(&ends[1], got, 2, "read", FIBER_NEVER), 2);
	assert_int_equal(io_read(&ends[1], got, 2, "read", FIBER_NEVER), 2);
	assert_int_equal(io_try_read(&ends[1], got, 2), 1);
	assert_int_equal(io_try_read(&ends[1], got, 2), -EAGAIN);
	// The end, again and again.
	io_close(&ends[0]);
	assert_int_equal(io_read(&ends[1], got, 2, "read", FIBER_NEVER), 0);
	assert_int_equal(io_read(&ends[1], got, 2, "read", FIBER_NEVER), 0);
	assert_int_equal(io_try_read(&ends[1], got, 2), 0);
	assert_int_equal(write_bytes(&ends[1], "x", 1), -EPIPE);
}

static void talks(void **state)
{
	run_fiber(talk);
}

static void half_close(void *argument)
{
	char got[16];
	struct fiber *self = fiber_current();
	ends[1].owner = self;
	assert_int_equal(write_bytes(&ends[0], "abc", 3), 3);
	assert_int_equal(kernel->shutdown(kernel, ends[0].descriptor, SHUT_WR), 0);
	fiber_sleep("let both come in one event", soon());
	// Data and end came together: a short read must not wait for another edge.
	assert_int_equal(io_read(&ends[1], got, sizeof got, "read", soon()), 3);
	assert_int_equal(io_read(&ends[1], got, sizeof got, "read", soon()), 0);
	// The other direction lives, and nobody is cancelled.
	assert_false(fiber_is_cancelled(self));
	assert_int_equal(write_bytes(&ends[1], "xyz", 3), 3);
	assert_int_equal(io_read(&ends[0], got, sizeof got, "read", soon()), 3);
	ends[1].owner = NULL;
}

static void half_closed_connections_go_on(void **state)
{
	run_fiber(half_close);
}

static void wait_for_hangup(void *argument)
{
	ends[1].owner = fiber_current();
	assert_int_equal(fiber_sleep("something else", loop_now() + 3600 * SECOND_NS), -ECANCELED);
	assert_int_equal(fiber_clear_cancel(), true);
	ends[1].owner = NULL;
	*(int *)argument = 1;
}

static void close_first(void *argument)
{
	io_close(&ends[0]);
}

static void a_hangup_cancels_the_owner(void **state)
{
	int done = 0;
	fiber_spawn("owner", wait_for_hangup, &done);
	fiber_spawn("closer", close_first, NULL);
	run_fibers();
	assert_int_equal(done, 1);
}

static void read_to_be_closed(void *argument)
{
	char byte;
	int *outcomes = argument;
	outcomes[0] = (int)io_read(&ends[1], &byte, 1, "read", FIBER_NEVER);
	outcomes[1] = (int)io_try_read(&ends[1], &byte, 1);
}

static void write_to_be_closed(void *argument)
{
	static char much[1 << 20];
	int *outcomes = argument;
	ssize_t written;
	do {
		written = write_bytes(&ends[1], much, sizeof much);
	} while (written > 0);
	outcomes[2] = (int)written;
}

static void close_second(void *argument)
{
	fiber_sleep("let them wait", soon());
	io_close(&ends[1]);
}

static void closing_wakes_those_who_wait(void **state)
{
	int outcomes[3] = {1, 1, 1};
	fiber_spawn("reader", read_to_be_closed, outcomes);
	fiber_spawn("writer", write_to_be_closed, outcomes);
	fiber_spawn("closer", close_second, NULL);
	run_fibers();
	for (int i = 0; i < 3; i++)
		assert_int_equal(outcomes[i], -ECANCELED);
}

// --- Much data, both ways at once.

enum { STREAM_SIZE = 3 << 20 };

static unsigned char stream_byte(size_t position)
{
	return (unsigned char)(position * 31 + position / 256 * 7);
}

static void send_stream(void *argument)
{
	struct io *io = argument;
	static unsigned char bytes[STREAM_SIZE];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = stream_byte(i);
	struct random random;
	random_seed(&random, (uint64_t)(io - ends));
	for (size_t sent = 0; sent < sizeof bytes;) {
		size_t size = 1 + random_below(&random, 200000);
		if (size > sizeof bytes - sent)
			size = sizeof bytes - sent;
		struct iovec parts[3] = {{bytes + sent, size / 3}, {bytes + sent + size / 3, 0}};
		parts[2] = (struct iovec){bytes + sent + size / 3, size - size / 3};
		ssize_t written = io_write(io, parts, 3, 0, "write", loop_now() + 10 * SECOND_NS);
		assert_in_range(written, 1, size);
		sent += (size_t)written;
	}
	assert_int_equal(kernel->shutdown(kernel, io->descriptor, SHUT_WR), 0);
}

static void receive_stream(void *argument)
{
	struct io *io = argument;
	struct random random;
	random_seed(&random, (uint64_t)(io - ends) + 10);
	char *buffer = malloc(100000);
	size_t received = 0;
	ssize_t count;
	while ((count = io_read(io, buffer, 1 + random_below(&random, 100000), "read", loop_now() + 10 * SECOND_NS)) >
	       0) {
		for (ssize_t i = 0; i < count; i++)
			assert_int_equal((unsigned char)buffer[i], stream_byte(received + (size_t)i));
		received += (size_t)count;
		if (random_below(&random, 10) == 0)
			fiber_sleep("slow", loop_now() + (int64_t)random_below(&random, MILLISECOND_NS));
	}
	assert_int_equal(count, 0);
	assert_int_equal(received, STREAM_SIZE);
	free(buffer);
}

static void streams_both_ways(void **state)
{
	for (int i = 0; i < 2; i++) {
		fiber_spawn("sender", send_stream, &ends[i]);
		fiber_spawn("receiver", receive_stream, &ends[i]);
	}
	run_fibers();
}

// --- System calls: none in vain.

enum { ROUNDS = 1000 };

static void answer(void *argument)
{
	char got[100];
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(io_read(&ends[1], got, sizeof got, "request", loop_now() + 10 * SECOND_NS), 7);
		assert_int_equal(write_bytes(&ends[1], "response", 8), 8);
	}
}

static void ask(void *argument)
{
	char got[100];
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(write_bytes(&ends[0], "request", 7), 7);
		assert_int_equal(io_read(&ends[0], got, sizeof got, "response", loop_now() + 10 * SECOND_NS), 8);
	}
}

static void a_request_costs_one_read_and_one_write_a_side(void **state)
{
	fiber_spawn("answer", answer, NULL);
	fiber_spawn("ask", ask, NULL);
	run_fibers();
	assert_int_equal(reads, 2 * ROUNDS);
	assert_int_equal(writes, 2 * ROUNDS);
	assert_in_range(waits, 1, 2 * ROUNDS + 10);
}

static void fill_up(void *argument)
{
	static char much[1 << 20];
	assert_true(write_bytes(&ends[0], much, sizeof much) < (ssize_t)sizeof much);
	unsigned before = writes;
	struct iovec part = {much, 1};
	// It took less than all, so that there is no room: nobody needs to ask again.
	assert_int_equal(io_write(&ends[0], &part, 1, 0, "write", soon()), -ETIMEDOUT);
	assert_int_equal(writes, before);
	while (io_try_read(&ends[1], much, sizeof much) > 0)
		continue;
	assert_int_equal(io_write(&ends[0], &part, 1, 0, "write", loop_now() + 10 * SECOND_NS), 1);
	assert_int_equal(writes, before + 1);
}

static void a_full_socket_is_not_asked_in_vain(void **state)
{
	run_fiber(fill_up);
}

// --- Parking.

static int parked_calls;

static void count_parked(struct io *io)
{
	assert_null(fiber_current());
	parked_calls++;
}

static void park_and_write(void *argument)
{
	char got[16];
	parked_calls = 0;
	io_park(&ends[1], count_parked);
	fiber_sleep("nothing comes", soon());
	assert_int_equal(parked_calls, 0);
	assert_int_equal(write_bytes(&ends[0], "abc", 3), 3);
	fiber_sleep("it comes", soon());
	assert_int_equal(parked_calls, 1);
	assert_int_equal(write_bytes(&ends[0], "def", 3), 3);
	fiber_sleep("called once only", soon());
	assert_int_equal(parked_calls, 1);
	// Parked with something there already.
	io_park(&ends[1], count_parked);
	assert_int_equal(parked_calls, 1);
	fiber_sleep("at once", soon());
	assert_int_equal(parked_calls, 2);
	// Taken back, in both cases.
	io_park(&ends[1], count_parked);
	io_unpark(&ends[1]);
	io_unpark(&ends[1]);
	assert_int_equal(io_try_read(&ends[1], got, sizeof got), 6);
	io_park(&ends[1], count_parked);
	io_unpark(&ends[1]);
	assert_int_equal(write_bytes(&ends[0], "ghi", 3), 3);
	fiber_sleep("nobody is called", soon());
	assert_int_equal(parked_calls, 2);
	// The end counts as well.
	assert_int_equal(io_try_read(&ends[1], got, sizeof got), 3);
	io_park(&ends[1], count_parked);
	io_close(&ends[0]);
	fiber_sleep("it ends", soon());
	assert_int_equal(parked_calls, 3);
	// Closed while parked.
	io_park(&ends[1], count_parked);
	io_close(&ends[1]);
	fiber_sleep("nobody is called", soon());
	assert_int_equal(parked_calls, 3);
}

static void parks(void **state)
{
	run_fiber(park_and_write);
}

// --- Always ready: others have their turn all the same.

static int ticks;

static void tick(struct timer *timer)
{
	ticks++;
	timer_start(timer, loop_now() + MILLISECOND_NS);
}

static void read_zeros(void *argument)
{
	struct io zeros;
	// epoll does not take /dev/zero, but what is always readable is the same to io.
	int descriptors[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, descriptors), 0);
	assert_int_equal(io_open(&zeros, descriptors[0]), 0);
	close(descriptors[1]);
	char byte;
	while (ticks < 5)
		assert_int_equal(io_read(&zeros, &byte, 1, "end", soon()), 0);
	io_close(&zeros);
}

static void what_is_always_ready_starves_nobody(void **state)
{
	struct timer timer;
	ticks = 0;
	timer_init(&timer, tick);
	timer_start(&timer, loop_now() + MILLISECOND_NS);
	run_fiber(read_zeros);
	assert_true(ticks >= 5);
	timer_stop(&timer);
}

static void opening_what_epoll_refuses_closes_it(void **state)
{
	struct io io;
	int descriptor = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	assert_true(descriptor >= 0);
	assert_int_equal(io_open(&io, descriptor), -EPERM);
	assert_int_equal(io.descriptor, -1);
	assert_int_equal(fcntl(descriptor, F_GETFD), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(talks),
		TEST(half_closed_connections_go_on),
		TEST(a_hangup_cancels_the_owner),
		TEST(closing_wakes_those_who_wait),
		TEST(streams_both_ways),
		TEST(a_request_costs_one_read_and_one_write_a_side),
		TEST(a_full_socket_is_not_asked_in_vain),
		TEST(parks),
		TEST(what_is_always_ready_starves_nobody),
		TEST(opening_what_epoll_refuses_closes_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
