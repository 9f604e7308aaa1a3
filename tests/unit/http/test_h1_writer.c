// Messages as they go out on a connection: their bytes, and in how many writes.
#include "driver.h"
#include "http/h1_reader.h"
#include "http/h1_writer.h"
#include "support.h"

#include <stdlib.h>

// A body that gives its pieces one by one.
struct piece_body {
	struct body body;
	const char *const *next; // up to NULL
	bool looks;		 // what comes next is known
	bool fails;		 // at the end
};

static int pieces_read(struct body *body, struct slice *ret_bytes)
{
	struct piece_body *pieces = (struct piece_body *)body;
	if (*pieces->next) {
		*ret_bytes = slice_from_string(*pieces->next++);
		return 0;
	}
	*ret_bytes = SLICE_EMPTY;
	if (!pieces->fails)
		return 0;
	fault_set(&body->fault, FAULT_RESPONSE_TRUNCATED, "read", NULL);
	return -1;
}

static enum body_look pieces_look(struct body *body)
{
	const struct piece_body *pieces = (const struct piece_body *)body;
	if (!pieces->looks)
		return BODY_WAITS;
	return *pieces->next || pieces->fails ? BODY_READY : BODY_ENDED;
}

static const struct body_operations pieces_operations = {.read = pieces_read, .look = pieces_look};

struct row {
	const char *const pieces[4];
	enum body_framing framing;
	int64_t length;
	bool looks, fails, has_trailer;
	const char *wire; // behind the head
	enum h1_send_result result;
	enum fault_kind fault;
	unsigned writes;
	uint64_t payload;
};

static const struct row rows[] = {
	// What is there goes out with the head, and with what ends it.
	{{NULL}, BODY_NONE, 0, true, .wire = "", .writes = 1},
	{{NULL}, BODY_LENGTH, 0, true, .wire = "", .writes = 1},
	{{"hello"}, BODY_LENGTH, 5, true, .wire = "hello", .writes = 1, .payload = 5},
	{{"hello"}, BODY_CHUNKED, -1, true, .wire = "5\r\nhello\r\n0\r\n\r\n", .writes = 1, .payload = 5},
	{{NULL}, BODY_CHUNKED, -1, true, .wire = "0\r\n\r\n", .writes = 1},
	{{"hello"}, BODY_UNTIL_CLOSE, -1, true, .wire = "hello", .writes = 1, .payload = 5},
	{{"hello"},
	 BODY_CHUNKED,
	 -1,
	 true,
	 .has_trailer = true,
	 .wire = "5\r\nhello\r\n0\r\nX: y\r\n\r\n",
	 .writes = 1,
	 .payload = 5},
	// Several pieces, each sent when it is there.
	{{"ab", "cde"}, BODY_LENGTH, 5, true, .wire = "abcde", .writes = 2, .payload = 5},
	{{"ab", "cde"}, BODY_CHUNKED, -1, true, .wire = "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", .writes = 2, .payload = 5},
	// Nobody knows what comes: the head does not wait for it.
	{{NULL}, BODY_CHUNKED, -1, .wire = "0\r\n\r\n", .writes = 2},
	{{NULL}, BODY_LENGTH, 0, .wire = "", .writes = 1},
	{{"ab"}, BODY_LENGTH, 2, .wire = "ab", .writes = 2, .payload = 2},
	{{"ab"}, BODY_CHUNKED, -1, .wire = "2\r\nab\r\n0\r\n\r\n", .writes = 3, .payload = 2},
	{{"ab", "c"}, BODY_UNTIL_CLOSE, -1, .wire = "abc", .writes = 3, .payload = 3},
	{{"ab"},
	 BODY_CHUNKED,
	 -1,
	 .has_trailer = true,
	 .wire = "2\r\nab\r\n0\r\nX: y\r\n\r\n",
	 .writes = 3,
	 .payload = 2},
	// Bodies that break their word: what was sent must not look whole.
	{{"abc"}, BODY_LENGTH, 2, true, .result = H1_SEND_READ_FAILED, .fault = FAULT_INTERNAL},
	{{"ab", "c"},
	 BODY_LENGTH,
	 2,
	 .wire = "ab",
	 .result = H1_SEND_READ_FAILED,
	 .fault = FAULT_INTERNAL,
	 .writes = 2,
	 .payload = 2},
	{{"a"}, BODY_LENGTH, 2, true, .result = H1_SEND_READ_FAILED, .fault = FAULT_INTERNAL},
	{{"a"},
	 BODY_LENGTH,
	 2,
	 .wire = "a",
	 .result = H1_SEND_READ_FAILED,
	 .fault = FAULT_INTERNAL,
	 .writes = 2,
	 .payload = 1},
	{{NULL}, BODY_LENGTH, 2, true, .result = H1_SEND_READ_FAILED, .fault = FAULT_INTERNAL},
	{{NULL}, BODY_LENGTH, 2, .wire = "", .result = H1_SEND_READ_FAILED, .fault = FAULT_INTERNAL, .writes = 1},
	// Bodies that fail.
	{{NULL}, BODY_LENGTH, 2, true, true, .result = H1_SEND_READ_FAILED, .fault = FAULT_RESPONSE_TRUNCATED},
	{{"a"},
	 BODY_CHUNKED,
	 -1,
	 true,
	 true,
	 .wire = "1\r\na\r\n",
	 .result = H1_SEND_READ_FAILED,
	 .fault = FAULT_RESPONSE_TRUNCATED,
	 .writes = 1,
	 .payload = 1},
	{{"a"},
	 BODY_CHUNKED,
	 -1,
	 false,
	 true,
	 .wire = "1\r\na\r\n",
	 .result = H1_SEND_READ_FAILED,
	 .fault = FAULT_RESPONSE_TRUNCATED,
	 .writes = 2,
	 .payload = 1},
};

