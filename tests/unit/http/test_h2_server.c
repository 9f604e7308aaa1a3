// Clients' HTTP/2 connections: what is answered, and how.
#include "h2_service.h"
#include "h2_visitor.h"

static struct visitor visitor; // too large for a fiber's stack

static void expect_has(const struct visitor_stream *stream, const char *line)
{
	if (!strstr(stream->head, line)) {
		print_error("no \"%s\" in:\n%s", line, stream->head);
		fail();
	}
}

static void expect_lacks(const struct visitor_stream *stream, const char *line)
{
	if (strstr(stream->head, line)) {
		print_error("\"%s\" in:\n%s", line, stream->head);
		fail();
	}
}

// --- Answers

static void simple_answers(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	for (int i = 0; i < 3; i++) {
		struct visitor_stream *stream = visitor_get(&visitor, "/x?y");
		visitor_expect(&visitor, stream, 200, "hi");
		expect_has(stream, "content-length: 2\n");
		expect_has(stream, "date: ");
		assert_int_equal(stream->code, NGHTTP2_NO_ERROR);
		assert_string_equal(service_saw.head, "GET /x?y a.example HTTP/2\nHost: a.example\n");
		assert_int_equal(h2_server_idle(server), 1);
		assert_int_equal(service_saw.response_body_bytes, 2);
	}
	struct visitor_stream *none = visitor_get(&visitor, "/none");
	visitor_expect(&visitor, none, 204, "");
	expect_lacks(none, "content-length");
	struct visitor_stream *head = visitor_request(
		&visitor, ":method: HEAD\n:scheme: http\n:authority: a.example\n:path: /\n", SLICE_EMPTY, false);
	visitor_expect(&visitor, head, 200, "");
	visitor_close(&visitor);
	service_close(server);
}

static void many_at_once(void *argument)
{
	struct visitor_stream *streams[100];
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	visitor_turn(&visitor);
	visitor_turn(&visitor);
	unsigned writes = driver_calls.writes;
	for (int i = 0; i < 100; i++)
		streams[i] = visitor_get(&visitor, "/");
	for (int i = 0; i < 100; i++)
		visitor_expect(&visitor, streams[i], 200, "hi");
	// All answers of a turn leave together; the visitor sends its frames one by one.
	assert_true(driver_calls.writes - writes <= 101);
	visitor_close(&visitor);
	service_close(server);
	assert_int_equal(service_saw.served, 100);
}

static void large_answers(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	struct visitor_stream *streams[4];
	for (int i = 0; i < 4; i++)
		streams[i] = visitor_get(&visitor, "/large");
	for (int i = 0; i < 4; i++) {
		visitor_until(&visitor, streams[i]->closed);
		assert_int_equal(streams[i]->body_length, SERVICE_LARGE_BYTES);
		for (size_t at = 0; at < SERVICE_LARGE_BYTES; at++)
			if (streams[i]->body[at] != (char)('a' + at % 23))
				fail();
	}
	visitor_close(&visitor);
	service_close(server);
}

static void trailers_and_pieces(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	struct visitor_stream *pieces = visitor_get(&visitor, "/pieces");
	visitor_expect(&visitor, pieces, 200, "piece piece piece ");
	expect_has(pieces, "x-sum: abc\n");
	expect_lacks(pieces, "content-length");
	struct visitor_stream *alone = visitor_get(&visitor, "/trailers");
	visitor_expect(&visitor, alone, 200, "");
	expect_has(alone, "grpc-status: 5\n");
	struct visitor_stream *interim = visitor_get(&visitor, "/interim");
	visitor_expect(&visitor, interim, 200, "hi");
	assert_int_equal(interim->interims, 1);
	expect_has(interim, "link: </a>\n");
	visitor_close(&visitor);
	service_close(server);
}

// What is cut off must not look whole.
static void cut_answers(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	struct visitor_stream *cut = visitor_get(&visitor, "/cut");
	visitor_until(&visitor, cut->closed);
	assert_int_equal(cut->code, NGHTTP2_INTERNAL_ERROR);
	assert_false(cut->ended);
	visitor_expect(&visitor, visitor_get(&visitor, "/"), 200, "hi");
	visitor_close(&visitor);
	service_close(server);
}

// --- Bodies of requests

#define POST(path) ":method: POST\n:scheme: http\n:authority: a.example\n:path: " path "\n"

