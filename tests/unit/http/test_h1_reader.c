// Heads as they come in on a connection, whole and in pieces.
#include "reader.h"

enum { PARKED = 256 };

// Reads without waiting until all that was sent has come.
static enum h1_head_result try_head(struct fixture *fixture, size_t sent, struct slice *ret_head)
{
	for (;;) {
		assert_int_equal(stream_wait(&fixture->near.stream, "test", test_deadline()), 0);
		enum h1_head_result result = read_head(fixture, H1_READ_TRY, ret_head);
		if (result != H1_HEAD_MORE || fixture->near.stream.bytes_read == sent)
			return result;
	}
}

static void heads_split_anywhere(void *argument)
{
	static const char wire[] = "\r\n\r\n" HEAD;
	struct fixture fixture;
	struct slice head;
	for (size_t cut = 1; cut < sizeof wire - 1; cut++)
		for (int shrinks = 0; shrinks < 2; shrinks++) {
			fixture_open(&fixture);
			driver_send(&fixture.far, slice_from(wire, cut));
			assert_int_equal(try_head(&fixture, cut, &head), H1_HEAD_MORE);
			if (shrinks) {
				h1_reader_shrink(&fixture.reader);
				assert_int_equal(fixture.reader.capacity, PARKED);
			}
			driver_send(&fixture.far, slice_from(wire + cut, sizeof wire - 1 - cut));
			assert_int_equal(try_head(&fixture, sizeof wire - 1, &head), H1_HEAD_WHOLE);
			assert_slice(head, HEAD);
			assert_int_equal(h1_reader_buffered(&fixture.reader).length, 0);
			fixture_close(&fixture);
		}
}

static void heads_byte_by_byte(void *argument)
{
	static const char wire[] = "\r\n" HEAD;
	struct fixture fixture;
	struct slice head;
	fixture_open(&fixture);
	for (size_t round = 0, sent = 0; round < 3; round++)
		for (size_t i = 0; i < sizeof wire - 1; i++) {
			driver_send(&fixture.far, slice_from(wire + i, 1));
			enum h1_head_result result = try_head(&fixture, ++sent, &head);
			assert_int_equal(result, i == sizeof wire - 2 ? H1_HEAD_WHOLE : H1_HEAD_MORE);
			if (result == H1_HEAD_WHOLE)
				assert_slice(head, HEAD);
			else
				h1_reader_shrink(&fixture.reader);
		}
	fixture_close(&fixture);
}

static void heads_pipelined(void *argument)
{
	struct fixture fixture;
	struct slice head;
	fixture_open(&fixture);
	driver_send(&fixture.far, SLICE("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n\r\nGET /3 HTTP/1.1\r\n\r\nGE"));
	assert_int_equal(read_head(&fixture, H1_READ_WAIT, &head), H1_HEAD_WHOLE);
	assert_slice(head, "GET /1 HTTP/1.1\r\n\r\n");
	unsigned reads = driver_calls.reads;
	assert_int_equal(read_head(&fixture, H1_READ_TRY, &head), H1_HEAD_WHOLE);
	assert_slice(head, "GET /2 HTTP/1.1\r\n\r\n");
	assert_int_equal(read_head(&fixture, H1_READ_TRY, &head), H1_HEAD_WHOLE);
	assert_slice(head, "GET /3 HTTP/1.1\r\n\r\n");
	assert_int_equal(driver_calls.reads, reads); // what is there is not asked for
	assert_int_equal(read_head(&fixture, H1_READ_TRY, &head), H1_HEAD_MORE);
	assert_slice(h1_reader_buffered(&fixture.reader), "GE");
	fixture_close(&fixture);
}

// Many heads that do not end where the buffer does.
static void heads_wander_through_the_buffer(void *argument)
{
	struct fixture fixture;
	struct slice head;
	static char wire[3001];
	memset(wire, 'x', sizeof wire);
	memcpy(wire, "GET /", 5);
	memcpy(wire + sizeof wire - 4, "\r\n\r\n", 4);
	fixture_open(&fixture);
	for (int i = 0; i < 4; i++)
		driver_send(&fixture.far, slice_from(wire, sizeof wire));
	for (int i = 0; i < 40; i++) {
		if (i < 36)
			driver_send(&fixture.far, slice_from(wire, sizeof wire));
		assert_int_equal(read_head(&fixture, H1_READ_WAIT, &head), H1_HEAD_WHOLE);
		assert_true(slice_equal(head, slice_from(wire, sizeof wire)));
	}
	fixture_close(&fixture);
}