static enum h1_send_result send_all(struct h1_sending *sending)
{
	bool finished = false;
	enum h1_send_result result = h1_send_start(sending, &finished);
	return result == H1_SEND_DONE && !finished ? h1_send_rest(sending) : result;
}

#define HEAD "HTTP/1.1 200 OK\r\n\r\n"

static void send_row(const struct row *row)
{
	struct tcp_stream near, far;
	struct field trailer = {SLICE("X"), SLICE("y"), FIELD_OTHER};
	test_pair(&far, &near);
	driver_leave_out(&far);
	struct piece_body body = {
		.body = {.operations = &pieces_operations, .length = row->length},
		.next = row->pieces,
		.looks = row->looks,
		.fails = row->fails,
	};
	if (row->has_trailer)
		body.body.trailers = (struct fields){&trailer, 1, 1};
	struct h1_sending sending = {.stream = &near.stream,
				     .head = SLICE(HEAD),
				     .body = &body.body,
				     .framing = row->framing,
				     .idle_ns = PATIENCE_NS,
				     .step = "send"};
	driver_calls.writes = 0;
	assert_int_equal(send_all(&sending), row->result);
	assert_int_equal(driver_calls.writes, row->writes);
	assert_int_equal(body.body.fault.kind, row->fault);
	assert_int_equal(sending.sent_body, row->payload);
	stream_close(&near.stream);
	struct slice got = driver_receive(&far, NULL);
	assert_int_equal(sending.sent, got.length);
	char expected[256] = "";
	if (row->wire)
		(void)snprintf(expected, sizeof expected, "%s%s", HEAD, row->wire);
	assert_slice(got, expected);
	stream_close(&far.stream);
	fiber_yield();
}

static void messages(void *argument)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		send_row(&rows[i]);
}

static void trailers_without_memory(void *argument)
{
	struct tcp_stream near, far;
	struct field trailer = {SLICE("X"), SLICE("y"), FIELD_OTHER};
	const char *const pieces[] = {"ab", NULL};
	test_pair(&far, &near);
	struct piece_body body = {
		.body = {.operations = &pieces_operations, .length = -1, .trailers = {&trailer, 1, 1}},
		.next = pieces,
		.looks = true};
	struct h1_sending sending = {.stream = &near.stream,
				     .head = SLICE(HEAD),
				     .body = &body.body,
				     .framing = BODY_CHUNKED,
				     .idle_ns = PATIENCE_NS,
				     .step = "send"};
	fail_alloc_after(0);
	assert_int_equal(send_all(&sending), H1_SEND_WRITE_FAILED);
	assert_true(fail_alloc_stop());
	assert_int_equal(sending.error, -ENOMEM);
	assert_int_equal(sending.sent, 0);
	stream_close(&near.stream);
	stream_close(&far.stream);
}