static void uploads(void *argument)
{
	static char bytes[300 * 1000];
	memset(bytes, 'u', sizeof bytes);
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	struct visitor_stream *small = visitor_request(&visitor, POST("/echo"), SLICE("some bytes"), false);
	visitor_expect(&visitor, small, 200, "some bytes");
	struct visitor_stream *sized =
		visitor_request(&visitor, POST("/echo") "content-length: 5\n", SLICE("12345"), false);
	visitor_expect(&visitor, sized, 200, "12345");
	expect_has(sized, "content-length: 5\n");
	struct visitor_stream *large = visitor_request(&visitor, POST("/echo"), slice_from(bytes, sizeof bytes), false);
	visitor_until(&visitor, large->closed);
	assert_int_equal(large->body_length, sizeof bytes);
	assert_int_equal(service_saw.request_body_bytes, sizeof bytes);
	struct visitor_stream *read = visitor_request(&visitor, POST("/read"), slice_from(bytes, sizeof bytes), false);
	visitor_expect(&visitor, read, 200, "hi");
	visitor_close(&visitor);
	service_close(server);
}

// A stream that nobody reads takes its window and no more, and leaves the others theirs.
static void unread_uploads(void *argument)
{
	static char bytes[300 * 1000];
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	struct visitor_stream *held = visitor_request(&visitor, POST("/wait"), slice_from(bytes, sizeof bytes), false);
	visitor_until(&visitor, held->uploaded == service_standard.stream_window);
	for (int i = 0; i < 5; i++)
		visitor_turn(&visitor);
	assert_int_equal(held->uploaded, service_standard.stream_window);
	struct visitor_stream *other = visitor_request(&visitor, POST("/read"), slice_from(bytes, sizeof bytes), false);
	visitor_expect(&visitor, other, 200, "hi");
	assert_int_equal(nghttp2_submit_rst_stream(visitor.session, 0, held->id, NGHTTP2_CANCEL), 0);
	visitor_until(&visitor, service_saw.cancelled == 1);
	// What it held of the connection's window is free again.
	for (int i = 0; i < 10; i++) {
		other = visitor_request(&visitor, POST("/read"), slice_from(bytes, sizeof bytes), false);
		visitor_expect(&visitor, other, 200, "hi");
	}
	visitor_close(&visitor);
	service_close(server);
}

// RFC 9113 section 8.1: an answer may come before the request's end, and tells so.
static void early_answers(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	struct visitor_stream *early = visitor_request(&visitor, POST("/"), SLICE("begin"), true);
	visitor_expect(&visitor, early, 200, "hi");
	assert_true(early->ended);
	assert_int_equal(early->code, NGHTTP2_NO_ERROR);
	assert_int_equal(visitor.reset_count, 1);
	visitor_expect(&visitor, visitor_get(&visitor, "/"), 200, "hi");
	visitor_close(&visitor);
	service_close(server);
}

static void both_ways_at_once(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	struct visitor_stream *echo = visitor_request(&visitor, POST("/echo"), SLICE("one "), true);
	visitor_until(&visitor, echo->body_length == 4);
	visitor_upload(&visitor, echo, SLICE("two "), true);
	visitor_until(&visitor, echo->body_length == 8);
	visitor_upload(&visitor, echo, SLICE("three"), false);
	visitor_expect(&visitor, echo, 200, "one two three");
	visitor_close(&visitor);
	service_close(server);
}

static void expectations(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	struct visitor_stream *held =
		visitor_request(&visitor, POST("/read") "expect: 100-continue\n", SLICE_EMPTY, true);
	visitor_until(&visitor, held->interims == 1);
	expect_has(held, ":status: 100\n");
	visitor_upload(&visitor, held, SLICE("now"), false);
	visitor_expect(&visitor, held, 200, "hi");
	visitor_close(&visitor);
	service_close(server);
}

#define TEST(run)                                                                                                      \
	static void test_##run(void **state)                                                                           \
	{                                                                                                              \
		driver_run(run, NULL);                                                                                 \
	}
TEST(simple_answers)
TEST(many_at_once)
TEST(large_answers)
TEST(trailers_and_pieces)
TEST(cut_answers)
TEST(uploads)
TEST(unread_uploads)
TEST(early_answers)
TEST(both_ways_at_once)
TEST(expectations)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simple_answers),	  cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_large_answers),	  cmocka_unit_test(test_trailers_and_pieces),
		cmocka_unit_test(test_cut_answers),	  cmocka_unit_test(test_uploads),
		cmocka_unit_test(test_unread_uploads),	  cmocka_unit_test(test_early_answers),
		cmocka_unit_test(test_both_ways_at_once), cmocka_unit_test(test_expectations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
