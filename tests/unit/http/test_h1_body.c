// Bodies as they come in on a connection, whole and in pieces.
#include "reader.h"

static const struct h1_limits limits = {.fields = 100, .target_bytes = 8192};
static const struct h1_body_faults faults = {
	.timeout = FAULT_BODY_TIMEOUT,
	.cut = FAULT_RESPONSE_TRUNCATED,
	.bad = FAULT_BAD_FRAMING,
	.gone = FAULT_CLIENT_GONE,
	.step = "read body",
};
static const int64_t idle_ns = 1000 * SECOND_NS;

static void begin_body(struct fixture *fixture, enum body_framing framing, uint64_t length, uint32_t header_bytes)
{
	struct slice head;
	assert_int_equal(read_head(fixture, H1_READ_WAIT, &head), H1_HEAD_WHOLE);
	assert_slice(head, HEAD);
	h1_body_init(&fixture->body, &fixture->reader, framing, length, &faults, &limits, header_bytes, &idle_ns,
		     &fixture->arena);
}

struct body_row {
	enum body_framing framing;
	uint64_t length;
	const char *wire; // behind the head
	bool ends;
	const char *payload;
	enum fault_kind fault;
	const char *trailer; // value of X
	const char *rest;    // left for the next head
};

static const struct body_row body_rows[] = {
	{BODY_NONE, 0, "GET", false, "", FAULT_NONE, NULL, "GET"},
	{BODY_LENGTH, 0, "GET", false, "", FAULT_NONE, NULL, "GET"},
	{BODY_LENGTH, 5, "helloGET", false, "hello", FAULT_NONE, NULL, "GET"},
	{BODY_LENGTH, 6, "hello", true, "hello", FAULT_RESPONSE_TRUNCATED, NULL, ""},
	{BODY_LENGTH, 1, "", true, "", FAULT_RESPONSE_TRUNCATED, NULL, ""},
	{BODY_CHUNKED, 0, "5\r\nhello\r\n0\r\n\r\nGET", false, "hello", FAULT_NONE, NULL, "GET"},
	{BODY_CHUNKED, 0, "0\r\n\r\nGET", false, "", FAULT_NONE, NULL, "GET"},
	{BODY_CHUNKED, 0, "5;a=b\r\nhello\r\n1\r\n!\r\n000\r\nX: y\r\n\r\nGET", false, "hello!", FAULT_NONE, "y",
	 "GET"},
	{BODY_CHUNKED, 0, "5\r\nhello\r\n0\r\nContent-Length: 3\r\nX: y\r\n\r\n", false, "hello", FAULT_NONE, "y", ""},
	{BODY_CHUNKED, 0, "5\r\nhel", true, "hel", FAULT_RESPONSE_TRUNCATED, NULL, ""},
	{BODY_CHUNKED, 0, "5\r\nhello\r\n", true, "hello", FAULT_RESPONSE_TRUNCATED, NULL, ""},
	{BODY_CHUNKED, 0, "0\r\nX: y\r\n", true, "", FAULT_RESPONSE_TRUNCATED, NULL, NULL},
	{BODY_CHUNKED, 0, "x\r\n", false, "", FAULT_BAD_FRAMING, NULL, NULL},
	{BODY_CHUNKED, 0, "2\r\nhello\r\n", false, "he", FAULT_BAD_FRAMING, NULL, NULL},
	{BODY_CHUNKED, 0, "0\r\nX: y\n\r\n", false, "", FAULT_BAD_FRAMING, NULL, NULL},
	{BODY_CHUNKED, 0, "0\r\nno colon\r\n\r\n", false, "", FAULT_BAD_FRAMING, NULL, NULL},
	{BODY_CHUNKED, 0, "0\r\nX: 12345678901234567890123456789012345678901234567890\r\n\r\n", false, "",
	 FAULT_BAD_FRAMING, NULL, NULL},
	{BODY_CHUNKED, 0, "0\r\nX: 12345678901234567890123456789012345678901234567890", false, "", FAULT_BAD_FRAMING,
	 NULL, NULL},
	{BODY_UNTIL_CLOSE, 0, "hello", true, "hello", FAULT_NONE, NULL, ""},
	{BODY_UNTIL_CLOSE, 0, "", true, "", FAULT_NONE, NULL, ""},
};

