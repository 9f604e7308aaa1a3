// Requests to a server over HTTP/2, and its answers.
#include "h2_fixture.h"
#include "http/h2_client_stream.h"

static struct fixture fixture; // too large for a fiber's stack

static struct origin_stream *begin(struct exchange *exchange, const char *body)
{
	unsigned number = fixture.origin.count;
	exchange_begin(&fixture, exchange, body);
	return origin_request(&fixture.origin, number);
}

// --- Whole messages

static void without_bodies(void *argument)
{
	struct exchange exchange;
	fixture_open(&fixture, NULL, 0, false);
	for (unsigned i = 0; i < 3; i++) {
		struct origin_stream *stream = begin(&exchange, NULL);
		assert_string_equal(stream->head, ":method: GET\n:scheme: http\n:path: /x?y\n:authority: a.example\n");
		assert_true(stream->has_ended);
		origin_head(&fixture.origin, stream, ":status: 200\ncontent-length: 5\nx-a: b\n", false);
		origin_data(&fixture.origin, stream, SLICE("hello"), true);
		exchange_expect(&exchange, 200, "hello");
		assert_int_equal(exchange.response.version_major, 2);
		assert_int_equal(exchange.response.framing, BODY_LENGTH);
		assert_int_equal(exchange.response.body->length, 5);
		assert_slice(fields_find_name(&exchange.response.fields, SLICE("X-A"))->value, "b");
		assert_true(exchange.client.client.got_bytes);
		assert_int_equal(h2_link_streams(fixture.link), 1);
		assert_true(exchange_close(&exchange));
		assert_int_equal(h2_link_streams(fixture.link), 0);
		assert_int_equal(stream->code, NGHTTP2_NO_ERROR);
	}
	fixture_close(&fixture);
	assert_int_equal(fixture.origin.goaways, 1);
	assert_int_equal(fixture.origin.goaway_code, NGHTTP2_NO_ERROR);
}

static void with_bodies(void *argument)
{
	struct exchange exchange;
	fixture_open(&fixture, NULL, 0, false);
	struct origin_stream *stream = begin(&exchange, "some bytes");
	origin_until(stream->has_ended);
	assert_non_null(strstr(stream->head, "content-length: 10\n"));
	assert_string_equal(stream->body, "some bytes");
	origin_head(&fixture.origin, stream, ":status: 204\n", true);
	exchange_expect(&exchange, 204, "");
	assert_true(exchange_close(&exchange));

	// One that is empty, but has a length.
	stream = begin(&exchange, "");
	assert_true(stream->has_ended);
	assert_non_null(strstr(stream->head, "content-length: 0\n"));
	origin_head(&fixture.origin, stream, ":status: 200\n", true);
	exchange_expect(&exchange, 200, "");
	assert_int_equal(exchange.response.body->length, 0);
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
}

// The trailers of both; gRPC's status is in them.
static void trailers(void *argument)
{
	struct exchange exchange;
	fixture_open(&fixture, NULL, 0, false);
	for (unsigned with_bytes = 0; with_bytes < 2; with_bytes++) {
		exchange_open(&fixture, &exchange, with_bytes ? "message" : "");
		struct body *body = &exchange.bytes.body;
		body->length = BODY_LENGTH_UNKNOWN;
		exchange.request.framing = BODY_CHUNKED;
		exchange.request.takes_trailers = true;
		assert_true(fields_add_name(&body->trailers, &exchange.arena, SLICE("X-Sum"), SLICE("7")));
		assert_int_equal(exchange_send(&exchange), 0);
		struct origin_stream *stream = origin_request(&fixture.origin, with_bytes);
		origin_until(stream->has_ended);
		assert_non_null(strstr(stream->head, "te: trailers\n"));
		assert_null(strstr(stream->head, "content-length"));
		assert_string_equal(stream->body, with_bytes ? "message" : "");
		assert_string_equal(stream->trailers, "x-sum: 7\n");
		origin_head(&fixture.origin, stream, ":status: 200\n", false);
		origin_data(&fixture.origin, stream, SLICE("reply"), false);
		origin_head(&fixture.origin, stream, "grpc-status: 0\ngrpc-message: fine\n", true);
		exchange_expect(&exchange, 200, "reply");
		const struct fields *fields = &exchange.response.body->trailers;
		assert_int_equal(fields->count, 2);
		assert_slice(fields_find_name(fields, SLICE("grpc-status"))->value, "0");
		assert_true(exchange_close(&exchange));
	}
	// All in one section, as gRPC answers what failed at once.
	struct origin_stream *stream = begin(&exchange, "message");
	origin_head(&fixture.origin, stream, ":status: 200\ngrpc-status: 12\n", true);
	exchange_expect(&exchange, 200, "");
	assert_slice(fields_find_name(&exchange.response.fields, SLICE("grpc-status"))->value, "12");
	assert_int_equal(body_look(exchange.response.body), BODY_ENDED);
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
}