// --- From one connection to another

enum { LARGE = 3 * 1024 * 1024 };

static char *large_bytes(void)
{
	char *bytes = malloc(LARGE);
	assert_non_null(bytes);
	for (size_t i = 0; i < LARGE; i++)
		bytes[i] = (char)('a' + i * 7 % 26);
	return bytes;
}

struct passing {
	enum body_framing from, to;
	size_t cut; // the origin ends after so many bytes of the body; 0: it does not
	struct tcp_stream origin, near, out, client;
	char *bytes;
	struct h1_sending sending;
	enum h1_send_result result;
	struct h1_body body;
	size_t received;
	char *got;
};

static void pass_origin(void *argument)
{
	struct passing *passing = argument;
	bool chunked = passing->from == BODY_CHUNKED;
	if (chunked)
		driver_send(&passing->origin, SLICE("300000\r\n"));
	driver_send(&passing->origin, slice_from(passing->bytes, passing->cut ? passing->cut : LARGE));
	if (chunked && !passing->cut)
		driver_send(&passing->origin, SLICE("\r\n0\r\n\r\n"));
	if (passing->cut || passing->from == BODY_UNTIL_CLOSE)
		assert_int_equal(stream_shutdown(&passing->origin.stream), 0);
}

static void pass_client(void *argument)
{
	struct passing *passing = argument;
	ssize_t got;
	while ((got = stream_read(&passing->client.stream, passing->got + passing->received,
				  2 * LARGE - passing->received, "test", test_deadline())) > 0)
		passing->received += (size_t)got;
	assert_int_equal(got, 0);
}

// Takes the chunked coding off what was received: its length, with *ret_whole whether it ended.
static size_t unchunk(char *bytes, size_t length, bool *ret_whole)
{
	struct h1_chunked chunked;
	struct slice rest = slice_from(bytes, length), data;
	const char *detail = NULL;
	size_t count = 0;
	*ret_whole = false;
	h1_chunked_init(&chunked);
	for (;;) {
		enum h1_chunked_result result = h1_chunked_read(&chunked, &rest, &data, &detail);
		assert_int_not_equal(result, H1_CHUNKED_BAD);
		if (result == H1_CHUNKED_DATA) {
			memmove(bytes + count, data.data, data.length);
			count += data.length;
		} else {
			*ret_whole = result == H1_CHUNKED_TRAILERS;
			return count;
		}
	}
}

static void pass(struct passing *passing)
{
	static const struct h1_body_faults faults = {FAULT_BODY_TIMEOUT, FAULT_RESPONSE_TRUNCATED, FAULT_BAD_FRAMING,
						     FAULT_CLIENT_GONE, "read"};
	static const struct h1_limits limits = {100, 1000};
	static const int64_t idle_ns = 30 * SECOND_NS;
	struct h1_reader reader;
	struct arena arena;
	arena_init(&arena, 100000);
	passing->bytes = large_bytes();
	passing->got = malloc(2 * LARGE);
	assert_non_null(passing->got);
	test_pair(&passing->origin, &passing->near);
	test_pair(&passing->client, &passing->out);
	h1_reader_init(&reader, &passing->near.stream);
	h1_body_init(&passing->body, &reader, passing->from, LARGE, &faults, &limits, 1000, &idle_ns, &arena);
	passing->sending = (struct h1_sending){.stream = &passing->out.stream,
					       .body = &passing->body.body,
					       .framing = passing->to,
					       .idle_ns = PATIENCE_NS,
					       .step = "send"};
	struct fiber *origin = fiber_spawn_joinable("origin", pass_origin, passing);
	struct fiber *client = fiber_spawn_joinable("client", pass_client, passing);
	driver_calls.splices = 0;
	passing->result = send_all(&passing->sending);
	fiber_join(origin);
	stream_close(&passing->out.stream);
	fiber_join(client);
	assert_true(driver_calls.splices > 0);
	h1_reader_fini(&reader);
	arena_fini(&arena);
	stream_close(&passing->near.stream);
	stream_close(&passing->origin.stream);
	stream_close(&passing->client.stream);
	fiber_yield();
}