// What a body gives to its end; the end or the fault comes again when asked again.
static void assert_body(struct fixture *fixture, const struct body_row *row)
{
	struct body *body = &fixture->body.body;
	struct slice bytes;
	char got[64];
	size_t count = 0;
	int result;
	while ((result = body_read(body, &bytes)) == 0 && bytes.length) {
		assert_true(count + bytes.length < sizeof got);
		memcpy(got + count, bytes.data, bytes.length);
		count += bytes.length;
	}
	assert_true(slice_equal(slice_from(got, count), slice_from_string(row->payload)));
	assert_int_equal(fixture->body.taken, count);
	assert_int_equal(result, row->fault ? -1 : 0);
	assert_int_equal(body->fault.kind, row->fault);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(body_look(body), row->fault ? BODY_READY : BODY_ENDED);
		assert_int_equal(body_read(body, &bytes), result);
	}
	if (row->fault)
		assert_string_equal(body->fault.step, faults.step);
	else
		assert_int_equal(bytes.length, 0);
	const struct field *trailer = fields_find_name(&body->trailers, SLICE("X"));
	assert_int_equal(trailer != NULL, row->trailer != NULL);
	if (trailer)
		assert_slice(trailer->value, row->trailer);
	assert_null(fields_find(&body->trailers, FIELD_CONTENT_LENGTH));
}

static void bodies(void *argument)
{
	for (size_t i = 0; i < COUNT(body_rows); i++)
		for (int slow = 0; slow < 2; slow++) {
			const struct body_row *row = &body_rows[i];
			struct fixture fixture;
			fixture_open(&fixture);
			char wire[256];
			int length = snprintf(wire, sizeof wire, "%s%s", HEAD, row->wire);
			struct driver_drip drip = {&fixture.far, slice_from(wire, (size_t)length), row->ends};
			struct fiber *feeder = NULL;
			if (slow) {
				feeder = fiber_spawn_joinable("drip", driver_drip, &drip);
				assert_non_null(feeder);
			} else {
				driver_send(drip.to, drip.bytes);
				if (drip.then_end)
					assert_int_equal(stream_shutdown(&drip.to->stream), 0);
			}
			begin_body(&fixture, row->framing, row->length, 40);
			assert_int_equal(fixture.body.body.length, row->framing == BODY_NONE	 ? 0
								   : row->framing == BODY_LENGTH ? (int64_t)row->length
												 : BODY_LENGTH_UNKNOWN);
			assert_body(&fixture, row);
			if (feeder)
				fiber_join(feeder);
			if (row->rest && !slow)
				assert_slice(h1_reader_buffered(&fixture.reader), row->rest);
			fixture_close(&fixture);
		}
}

static void bodies_that_wait_in_vain(void *argument)
{
	static const char *const wires[] = {HEAD, HEAD "3\r\na", HEAD "1\r\na\r\n0\r\nX: "};
	for (size_t i = 0; i < COUNT(wires); i++) {
		struct fixture fixture;
		struct slice bytes;
		fixture_open(&fixture);
		driver_send(&fixture.far, slice_from_string(wires[i]));
		begin_body(&fixture, BODY_CHUNKED, 0, LIMIT);
		int64_t short_ns = 20 * MILLISECOND_NS;
		fixture.body.idle_ns = &short_ns;
		while (body_read(&fixture.body.body, &bytes) == 0)
			assert_true(bytes.length > 0);
		assert_int_equal(fixture.body.body.fault.kind, FAULT_BODY_TIMEOUT);
		fixture_close(&fixture);
	}
}

static void bodies_whose_connection_is_lost(void *argument)
{
	static const enum body_framing framings[] = {BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_CLOSE};
	for (size_t i = 0; i < COUNT(framings); i++) {
		struct fixture fixture;
		struct slice bytes;
		fixture_open(&fixture);
		driver_send(&fixture.far, SLICE(HEAD));
		begin_body(&fixture, framings[i], 10, LIMIT);
		stream_reset_on_close(&fixture.far.stream);
		stream_close(&fixture.far.stream);
		assert_int_equal(body_read(&fixture.body.body, &bytes), -1);
		assert_int_equal(fixture.body.body.fault.kind, FAULT_CLIENT_GONE);
		assert_int_equal(fixture.body.body.fault.system_error, ECONNRESET);
		fixture_close(&fixture);
	}
}