static void heads_that_fail(void *argument)
{
	static const struct {
		const char *wire;
		size_t limit;
		bool ends;
		enum h1_head_result result;
	} rows[] = {
		{"GET / HTTP/1.1\r\n\r\n", 18, false, H1_HEAD_WHOLE},
		{"GET / HTTP/1.1\r\n\r\n", 17, false, H1_HEAD_TOO_LARGE},
		{"GET / HTTP/1.1\r\nA", 17, false, H1_HEAD_TOO_LARGE},
		{"GET / HTTP/1.1\r\nA", 18, true, H1_HEAD_CUT},
		{"GET / HTTP/1.1\n\n", 100, false, H1_HEAD_BARE_LF},
		{"GET / HTTP/1.1\r\nA: b\n", 100, false, H1_HEAD_BARE_LF},
		{"", 100, true, H1_HEAD_NONE},
		{"\r\n", 100, true, H1_HEAD_NONE},
		{"\r", 100, true, H1_HEAD_CUT},
		{"G", 100, true, H1_HEAD_CUT},
		{"GET / HTTP/1.1\r\n\r", 100, true, H1_HEAD_CUT},
	};
	for (size_t i = 0; i < COUNT(rows); i++)
		for (int slow = 0; slow < 2; slow++) {
			struct fixture fixture;
			struct slice head;
			int error = 0;
			fixture_open(&fixture);
			struct driver_drip drip = {&fixture.far, slice_from_string(rows[i].wire), rows[i].ends};
			struct fiber *feeder = NULL;
			if (slow) {
				feeder = fiber_spawn_joinable("drip", driver_drip, &drip);
				assert_non_null(feeder);
			} else {
				driver_send(drip.to, drip.bytes);
				if (drip.then_end)
					assert_int_equal(stream_shutdown(&drip.to->stream), 0);
			}
			enum h1_head_result result = h1_reader_head(&fixture.reader, rows[i].limit, true, H1_READ_WAIT,
								    "test", test_deadline(), &head, &error);
			if (result != rows[i].result)
				print_error("row %zu, slow %d\n", i, slow);
			assert_int_equal(result, rows[i].result);
			if (feeder)
				fiber_join(feeder);
			fixture_close(&fixture);
		}
}

struct waiting {
	struct fixture *fixture;
	enum h1_head_result result;
	int error;
};

static void wait_for_head(void *argument)
{
	struct waiting *waiting = argument;
	struct slice head;
	waiting->result = h1_reader_head(&waiting->fixture->reader, LIMIT, true, H1_READ_WAIT, "test",
					 loop_now() + 500 * SECOND_NS, &head, &waiting->error);
}

// The three ends of a wait, before the first byte and in the middle of a head.
static void waits_for_heads_end(void *argument)
{
	enum { TIMEOUT, CANCEL, RESET, WAYS };
	static const enum h1_head_result results[WAYS] = {H1_HEAD_TIMEOUT, H1_HEAD_CANCELLED, H1_HEAD_FAILED};
	for (int way = 0; way < WAYS; way++)
		for (int begun = 0; begun < 2; begun++) {
			struct fixture fixture;
			fixture_open(&fixture);
			struct waiting waiting = {.fixture = &fixture};
			if (begun)
				driver_send(&fixture.far, SLICE("GET / HT"));
			struct fiber *fiber = fiber_spawn_joinable("waiting", wait_for_head, &waiting);
			assert_non_null(fiber);
			driver_settle();
			if (way == TIMEOUT) {
				driver_skip(501 * SECOND_NS);
			} else if (way == CANCEL) {
				fiber_cancel(fiber);
			} else {
				stream_reset_on_close(&fixture.far.stream);
				stream_close(&fixture.far.stream);
			}
			fiber_join(fiber);
			assert_int_equal(waiting.result, results[way]);
			assert_int_equal(waiting.error, way == RESET ? ECONNRESET : 0);
			fixture_close(&fixture);
		}
}

static void heads_without_memory(void *argument)
{
	struct fixture fixture;
	struct slice head;
	fixture_open(&fixture);
	driver_send(&fixture.far, SLICE(HEAD));
	block_trim();
	fail_alloc_after(0);
	assert_int_equal(read_head(&fixture, H1_READ_WAIT, &head), H1_HEAD_NO_MEMORY);
	assert_true(fail_alloc_stop());
	assert_int_equal(read_head(&fixture, H1_READ_WAIT, &head), H1_HEAD_WHOLE); // nothing was lost
	assert_slice(head, HEAD);
	fixture_close(&fixture);
}

static void shrinking_without_memory(void *argument)
{
	struct fixture fixture;
	struct slice head;
	fixture_open(&fixture);
	driver_send(&fixture.far, SLICE("GET /a"));
	assert_int_equal(try_head(&fixture, 6, &head), H1_HEAD_MORE);
	fail_alloc_after(0);
	h1_reader_shrink(&fixture.reader);
	assert_true(fail_alloc_stop());
	assert_slice(h1_reader_buffered(&fixture.reader), "GET /a");
	fixture_close(&fixture);
}

#define TEST(name)                                                                                                     \
	static void test_##name(void **state)                                                                          \
	{                                                                                                              \
		driver_run(name, NULL);                                                                                \
	}

TEST(heads_split_anywhere)
TEST(heads_byte_by_byte)
TEST(heads_pipelined)
TEST(heads_wander_through_the_buffer)
TEST(heads_that_fail)
TEST(waits_for_heads_end)
TEST(heads_without_memory)
TEST(shrinking_without_memory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads_split_anywhere), cmocka_unit_test(test_heads_byte_by_byte),
		cmocka_unit_test(test_heads_pipelined),	     cmocka_unit_test(test_heads_wander_through_the_buffer),
		cmocka_unit_test(test_heads_that_fail),	     cmocka_unit_test(test_waits_for_heads_end),
		cmocka_unit_test(test_heads_without_memory), cmocka_unit_test(test_shrinking_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
