#include "cmocka_all.h"
#include "fail_alloc.h"
#include "fiber/fiber.h"
#include "fiber/io.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static struct kernel *kernel;
static struct loop *loop;
static int listening;
static struct sockaddr_in address;

static int set_up(void **state)
{
	kernel = kernel_linux_new();
	loop = loop_new(kernel);
	listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	if (bind(listening, (struct sockaddr *)&address, length) != 0 || listen(listening, 16) != 0)
		return -1;
	return getsockname(listening, (struct sockaddr *)&address, &length);
}

static int tear_down(void **state)
{
	close(listening);
	loop_free(loop);
	kernel_linux_free(kernel);
	return 0;
}

static int64_t deadline(void)
{
	return loop_now() + 10 * SECOND_NS;
}

static void connect_to_listener(struct io *ret_io)
{
	int descriptor = kernel->connect(kernel, (struct sockaddr *)&address, sizeof address);
	assert_true(descriptor >= 0);
	assert_int_equal(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fcntl(descriptor, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(io_open(ret_io, descriptor), 0);
	assert_int_equal(io_wait_writable(ret_io, "connect", deadline()), 0);
	assert_int_equal(kernel->connect_result(kernel, descriptor), 0);
}

static void accept_one(struct io *listener, struct io *ret_io)
{
	assert_int_equal(io_wait_readable(listener, "accept", deadline()), 0);
	struct sockaddr_storage peer;
	socklen_t length;
	int descriptor = kernel->accept(kernel, listener->descriptor, &peer, &length);
	assert_true(descriptor >= 0);
	assert_int_equal(peer.ss_family, AF_INET);
	assert_int_equal(length, sizeof(struct sockaddr_in));
	assert_int_equal(fcntl(descriptor, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(io_open(ret_io, descriptor), 0);
}

static void read_what(struct io *io, const char *expected, size_t size)
{
	char got[64];
	assert_int_equal(io_read(io, got, sizeof got, "read", deadline()), size);
	assert_memory_equal(got, expected, size);
}

static void connect_and_talk(void *argument)
{
	struct io listener, client, server;
	int own = kernel->duplicate(kernel, listening);
	assert_true(own >= 0 && own != listening);
	assert_int_equal(io_open(&listener, own), 0);
	connect_to_listener(&client);
	accept_one(&listener, &server);
	struct iovec parts[2] = {{"ab", 2}, {"c", 1}};
	assert_int_equal(io_write(&client, parts, 2, MSG_MORE, "write", deadline()), 3);
	assert_int_equal(io_write(&client, parts, 1, 0, "write", deadline()), 2);
	read_what(&server, "abcab", 5);
	// Splice, through a pipe.
	int pipe_ends[2];
	assert_int_equal(pipe2(pipe_ends, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(io_write(&client, parts, 2, 0, "write", deadline()), 3);
	assert_int_equal(io_wait_readable(&server, "read", deadline()), 0);
	assert_int_equal(kernel->splice(kernel, server.descriptor, pipe_ends[1], 100, SPLICE_F_NONBLOCK), 3);
	assert_int_equal(kernel->splice(kernel, server.descriptor, pipe_ends[1], 100, SPLICE_F_NONBLOCK), -EAGAIN);
	io_used_up_reading(&server);
	assert_int_equal(io_wait_readable(&server, "read", loop_now() + MILLISECOND_NS), -ETIMEDOUT);
	assert_int_equal(kernel->splice(kernel, pipe_ends[0], server.descriptor, 100, SPLICE_F_NONBLOCK), 3);
	read_what(&client, "abc", 3);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	io_close(&client);
	io_close(&server);
	io_close(&listener);
}

static void connects_accepts_and_talks(void **state)
{
	fiber_spawn("test", connect_and_talk, NULL);
	loop_run(loop);
}

static void connect_in_vain(void *argument)
{
	struct io io;
	close(listening);
	listening = -1;
	int descriptor = kernel->connect(kernel, (struct sockaddr *)&address, sizeof address);
	if (descriptor >= 0) {
		assert_int_equal(io_open(&io, descriptor), 0);
		assert_int_equal(io_wait_writable(&io, "connect", deadline()), 0);
		assert_int_equal(kernel->connect_result(kernel, descriptor), -ECONNREFUSED);
		io_close(&io);
	} else {
		assert_int_equal(descriptor, -ECONNREFUSED);
	}
}

static void a_refused_connect_is_told(void **state)
{
	fiber_spawn("test", connect_in_vain, NULL);
	loop_run(loop);
}

static void reset_connections(void *argument)
{
	struct io listener, client, server;
	assert_int_equal(io_open(&listener, kernel->duplicate(kernel, listening)), 0);
	struct iovec part = {"x", 1};
	char byte;

	connect_to_listener(&client);
	accept_one(&listener, &server);
	assert_int_equal(kernel->reset_on_close(kernel, server.descriptor), 0);
	io_close(&server);
	assert_int_equal(io_read(&client, &byte, 1, "read", deadline()), -ECONNRESET);
	io_close(&client);

	// The write hears of the reset first; a read after it must not take it for an end.
	connect_to_listener(&client);
	accept_one(&listener, &server);
	assert_int_equal(kernel->reset_on_close(kernel, server.descriptor), 0);
	kernel->close(kernel, kernel->duplicate(kernel, listening)); // never watched
	io_close(&server);
	ssize_t written;
	do {
		written = io_write(&client, &part, 1, 0, "write", deadline());
	} while (written > 0);
	assert_true(written == -ECONNRESET || written == -EPIPE);
	assert_int_equal(io_read(&client, &byte, 1, "read", deadline()), -ECONNRESET);
	io_close(&client);
	io_close(&listener);
}

static void a_reset_is_never_an_end(void **state)
{
	fiber_spawn("test", reset_connections, NULL);
	loop_run(loop);
}

// A server that answers in full, ends, and then resets what is still sent to it.
static void be_answered_early(void *argument)
{
	struct io listener, client, server;
	assert_int_equal(io_open(&listener, kernel->duplicate(kernel, listening)), 0);
	connect_to_listener(&client);
	accept_one(&listener, &server);
	struct iovec answer = {"answer", 6}, upload = {"upload", 6};
	assert_int_equal(io_write(&server, &answer, 1, 0, "write", deadline()), 6);
	assert_int_equal(kernel->shutdown(kernel, server.descriptor, SHUT_WR), 0);
	while ((client.ready & KERNEL_END) == 0)
		fiber_sleep("the end arrives", loop_now() + MILLISECOND_NS);
	assert_int_equal(io_write(&client, &upload, 1, 0, "write", deadline()), 6);
	assert_int_equal(io_wait_readable(&server, "upload", deadline()), 0);
	io_close(&server); // with the upload unread
	ssize_t written;
	do {
		written = io_write(&client, &upload, 1, 0, "write", deadline());
	} while (written > 0);
	assert_true(written == -ECONNRESET || written == -EPIPE);
	read_what(&client, "answer", 6);
	char byte;
	assert_int_equal(io_read(&client, &byte, 1, "read", deadline()), 0);
	io_close(&client);
	io_close(&listener);
}

static void an_end_before_a_reset_is_an_end(void **state)
{
	fiber_spawn("test", be_answered_early, NULL);
	loop_run(loop);
}

static int called;

static void count_call(struct io *io)
{
	called++;
}

static void listen_and_close(void *argument)
{
	struct io listener, client;
	assert_int_equal(io_open(&listener, kernel->duplicate(kernel, listening)), 0);
	io_park(&listener, count_call);
	io_close(&listener);
	// The socket lives on in the other descriptor, and would still be watched.
	listener.descriptor = 0;
	listener.parked = count_call;
	connect_to_listener(&client);
	fiber_sleep("nobody is called", loop_now() + 10 * MILLISECOND_NS);
	assert_int_equal(called, 0);
	io_close(&client);
}

static void a_closed_duplicate_is_watched_no_more(void **state)
{
	called = 0;
	fiber_spawn("test", listen_and_close, NULL);
	loop_run(loop);
}

static void interrupts_are_remembered(void **state)
{
	struct kernel_event events[4];
	for (int i = 0; i < 3; i++) {
		kernel->interrupt(kernel);
		kernel->interrupt(kernel);
		// Returns at once, and once only.
		assert_int_equal(kernel->wait(kernel, events, 4, -1), 0);
	}
	for (int i = 0; i < 20; i++) {
		int64_t before = kernel->now(kernel);
		assert_int_equal(kernel->wait(kernel, events, 4, 999999), 0);
		assert_true(kernel->now(kernel) - before >= 999999);
	}
	assert_true(kernel->wall_clock(kernel) > INT64_C(1600000000) * SECOND_NS);
}

static void without_memory_or_descriptors_there_is_none(void **state)
{
	fail_alloc_after(0);
	assert_null(kernel_linux_new());
	assert_true(fail_alloc_stop());
	fail_alloc_after(0);
	assert_int_equal(kernel->duplicate(kernel, listening), -ENOMEM);
	assert_true(fail_alloc_stop());
	assert_int_equal(kernel->duplicate(kernel, -1), -EBADF);
}

static void many_duplicates(void **state)
{
	int duplicates[30];
	for (int i = 0; i < 30; i++)
		assert_true((duplicates[i] = kernel->duplicate(kernel, listening)) >= 0);
	for (int i = 0; i < 30; i++)
		kernel->close(kernel, duplicates[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(connects_accepts_and_talks),
		TEST(a_refused_connect_is_told),
		TEST(a_reset_is_never_an_end),
		TEST(an_end_before_a_reset_is_an_end),
		TEST(a_closed_duplicate_is_watched_no_more),
		TEST(interrupts_are_remembered),
		TEST(without_memory_or_descriptors_there_is_none),
		TEST(many_duplicates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