// --- Large bodies

enum { LARGE = 1024 * 1024 };

static char pattern(uint64_t at)
{
	return (char)('a' + at * 7 % 26);
}

struct feeding {
	struct tcp_stream *to;
	bool chunked;
};

static void feed_large(void *argument)
{
	const struct feeding *feeding = argument;
	static char bytes[LARGE];
	for (size_t i = 0; i < LARGE; i++)
		bytes[i] = pattern(i);
	driver_send(feeding->to, SLICE(HEAD));
	if (feeding->chunked)
		driver_send(feeding->to, SLICE("100000\r\n"));
	driver_send(feeding->to, slice_from(bytes, LARGE));
	driver_send(feeding->to, feeding->chunked ? SLICE("\r\n0\r\n\r\n" HEAD) : SLICE(HEAD));
}

// A body that fills its buffer goes on in a larger one; the head stays where it is.
static void large_bodies(void *argument)
{
	for (int chunked = 0; chunked < 2; chunked++) {
		struct fixture fixture;
		struct slice head, next, bytes;
		fixture_open(&fixture);
		struct feeding feeding = {&fixture.far, chunked};
		struct fiber *feeder = fiber_spawn_joinable("feed", feed_large, &feeding);
		assert_non_null(feeder);
		assert_int_equal(read_head(&fixture, H1_READ_WAIT, &head), H1_HEAD_WHOLE);
		h1_body_init(&fixture.body, &fixture.reader, chunked ? BODY_CHUNKED : BODY_LENGTH, LARGE, &faults,
			     &limits, LIMIT, &idle_ns, &fixture.arena);
		uint64_t count = 0;
		for (;;) {
			assert_int_equal(body_read(&fixture.body.body, &bytes), 0);
			if (!bytes.length)
				break;
			for (size_t i = 0; i < bytes.length; i++)
				assert_int_equal(bytes.data[i], pattern(count + i));
			count += bytes.length;
			fiber_yield(); // so that the socket is full at the next read
		}
		assert_int_equal(count, LARGE);
		assert_non_null(fixture.reader.pinned);
		assert_true(fixture.reader.capacity > BLOCK_SIZE);
		assert_slice(head, HEAD);
		assert_int_equal(read_head(&fixture, H1_READ_WAIT, &next), H1_HEAD_WHOLE);
		assert_slice(next, HEAD);
		assert_null(fixture.reader.pinned);
		fiber_join(feeder);
		fixture_close(&fixture);
	}
}

// --- What a body tells of what comes

// Each step: what is sent, how much is taken first, and what then shows.
static void looking_ahead(void *argument)
{
	struct fixture fixture;
	struct slice bytes;
	uint64_t size = 0;
	fixture_open(&fixture);
	struct body *body = &fixture.body.body;
	driver_send(&fixture.far, SLICE(HEAD "3\r\nab"));
	begin_body(&fixture, BODY_CHUNKED, 0, LIMIT);
	assert_int_equal(body_look(body), BODY_READY);
	assert_int_equal(body_look(body), BODY_READY); // decoded once, not lost
	assert_null(body->operations->plain_stream(body, &size));
	assert_int_equal(body_read(body, &bytes), 0);
	assert_slice(bytes, "ab");
	assert_int_equal(body_look(body), BODY_WAITS);
	assert_slice(bytes, "ab"); // looking does not touch what was lent
	assert_ptr_equal(body->operations->plain_stream(body, &size), &fixture.near.stream);
	assert_int_equal(size, 1);
	driver_send(&fixture.far, SLICE("c"));
	char moved;
	assert_int_equal(stream_read(&fixture.near.stream, &moved, 1, "test", test_deadline()), 1);
	body->operations->moved(body, 1);
	assert_int_equal(fixture.body.taken, 3);
	assert_null(body->operations->plain_stream(body, &size)); // the chunk's CRLF comes next
	driver_send(&fixture.far, SLICE("\r\n0\r\n\r\n"));
	assert_int_equal(body_read(body, &bytes), 0);
	assert_int_equal(bytes.length, 0);
	assert_int_equal(body_look(body), BODY_ENDED);
	assert_null(body->operations->plain_stream(body, &size));
	fixture_close(&fixture);
}

