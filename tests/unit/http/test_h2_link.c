// One connection with many exchanges: its windows, its limits, and its end.
#include "h2_fixture.h"
#include "http/h2_client_stream.h"
#include "http/h2_link.h"

static struct fixture fixture; // too large for a fiber's stack

static void answer(struct exchange *exchange, struct origin_stream *stream, const char *body)
{
	origin_head(&fixture.origin, stream, ":status: 200\n", false);
	origin_data(&fixture.origin, stream, slice_from_string(body), true);
	exchange_expect(exchange, 200, body);
	bool good = !h2_link_is_over(fixture.link);
	assert_int_equal(exchange_close(exchange), good);
}

// --- Many at once

enum { MANY = 50 };

// The requests of one turn leave in one write; the answers come in any order.
static void many(void *argument)
{
	static struct exchange exchanges[MANY];
	fixture_open(&fixture, NULL, 0, false);
	driver_settle();
	unsigned writes = driver_calls.writes;
	for (unsigned i = 0; i < MANY; i++)
		exchange_begin(&fixture, &exchanges[i], i % 2 ? "a body" : NULL);
	assert_int_equal(h2_link_streams(fixture.link), MANY);
	(void)origin_request(&fixture.origin, MANY - 1);
	assert_int_equal(driver_calls.writes, writes + 1);
	for (unsigned i = MANY; i-- > 0;) {
		char body[16];
		snprintf(body, sizeof(body), "answer %u", i);
		answer(&exchanges[i], origin_request(&fixture.origin, i), body);
	}
	assert_int_equal(h2_link_streams(fixture.link), 0);
	fixture_close(&fixture);
}

// The first write has the preface, the settings, and the request.
static void first_write(void *argument)
{
	struct exchange exchange;
	fixture_open_raw(&fixture, &link_settings);
	exchange_begin(&fixture, &exchange, NULL);
	driver_settle();
	assert_int_equal(driver_calls.writes, 1);
	origin_open(&fixture.origin, &fixture.far, NULL, 0, false);
	struct origin_stream *stream = origin_request(&fixture.origin, 0);
	assert_int_equal(nghttp2_session_get_remote_settings(fixture.origin.session, NGHTTP2_SETTINGS_ENABLE_PUSH), 0);
	assert_int_equal(
		nghttp2_session_get_remote_settings(fixture.origin.session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE),
		WINDOW);
	assert_int_equal(
		nghttp2_session_get_remote_settings(fixture.origin.session, NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE),
		HEADER_BYTES);
	assert_int_equal(nghttp2_session_get_remote_window_size(fixture.origin.session), 16 * WINDOW);
	answer(&exchange, stream, "x");
	fixture_close(&fixture);
}

// The server allows fewer, and then more.
static void limits(void *argument)
{
	static struct exchange exchanges[4];
	nghttp2_settings_entry two = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2};
	fixture_open(&fixture, &two, 1, false);
	origin_until(fixture.changes == 1); // the settings
	assert_true(h2_link_can_open(fixture.link));
	exchange_begin(&fixture, &exchanges[0], NULL);
	assert_true(h2_link_can_open(fixture.link));
	exchange_open(&fixture, &exchanges[1], NULL); // counts before it has sent
	assert_false(h2_link_can_open(fixture.link));
	assert_false(h2_link_is_over(fixture.link));
	assert_int_equal(exchange_send(&exchanges[1]), 0);
	(void)origin_request(&fixture.origin, 1);
	origin_settings(&fixture.origin, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 3);
	origin_until(h2_link_can_open(fixture.link));
	assert_int_equal(fixture.changes, 2);
	exchange_begin(&fixture, &exchanges[2], NULL);
	(void)origin_request(&fixture.origin, 2);

	// Fewer than there are: one that begins all the same waits for its turn.
	origin_settings(&fixture.origin, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1);
	origin_until(fixture.changes == 3);
	exchange_begin(&fixture, &exchanges[3], NULL);
	driver_settle();
	assert_int_equal(fixture.origin.count, 3);
	for (unsigned i = 0; i < 4; i++)
		answer(&exchanges[i], origin_request(&fixture.origin, i), "x");
	assert_int_equal(fixture.changes, 7); // and each one's end
	fixture_close(&fixture);
}

