// What the tests of h1_reader share: a reader at one end of a connection.
#ifndef USHER_TESTS_UNIT_HTTP_READER_H
#define USHER_TESTS_UNIT_HTTP_READER_H

#include "driver.h"
#include "http/h1_reader.h"
#include "support.h"

#define HEAD "GET /a?b HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\r\n"

enum { LIMIT = 16 * 1024 };

struct fixture {
	struct tcp_stream near, far; // the reader's end and the test's
	struct h1_reader reader;
	struct arena arena;
	struct h1_body body; // for the tests of bodies
};

static inline void fixture_open(struct fixture *fixture)
{
	test_pair(&fixture->far, &fixture->near);
	driver_leave_out(&fixture->far);
	h1_reader_init(&fixture->reader, &fixture->near.stream);
	arena_init(&fixture->arena, 1024 * 1024);
}

static inline void fixture_close(struct fixture *fixture)
{
	h1_reader_fini(&fixture->reader);
	arena_fini(&fixture->arena);
	stream_close(&fixture->near.stream);
	stream_close(&fixture->far.stream);
	fiber_yield(); // the memory stays until the turn ends
}

static inline enum h1_head_result read_head(struct fixture *fixture, enum h1_read_mode mode, struct slice *ret_head)
{
	int error = 0;
	return h1_reader_head(&fixture->reader, LIMIT, true, mode, "test", test_deadline(), ret_head, &error);
}

#endif