static void interim_responses(void *argument)
{
	struct exchange exchange;
	fixture_open(&fixture, NULL, 0, false);
	struct origin_stream *stream = begin(&exchange, NULL);
	origin_head(&fixture.origin, stream, ":status: 103\nlink: </a>\n", false);
	origin_head(&fixture.origin, stream, ":status: 100\n", false);
	origin_head(&fixture.origin, stream, ":status: 200\n", false);
	origin_data(&fixture.origin, stream, SLICE("x"), true);
	driver_settle();
	assert_int_equal(exchange_head(&exchange), 0);
	assert_int_equal(exchange.response.status, 103);
	assert_slice(fields_find_name(&exchange.response.fields, SLICE("Link"))->value, "</a>");
	assert_int_equal(body_look(exchange.response.body), BODY_ENDED);
	assert_int_equal(exchange_head(&exchange), 0);
	assert_int_equal(exchange.response.status, 100);
	exchange_expect(&exchange, 200, "x");
	assert_true(exchange_close(&exchange));

	// More of them than anybody needs.
	stream = begin(&exchange, NULL);
	for (unsigned i = 0; i < 100 && !stream->is_closed; i++)
		origin_head(&fixture.origin, stream, ":status: 103\n", false);
	driver_settle();
	int result;
	while ((result = exchange_head(&exchange)) == 0)
		assert_int_equal(exchange.response.status, 103);
	assert_int_equal(exchange.fault.kind, FAULT_RESPONSE_BAD);
	assert_string_equal(exchange.fault.detail, "too many interim responses at once");
	assert_true(exchange_close(&exchange));
	origin_until(stream->is_closed);
	assert_int_equal(stream->code, NGHTTP2_PROTOCOL_ERROR);
	fixture_close(&fixture);
}

// The head of a response to HEAD tells of a length that does not come.
static void heads(void *argument)
{
	struct exchange exchange;
	fixture_open(&fixture, NULL, 0, false);
	exchange_open(&fixture, &exchange, NULL);
	exchange.request.method = METHOD_HEAD;
	exchange.request.method_name = SLICE("HEAD");
	assert_int_equal(exchange_send(&exchange), 0);
	origin_head(&fixture.origin, origin_request(&fixture.origin, 0), ":status: 200\ncontent-length: 500\n", true);
	exchange_expect(&exchange, 200, "");
	assert_int_equal(exchange.response.content_length, 500);
	assert_int_equal(exchange.response.framing, BODY_NONE);
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
}

// --- What look tells: a response that is there already goes on in one write

static void looks(void *argument)
{
	struct exchange exchange;
	struct slice bytes;
	fixture_open(&fixture, NULL, 0, false);
	struct origin_stream *stream = begin(&exchange, NULL);
	origin_head(&fixture.origin, stream, ":status: 200\n", false);
	assert_int_equal(exchange_head(&exchange), 0);
	struct body *body = exchange.response.body;
	assert_int_equal(body->length, BODY_LENGTH_UNKNOWN);
	assert_int_equal(body_look(body), BODY_WAITS);
	origin_data(&fixture.origin, stream, SLICE("one"), false);
	origin_until(body_look(body) == BODY_READY);
	assert_int_equal(body_read(body, &bytes), 0);
	assert_int_equal(body_look(body), BODY_WAITS);
	assert_slice(bytes, "one");
	origin_data(&fixture.origin, stream, SLICE("two"), true);
	origin_until(body_look(body) == BODY_READY);
	assert_slice(bytes, "one"); // still lent
	assert_int_equal(body_read(body, &bytes), 0);
	assert_slice(bytes, "two");
	assert_int_equal(body_look(body), BODY_ENDED);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(body_read(body, &bytes), 0);
		assert_int_equal(bytes.length, 0);
	}
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
}

// --- Answers that are wrong

struct wrong {
	const char *head, *body, *trailers;
	bool has_head; // the final head is still good
	enum fault_kind kind;
};