static void looking_ahead_of_lengths(void *argument)
{
	struct fixture fixture;
	struct slice bytes;
	uint64_t size = 0;
	fixture_open(&fixture);
	struct body *body = &fixture.body.body;
	driver_send(&fixture.far, SLICE(HEAD));
	begin_body(&fixture, BODY_LENGTH, 4, LIMIT);
	assert_int_equal(body_look(body), BODY_WAITS);
	assert_ptr_equal(body->operations->plain_stream(body, &size), &fixture.near.stream);
	assert_int_equal(size, 4);
	driver_send(&fixture.far, SLICE("abc"));
	assert_int_equal(body_read(body, &bytes), 0);
	assert_slice(bytes, "abc");
	assert_ptr_equal(body->operations->plain_stream(body, &size), &fixture.near.stream);
	assert_int_equal(size, 1);
	body->operations->moved(body, 1); // as if spliced
	assert_int_equal(body_look(body), BODY_ENDED);
	assert_null(body->operations->plain_stream(body, &size));
	assert_int_equal(body_read(body, &bytes), 0);
	assert_int_equal(bytes.length, 0);
	assert_int_equal(fixture.body.taken, 4);

	h1_body_init(&fixture.body, &fixture.reader, BODY_UNTIL_CLOSE, 0, &faults, &limits, LIMIT, &idle_ns,
		     &fixture.arena);
	assert_int_equal(body_look(body), BODY_WAITS);
	assert_ptr_equal(body->operations->plain_stream(body, &size), &fixture.near.stream);
	assert_true(size == UINT64_MAX);
	h1_body_init(&fixture.body, &fixture.reader, BODY_NONE, 0, &faults, &limits, LIMIT, &idle_ns, &fixture.arena);
	assert_int_equal(body_look(body), BODY_ENDED);
	assert_null(body->operations->plain_stream(body, &size));
	fixture_close(&fixture);
}

static void before_wait(struct h1_body *body)
{
	(*(unsigned *)body->owner)++;
}

// Only a wait is told of, not a read of what is there.
static void waits_are_told_of(void *argument)
{
	struct fixture fixture;
	struct slice bytes;
	unsigned waits = 0;
	fixture_open(&fixture);
	driver_send(&fixture.far, SLICE(HEAD "ab"));
	begin_body(&fixture, BODY_LENGTH, 3, LIMIT);
	fixture.body.before_wait = before_wait;
	fixture.body.owner = &waits;
	assert_int_equal(body_read(&fixture.body.body, &bytes), 0);
	assert_int_equal(waits, 0);
	struct driver_drip drip = {&fixture.far, SLICE("c"), false};
	struct fiber *feeder = fiber_spawn_joinable("drip", driver_drip, &drip);
	assert_int_equal(body_read(&fixture.body.body, &bytes), 0);
	assert_int_equal(waits, 1);
	fiber_join(feeder);
	fixture_close(&fixture);
}

#define TEST(name)                                                                                                     \
	static void test_##name(void **state)                                                                          \
	{                                                                                                              \
		driver_run(name, NULL);                                                                                \
	}

TEST(bodies)
TEST(bodies_that_wait_in_vain)
TEST(bodies_whose_connection_is_lost)
TEST(large_bodies)
TEST(looking_ahead)
TEST(looking_ahead_of_lengths)
TEST(waits_are_told_of)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_bodies_that_wait_in_vain),
		cmocka_unit_test(test_bodies_whose_connection_is_lost),
		cmocka_unit_test(test_large_bodies),
		cmocka_unit_test(test_looking_ahead),
		cmocka_unit_test(test_looking_ahead_of_lengths),
		cmocka_unit_test(test_waits_are_told_of),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