// One that waits for its turn, and whose visitor goes, is never sent.
static void given_up_in_the_queue(void *argument)
{
	static struct exchange exchanges[2];
	nghttp2_settings_entry one = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1};
	fixture_open(&fixture, &one, 1, false);
	exchange_begin(&fixture, &exchanges[0], NULL);
	exchange_begin(&fixture, &exchanges[1], "body");
	struct origin_stream *stream = origin_request(&fixture.origin, 0);
	assert_true(exchange_close(&exchanges[1]));
	answer(&exchanges[0], stream, "x");
	driver_settle();
	assert_int_equal(fixture.origin.count, 1);
	exchange_begin(&fixture, &exchanges[0], NULL);
	answer(&exchanges[0], origin_request(&fixture.origin, 1), "y");
	fixture_close(&fixture);
}

// --- Windows

// A visitor who does not read makes the server wait, but not the other visitors.
static void slow_readers(void *argument)
{
	enum { SLOW = 20, LARGE = 4 * WINDOW };
	static struct exchange exchanges[SLOW + 1];
	static char large[LARGE];
	memset(large, 'l', sizeof(large));
	fixture_open(&fixture, NULL, 0, false);
	for (unsigned i = 0; i < SLOW; i++) {
		exchange_begin(&fixture, &exchanges[i], NULL);
		struct origin_stream *stream = origin_request(&fixture.origin, i);
		origin_head(&fixture.origin, stream, ":status: 200\n", false);
		assert_int_equal(exchange_head(&exchanges[i]), 0);
		// In all, more than the connection's window.
		origin_data_start(&fixture.origin, stream, slice_from(large, sizeof(large)), true);
	}
	for (unsigned i = 0; i < SLOW; i++)
		origin_until(fixture.origin.streams[i].data.length == LARGE - WINDOW);
	driver_settle();
	for (unsigned i = 0; i < SLOW; i++) // no more than its own
		assert_int_equal(fixture.origin.streams[i].data.length, LARGE - WINDOW);
	exchange_begin(&fixture, &exchanges[SLOW], NULL);
	answer(&exchanges[SLOW], origin_request(&fixture.origin, SLOW), "quick");
	for (unsigned i = 0; i < SLOW; i++) {
		struct received received;
		assert_int_equal(exchange_body(&exchanges[i], &received), 0);
		assert_int_equal(received.bytes, LARGE);
		assert_true(exchange_close(&exchanges[i]));
	}
	fixture_close(&fixture);
}

static struct slice upload(void)
{
	static char bytes[300 * 1024];
	memset(bytes, 'u', sizeof(bytes));
	return slice_from(bytes, sizeof(bytes));
}

static void begin_upload(struct exchange *exchange)
{
	exchange_open(&fixture, exchange, "");
	body_bytes_init(&exchange->bytes, upload());
	assert_int_equal(exchange_send(exchange), 0);
}

// The server's window holds the request up; when it is never opened, the time for sending
// ends it.
static void server_windows(void *argument)
{
	struct exchange exchange;
	fixture_open(&fixture, NULL, 0, true);
	begin_upload(&exchange);
	struct origin_stream *stream = origin_request(&fixture.origin, 0);
	for (size_t window = 65535; !stream->has_ended; window += 65535) {
		origin_until(stream->body_bytes == window || stream->has_ended);
		driver_skip(90 * SECOND_NS); // each opening begins the time anew
		origin_consume(&fixture.origin, stream, 65535);
	}
	assert_int_equal(stream->body_bytes, upload().length);
	answer(&exchange, stream, "thanks");

	begin_upload(&exchange);
	stream = origin_request(&fixture.origin, 1);
	origin_until(stream->body_bytes == 65535);
	driver_skip(101 * SECOND_NS);
	assert_int_equal(exchange_head(&exchange), -1);
	assert_int_equal(exchange.fault.kind, FAULT_SEND_TIMEOUT);
	assert_true(exchange_close(&exchange));
	origin_until(stream->is_closed);
	assert_int_equal(stream->code, NGHTTP2_CANCEL);
	fixture_close(&fixture);
}