static const struct wrong wrongs[] = {
	{":status: 200\ncontent-length: 5\n", "hell", NULL, true, FAULT_RESPONSE_BAD},
	{":status: 200\ncontent-length: 5\n", "hello!", NULL, true, FAULT_RESPONSE_BAD},
	{":status: 204\n", "hello", NULL, true, FAULT_RESPONSE_BAD},
	{":status: 200\ncontent-length: 5\ncontent-length: 6\n", "hello", NULL, false, FAULT_RESPONSE_BAD},
	{":status: 200\ncontent-length: x\n", "hello", NULL, false, FAULT_RESPONSE_BAD},
	{":status: 20\n", "", NULL, false, FAULT_RESPONSE_BAD},
	{":status: 101\n", "", NULL, false, FAULT_RESPONSE_BAD},
	{"x: y\n", "", NULL, false, FAULT_RESPONSE_BAD},
	{":status: 200\nx y: z\n", "", NULL, false, FAULT_RESPONSE_BAD},
	{":status: 200\nx: y\001z\n", "", NULL, false, FAULT_RESPONSE_BAD},
	{":status: 200\nconnection: close\n", "", NULL, false, FAULT_RESPONSE_BAD},
	{":status: 200\ntransfer-encoding: chunked\n", "", NULL, false, FAULT_RESPONSE_BAD},
	{":status: 200\n:path: /\n", "", NULL, false, FAULT_RESPONSE_BAD},
	{":status: 200\n", "x", ":status: 200\n", true, FAULT_RESPONSE_BAD},
	{":status: 200\n", "x", "a b: c\n", true, FAULT_RESPONSE_BAD},
};

static void wrong_answers(void *argument)
{
	fixture_open(&fixture, NULL, 0, false);
	for (size_t i = 0; i < COUNT(wrongs); i++) {
		const struct wrong *wrong = &wrongs[i];
		struct exchange exchange;
		struct received received;
		struct origin_stream *stream = begin(&exchange, NULL);
		origin_head(&fixture.origin, stream, wrong->head, false);
		origin_data(&fixture.origin, stream, slice_from_string(wrong->body), !wrong->trailers);
		if (wrong->trailers)
			origin_head(&fixture.origin, stream, wrong->trailers, true);
		int result = exchange_head(&exchange);
		if ((result == 0) != wrong->has_head)
			print_error("row %zu: %s\n", i, exchange.fault.detail);
		assert_int_equal(result, wrong->has_head ? 0 : -1);
		if (result == 0) {
			(void)exchange_body(&exchange, &received);
			exchange.fault = exchange.response.body->fault;
		}
		if (exchange.fault.kind != wrong->kind)
			print_error("row %zu: %s\n", i, exchange.fault.detail);
		assert_int_equal(exchange.fault.kind, wrong->kind);
		assert_non_null(exchange.fault.detail);
		assert_false(exchange.fault.retry_safe);
		assert_true(exchange_close(&exchange)); // the others go on
	}
	fixture_close(&fixture);
}

static void too_large_heads(void *argument)
{
	struct exchange exchange;
	char lines[HEADER_BYTES + 100] = ":status: 200\nx: ";
	fixture_open(&fixture, NULL, 0, false);
	size_t length = strlen(lines);
	memset(lines + length, 'a', HEADER_BYTES);
	lines[length + HEADER_BYTES] = '\n';
	origin_head(&fixture.origin, begin(&exchange, NULL), lines, true);
	assert_int_equal(exchange_head(&exchange), -1);
	assert_int_equal(exchange.fault.kind, FAULT_RESPONSE_HEADER_TOO_LARGE);
	assert_string_equal(exchange.fault.setting, "limits.header");
	assert_true(exchange_close(&exchange));
	// The compression state is right: the next answer is read as it is.
	origin_head(&fixture.origin, begin(&exchange, NULL), ":status: 200\n", true);
	exchange_expect(&exchange, 200, "");
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
}