static void large_bodies_are_spliced(void *argument)
{
	static const struct {
		enum body_framing from, to;
		size_t cut;
	} ways[] = {
		{BODY_LENGTH, BODY_LENGTH, 0},		 {BODY_LENGTH, BODY_CHUNKED, 0},
		{BODY_LENGTH, BODY_LENGTH, LARGE / 2},	 {BODY_LENGTH, BODY_CHUNKED, LARGE / 2},
		{BODY_CHUNKED, BODY_CHUNKED, 0},	 {BODY_CHUNKED, BODY_UNTIL_CLOSE, 0},
		{BODY_CHUNKED, BODY_CHUNKED, LARGE / 2}, {BODY_UNTIL_CLOSE, BODY_UNTIL_CLOSE, 0},
	};
	for (size_t i = 0; i < COUNT(ways); i++) {
		static struct passing passing;
		passing = (struct passing){.from = ways[i].from, .to = ways[i].to, .cut = ways[i].cut};
		pass(&passing);
		size_t size = ways[i].cut ? ways[i].cut : LARGE;
		bool whole = !ways[i].cut;
		assert_int_equal(passing.sending.sent, passing.received);
		if (passing.to == BODY_CHUNKED)
			passing.received = unchunk(passing.got, passing.received, &whole);
		assert_int_equal(passing.result, ways[i].cut ? H1_SEND_READ_FAILED : H1_SEND_DONE);
		assert_int_equal(passing.body.body.fault.kind, ways[i].cut ? FAULT_RESPONSE_TRUNCATED : FAULT_NONE);
		assert_int_equal(whole, !ways[i].cut);
		assert_int_equal(passing.received, size);
		assert_memory_equal(passing.got, passing.bytes, size);
		assert_int_equal(passing.sending.sent_body, size);
		assert_int_equal(passing.body.taken, size);
		free(passing.bytes);
		free(passing.got);
	}
}

// --- Writes that fail

struct stuck {
	struct h1_sending sending;
	enum h1_send_result result;
};

static void send_stuck(void *argument)
{
	struct stuck *stuck = argument;
	stuck->result = send_all(&stuck->sending);
}

static void writes_that_fail(void *argument)
{
	enum { TIMEOUT, CANCEL, RESET, WAYS };
	static const int errors[WAYS] = {-ETIMEDOUT, -ECANCELED, -ECONNRESET};
	char *bytes = malloc(8 * LARGE);
	assert_non_null(bytes);
	memset(bytes, 'x', 8 * LARGE);
	for (int way = 0; way < WAYS; way++) {
		struct tcp_stream near, far;
		test_pair(&far, &near);
		struct body_bytes body;
		body_bytes_init(&body, slice_from(bytes, 8 * LARGE)); // more than sockets take
		struct stuck stuck = {.sending = {.stream = &near.stream,
						  .head = SLICE(HEAD),
						  .body = &body.body,
						  .framing = BODY_LENGTH,
						  .idle_ns = 500 * SECOND_NS,
						  .step = "send"}};
		struct fiber *fiber = fiber_spawn_joinable("stuck", send_stuck, &stuck);
		driver_settle();
		if (way == TIMEOUT) {
			driver_skip(501 * SECOND_NS);
		} else if (way == CANCEL) {
			fiber_cancel(fiber);
		} else {
			stream_reset_on_close(&far.stream);
			stream_close(&far.stream);
		}
		fiber_join(fiber);
		assert_int_equal(stuck.result, H1_SEND_WRITE_FAILED);
		if (way == RESET && stuck.sending.error == -EPIPE)
			stuck.sending.error = -ECONNRESET;
		assert_int_equal(stuck.sending.error, errors[way]);
		assert_true(stuck.sending.sent > 0 && stuck.sending.sent < 8 * LARGE);
		stream_close(&near.stream);
		if (way != RESET)
			stream_close(&far.stream);
		fiber_yield();
	}
	free(bytes);
}

static void test_messages(void **state)
{
	driver_run(messages, NULL);
}

static void test_trailers_without_memory(void **state)
{
	driver_run(trailers_without_memory, NULL);
}

static void test_large_bodies_are_spliced(void **state)
{
	driver_run(large_bodies_are_spliced, NULL);
}

static void test_writes_that_fail(void **state)
{
	driver_run(writes_that_fail, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_trailers_without_memory),
		cmocka_unit_test(test_large_bodies_are_spliced),
		cmocka_unit_test(test_writes_that_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