// --- GOAWAY

static void goes_away(void *argument)
{
	static struct exchange exchanges[3];
	for (unsigned seen = 0; seen < 2; seen++) {
		fixture_open(&fixture, NULL, 0, false);
		fixture.closes = true;
		exchange_begin(&fixture, &exchanges[0], NULL);
		struct origin_stream *first = origin_request(&fixture.origin, 0);
		exchange_begin(&fixture, &exchanges[1], NULL);
		struct origin_stream *second = origin_request(&fixture.origin, 1);
		if (seen) // the polite way is in two steps (RFC 9113 section 6.8)
			origin_goaway(&fixture.origin, INT32_MAX, NGHTTP2_NO_ERROR);
		origin_goaway(&fixture.origin, seen ? second->id : first->id, NGHTTP2_NO_ERROR);
		origin_until(h2_link_is_over(fixture.link));
		assert_false(h2_link_can_open(fixture.link));
		exchange_open(&fixture, &exchanges[2], NULL);
		assert_int_equal(exchange_send(&exchanges[2]), -1);
		assert_true(exchanges[2].fault.retry_safe && exchanges[2].client.client.unseen);
		assert_false(exchange_close(&exchanges[2]));
		if (seen) {
			answer(&exchanges[1], second, "second");
		} else {
			assert_int_equal(exchange_head(&exchanges[1]), -1);
			assert_int_equal(exchanges[1].fault.kind, FAULT_SERVER_CLOSED);
			assert_true(exchanges[1].fault.retry_safe && exchanges[1].client.client.unseen);
			assert_false(exchange_close(&exchanges[1]));
		}
		assert_non_null(fixture.link);
		answer(&exchanges[0], first, "first"); // those under way go on
		assert_null(fixture.link);
		fixture_close(&fixture);
	}
}

// Requests that the session still held back when GOAWAY came were never sent.
static void goes_away_before_the_queue(void *argument)
{
	static struct exchange exchanges[2];
	nghttp2_settings_entry one = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1};
	fixture_open(&fixture, &one, 1, false);
	exchange_begin(&fixture, &exchanges[0], NULL);
	exchange_begin(&fixture, &exchanges[1], NULL);
	struct origin_stream *stream = origin_request(&fixture.origin, 0);
	origin_goaway(&fixture.origin, stream->id, NGHTTP2_NO_ERROR);
	answer(&exchanges[0], stream, "x");
	assert_int_equal(exchange_head(&exchanges[1]), -1);
	assert_true(exchanges[1].fault.retry_safe && exchanges[1].client.client.unseen);
	assert_false(exchange_close(&exchanges[1]));
	fixture_close(&fixture);
}

static void used_up(void *argument)
{
	struct exchange exchange;
	fixture_open(&fixture, NULL, 0, false);
	assert_int_equal(nghttp2_session_set_next_stream_id(fixture.link->session, INT32_MAX), 0);
	exchange_begin(&fixture, &exchange, NULL);
	assert_true(h2_link_is_over(fixture.link));
	answer(&exchange, origin_request(&fixture.origin, 0), "the last one");
	fixture_close(&fixture);
}

// --- Servers that are lost