// Requests whose sections do not fit into a frame.
static void large_requests(void *argument)
{
	enum { LARGE_FIELDS = 60 }; // more CONTINUATIONs than 8 are taken for an attack
	struct exchange exchange;
	char name[16];
	static char value[ORIGIN_TEXT / 2];
	memset(value, 'v', sizeof(value));
	fixture_open(&fixture, NULL, 0, false);
	exchange_open(&fixture, &exchange, NULL);
	for (unsigned i = 0; i < LARGE_FIELDS; i++) {
		snprintf(name, sizeof(name), "x-%u", i);
		struct slice copy = arena_copy(&exchange.arena, slice_from_string(name));
		assert_true(fields_add_name(&exchange.fields, &exchange.arena, copy, slice_from(value, sizeof(value))));
	}
	assert_int_equal(exchange_send(&exchange), 0);
	struct origin_stream *stream = origin_request(&fixture.origin, 0);
	assert_int_equal(stream->head_bytes, LARGE_FIELDS * sizeof(value) + strlen("GEThttp/x?ya.example"));
	origin_head(&fixture.origin, stream, ":status: 200\n", true);
	exchange_expect(&exchange, 200, "");
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
}

// --- Resets

static void refused(void *argument)
{
	struct exchange exchange;
	fixture_open(&fixture, NULL, 0, false);
	for (unsigned with_body = 0; with_body < 2; with_body++) {
		struct origin_stream *stream = begin(&exchange, with_body ? "bytes" : NULL);
		origin_reset(&fixture.origin, stream, NGHTTP2_REFUSED_STREAM);
		assert_int_equal(exchange_head(&exchange), -1);
		assert_int_equal(exchange.fault.kind, FAULT_SERVER_CLOSED);
		assert_true(exchange.client.client.unseen);
		// What was read of a body cannot be read again.
		assert_int_equal(exchange.fault.retry_safe, !with_body);
		assert_true(exchange_close(&exchange));
	}
	fixture_close(&fixture);
}

static void resets(void *argument)
{
	struct exchange exchange;
	struct received received;
	fixture_open(&fixture, NULL, 0, false);
	struct origin_stream *stream = begin(&exchange, NULL);
	origin_reset(&fixture.origin, stream, NGHTTP2_INTERNAL_ERROR);
	assert_int_equal(exchange_head(&exchange), -1);
	assert_int_equal(exchange.fault.kind, FAULT_SERVER_CLOSED);
	assert_string_equal(exchange.fault.detail, "the server reset the stream (INTERNAL_ERROR)");
	assert_false(exchange.client.client.unseen || exchange.fault.retry_safe);
	assert_true(exchange_close(&exchange));

	// Within the body: what came is read, and what did not is a failure.
	stream = begin(&exchange, NULL);
	origin_head(&fixture.origin, stream, ":status: 200\n", false);
	origin_data(&fixture.origin, stream, SLICE("half"), false);
	origin_reset(&fixture.origin, stream, NGHTTP2_CANCEL);
	assert_int_equal(exchange_head(&exchange), 0);
	assert_int_equal(exchange_body(&exchange, &received), -1);
	assert_string_equal(received.text, "half");
	assert_int_equal(exchange.response.body->fault.kind, FAULT_RESPONSE_TRUNCATED);
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
}

// The request fails, and ends, before anything of it was sent: the server hears of no stream
// that it does not know, and the link goes on.
static void failed_before_it_is_sent(void *argument)
{
	struct exchange exchange;
	struct fault fault = {.kind = FAULT_CLIENT_GONE};
	fixture_open(&fixture, NULL, 0, false);
	exchange_begin(&fixture, &exchange, NULL);
	client_stream_fail(exchange.client.stream, &fault, NGHTTP2_CANCEL);
	(void)exchange_close(&exchange);
	struct origin_stream *stream = begin(&exchange, NULL);
	origin_head(&fixture.origin, stream, ":status: 204\n", true);
	exchange_expect(&exchange, 204, "");
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
	assert_int_equal(fixture.origin.goaway_code, NGHTTP2_NO_ERROR);
}

TEST(without_bodies)
TEST(with_bodies)
TEST(trailers)
TEST(interim_responses)
TEST(heads)
TEST(looks)
TEST(wrong_answers)
TEST(too_large_heads)
TEST(large_requests)
TEST(refused)
TEST(resets)
TEST(failed_before_it_is_sent)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_bodies), cmocka_unit_test(test_with_bodies),
		cmocka_unit_test(test_trailers),       cmocka_unit_test(test_interim_responses),
		cmocka_unit_test(test_heads),	       cmocka_unit_test(test_looks),
		cmocka_unit_test(test_wrong_answers),  cmocka_unit_test(test_too_large_heads),
		cmocka_unit_test(test_large_requests), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_resets),	       cmocka_unit_test(test_failed_before_it_is_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
