// What the tests of net share: a test's own fibers on a loop over the real kernel.
#ifndef USHER_TEST_NET_SUPPORT_H
#define USHER_TEST_NET_SUPPORT_H

// cmocka.h wants these before it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
//
#include "base/block.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"
#include "net/address.h"
#include "net/listener.h"
#include "net/stream.h"
#include "net/tcp.h"

#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

// Far beyond what a loaded machine needs.
static const int64_t PATIENCE_NS = 30 * SECOND_NS;

static inline int64_t test_deadline(void)
{
	return loop_now() + PATIENCE_NS;
}

// Runs fibers to their end; the loop must find nothing left behind.
static inline void test_run(fiber_function *run, void *argument)
{
	struct kernel *kernel = kernel_linux_new();
	assert_non_null(kernel);
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

static inline struct address test_ip(const char *text, uint16_t port)
{
	struct address address;
	assert_true(address_parse_ip(slice_from_string(text), port, &address));
	return address;
}

// A listening socket on loopback; *ret_address is where it listens.
static inline int test_listen(int backlog, struct address *ret_address)
{
	struct address wanted = test_ip("127.0.0.1", 0);
	int descriptor = listener_bind(&wanted, backlog, false);
	assert_true(descriptor >= 0);
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	assert_int_equal(getsockname(descriptor, (struct sockaddr *)&name, &length), 0);
	address_from_sockaddr((struct sockaddr *)&name, length, ret_address);
	return descriptor;
}

// Both ends of a connection over loopback.
static inline void test_pair(struct tcp_stream *a, struct tcp_stream *b)
{
	struct address address;
	int listening = test_listen(8, &address);
	assert_int_equal(tcp_connect(a, &address, test_deadline()), 0);
	struct kernel *kernel = loop_kernel();
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);
	int accepted = kernel->accept(kernel, listening, &peer, &length);
	assert_true(accepted >= 0);
	assert_int_equal(tcp_open(b, accepted), 0);
	close(listening);
}

static inline void test_send(struct tcp_stream *to, const char *text)
{
	struct iovec part = {(void *)text, strlen(text)};
	assert_int_equal(stream_write_all(&to->stream, &part, 1, false, "test", PATIENCE_NS), 0);
}

static inline void test_expect(struct tcp_stream *from, const char *text)
{
	char got[256];
	size_t length = strlen(text), count = 0;
	assert_true(length < sizeof(got));
	while (count < length) {
		ssize_t more = stream_read(&from->stream, got + count, length - count, "test", test_deadline());
		assert_true(more > 0);
		count += (size_t)more;
	}
	assert_memory_equal(got, text, length);
}

static inline void test_expect_end(struct tcp_stream *from)
{
	char byte;
	assert_int_equal(stream_read(&from->stream, &byte, 1, "test", test_deadline()), 0);
}

#endif