static void lost(void *argument)
{
	for (unsigned reset = 0; reset < 2; reset++) {
		static struct exchange exchanges[3];
		struct received received;
		fixture_open(&fixture, NULL, 0, false);
		fixture.closes = true;
		exchange_begin(&fixture, &exchanges[0], NULL);
		struct origin_stream *stream = origin_request(&fixture.origin, 0);
		origin_head(&fixture.origin, stream, ":status: 200\n", false);
		assert_int_equal(exchange_head(&exchanges[0]), 0);
		exchange_begin(&fixture, &exchanges[1], NULL);
		exchange_begin(&fixture, &exchanges[2], NULL);
		stream = origin_request(&fixture.origin, 2);
		origin_head(&fixture.origin, stream, ":status: 204\n", true);
		assert_int_equal(exchange_head(&exchanges[2]), 0);
		if (reset)
			stream_reset_on_close(&fixture.far.stream);
		origin_close(&fixture.origin);
		stream_close(&fixture.far.stream);
		assert_int_equal(exchange_body(&exchanges[0], &received), -1);
		assert_int_equal(exchanges[0].response.body->fault.kind, FAULT_RESPONSE_TRUNCATED);
		assert_int_equal(exchange_head(&exchanges[1]), -1);
		assert_int_equal(exchanges[1].fault.kind, FAULT_SERVER_CLOSED);
		assert_int_equal(exchanges[1].fault.system_error, reset ? ECONNRESET : 0);
		assert_false(exchanges[1].client.client.unseen || exchanges[1].client.client.got_bytes);
		assert_int_equal(exchange_body(&exchanges[2], &received), 0); // it was whole
		for (unsigned i = 0; i < 3; i++)
			assert_false(exchange_close(&exchanges[i]));
		assert_null(fixture.link);
		driver_settle();
		h2_memory_trim();
	}
}

// The link is closed while exchanges are under way: they fail, and end after it.
static void closed_under_way(void *argument)
{
	static struct exchange exchanges[2];
	fixture_open(&fixture, NULL, 0, false);
	exchange_begin(&fixture, &exchanges[0], NULL);
	(void)origin_request(&fixture.origin, 0);
	exchange_begin(&fixture, &exchanges[1], NULL); // its frames are not written yet
	h2_link_close(fixture.link);
	fixture.link = NULL;
	driver_settle();
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(exchange_head(&exchanges[i]), -1);
		assert_int_equal(exchanges[i].fault.kind, FAULT_SERVER_CLOSED);
		assert_int_equal(exchanges[i].fault.retry_safe, i == 1);
		assert_false(exchange_close(&exchanges[i]));
	}
	fixture_close(&fixture);
}

// A server that is there but says nothing is asked; one that does not answer is lost.
static void silent(void *argument)
{
	struct exchange exchange;
	fixture_open(&fixture, NULL, 0, false);
	driver_skip(5000 * SECOND_NS); // without exchanges nobody asks
	assert_int_equal(fixture.origin.pings, 0);
	exchange_begin(&fixture, &exchange, NULL);
	struct origin_stream *stream = origin_request(&fixture.origin, 0);
	origin_head(&fixture.origin, stream, ":status: 200\n", false);
	assert_int_equal(exchange_head(&exchange), 0);
	driver_skip(990 * SECOND_NS);
	assert_int_equal(fixture.origin.pings, 0);
	driver_skip(20 * SECOND_NS);
	origin_until(fixture.origin.pings == 1);
	driver_skip(990 * SECOND_NS); // it answered
	assert_false(h2_link_is_over(fixture.link));
	fiber_cancel(fixture.origin.fiber);
	driver_skip(20 * SECOND_NS);
	assert_false(h2_link_is_over(fixture.link));
	driver_skip(110 * SECOND_NS);
	assert_true(h2_link_is_over(fixture.link));
	struct slice bytes;
	assert_int_equal(body_read(exchange.response.body, &bytes), -1);
	assert_int_equal(exchange.response.body->fault.kind, FAULT_RESPONSE_TRUNCATED);
	assert_int_equal(exchange.response.body->fault.system_error, ETIMEDOUT);
	assert_false(exchange_close(&exchange));
	fixture_close(&fixture);
}

static void never_introduced(void *argument)
{
	struct exchange exchange;
	fixture_open_raw(&fixture, &link_settings);
	exchange_begin(&fixture, &exchange, NULL);
	driver_skip(1050 * SECOND_NS);
	// PINGs are no settings.
	driver_send(&fixture.far, SLICE("\0\0\0\4\0\0\0\0\0"
					"\0\0\x8\6\0\0\0\0\0"
					"12345678"));
	assert_false(h2_link_is_over(fixture.link));
	driver_skip(60 * SECOND_NS);
	assert_true(h2_link_is_over(fixture.link));
	assert_int_equal(exchange_head(&exchange), -1);
	assert_string_equal(exchange.fault.detail, "the server did not acknowledge the settings");
	assert_int_equal(exchange.fault.kind, FAULT_SERVER_CLOSED);
	assert_false(exchange_close(&exchange));
	fixture_close_raw(&fixture);
}

