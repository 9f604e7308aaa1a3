// Requests to a server over HTTP/2, and its answers.
#include "h2_fixture.h"

static struct fixture fixture; // too large for a fiber's stack

// --- Whole messages

static void gets(void *argument)
{
	struct exchange exchange;
	fixture_open(&fixture, NULL, 0, false);
	for (unsigned i = 0; i < 3; i++) {
		exchange_begin(&fixture, &exchange, NULL);
		struct origin_stream *stream = origin_request(&fixture.origin, i);
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
	assert_int_equal(fixture.origin.goaway_code, NGHTTP2_NO_ERROR);
}

static void posts(void *argument)
{
	struct exchange exchange;
	fixture_open(&fixture, NULL, 0, false);
	exchange_begin(&fixture, &exchange, "some bytes");
	struct origin_stream *stream = origin_request(&fixture.origin, 0);
	origin_until(stream->has_ended);
	assert_non_null(strstr(stream->head, "content-length: 10\n"));
	assert_string_equal(stream->body, "some bytes");
	origin_head(&fixture.origin, stream, ":status: 204\n", true);
	exchange_expect(&exchange, 204, "");
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
}

TEST(gets)
TEST(posts)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gets),
		cmocka_unit_test(test_posts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