// --- PINGs of the server

static void pinged(void *argument)
{
	fixture_open(&fixture, NULL, 0, false);
	for (unsigned i = 1; i < 4; i++) {
		origin_ping(&fixture.origin);
		origin_until(fixture.origin.ping_answers == i);
	}
	assert_int_equal(h2_link_streams(fixture.link), 0);
	fixture_close(&fixture);
}

// --- Memory that is out

// Whether an answer was asked for: the request came wholly, and the exchange has not failed.
static bool is_asked(const struct exchange *exchange)
{
	const struct origin *origin = &fixture.origin;
	while (!exchange->client.stream->fault.kind && !(origin->count > 0 && origin->streams[0].has_ended))
		(void)fiber_sleep("test", loop_now() + MILLISECOND_NS);
	return !exchange->client.stream->fault.kind && !origin->streams[0].is_closed;
}

// An exchange with all that there is: it comes to its end, or has a fault.
static bool try_exchange(struct exchange *exchange)
{
	struct received received;
	struct origin *origin = &fixture.origin;
	if (exchange_send(exchange) < 0) {
		assert_int_not_equal(exchange->fault.kind, FAULT_NONE);
		return false;
	}
	if (is_asked(exchange)) {
		origin_head(origin, &origin->streams[0], ":status: 200\n", false);
		origin_data_start(origin, &origin->streams[0], upload(), true);
	}
	if (exchange_head(exchange) < 0) {
		assert_int_not_equal(exchange->fault.kind, FAULT_NONE);
		return false;
	}
	if (exchange_body(exchange, &received) < 0) {
		assert_int_not_equal(exchange->response.body->fault.kind, FAULT_NONE);
		return false;
	}
	assert_int_equal(received.bytes, upload().length);
	return true;
}

static bool try_link(void)
{
	struct exchange exchange;
	fixture.link = h2_link_new(&fixture.near.stream, &link_settings, fixture_changed, &fixture);
	if (!fixture.link) {
		stream_close(&fixture.near.stream); // still the caller's
		return false;
	}
	exchange_open(&fixture, &exchange, "body");
	exchange.request.framing = BODY_CHUNKED;
	bool good = fields_add_name(&exchange.bytes.body.trailers, &exchange.arena, SLICE("x"), SLICE("y")) &&
		    try_exchange(&exchange);
	(void)exchange_close(&exchange);
	h2_link_close(fixture.link);
	fixture.link = NULL;
	return good;
}

static void no_memory(void *argument)
{
	bool good = false;
	for (unsigned round = 0; fail_alloc_round(round); round++) {
		fail_alloc_stop();
		test_pair(&fixture.near, &fixture.far);
		origin_open(&fixture.origin, &fixture.far, NULL, 0, false);
		driver_settle();
		fixture.closes = false;
		fail_alloc_after(round);
		good = try_link();
		driver_settle();
		origin_close(&fixture.origin);
		stream_close(&fixture.far.stream);
		driver_settle();
	}
	assert_true(good);
	h2_memory_trim();
}

TEST(many)
TEST(first_write)
TEST(limits)
TEST(given_up_in_the_queue)
TEST(slow_readers)
TEST(server_windows)
TEST(goes_away)
TEST(goes_away_before_the_queue)
TEST(used_up)
TEST(lost)
TEST(closed_under_way)
TEST(silent)
TEST(never_introduced)
TEST(pinged)
TEST(no_memory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_first_write),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_given_up_in_the_queue),
		cmocka_unit_test(test_slow_readers),
		cmocka_unit_test(test_server_windows),
		cmocka_unit_test(test_goes_away),
		cmocka_unit_test(test_goes_away_before_the_queue),
		cmocka_unit_test(test_used_up),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_closed_under_way),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_never_introduced),
		cmocka_unit_test(test_pinged),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
