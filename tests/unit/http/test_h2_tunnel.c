// WebSockets to a server over HTTP/2 (RFC 8441).
#include "h2_fixture.h"

static struct fixture fixture; // too large for a fiber's stack

static const nghttp2_settings_entry takes_websockets[] = {{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}};

static void open_websocket(struct exchange *exchange)
{
	exchange_open(&fixture, exchange, NULL);
	exchange->request.upgrade = SLICE("websocket");
	// The example of RFC 6455 section 1.3.
	assert_true(fields_add_name(&exchange->fields, &exchange->arena, SLICE("Sec-WebSocket-Key"),
				    SLICE("dGhlIHNhbXBsZSBub25jZQ==")));
	assert_true(fields_add_name(&exchange->fields, &exchange->arena, SLICE("Sec-WebSocket-Version"), SLICE("13")));
}

static struct stream *begin_websocket(struct exchange *exchange, struct origin_stream **ret_stream)
{
	struct slice early;
	open_websocket(exchange);
	unsigned number = fixture.origin.count;
	assert_int_equal(exchange_send(exchange), 0);
	*ret_stream = origin_request(&fixture.origin, number);
	origin_head(&fixture.origin, *ret_stream, ":status: 200\n", false);
	assert_int_equal(exchange_head(exchange), 0);
	assert_int_equal(exchange->response.status, 101);
	struct stream *stream = client_tunnel(&exchange->client.client, &early);
	assert_int_equal(early.length, 0);
	return stream;
}

static void handshake(void *argument)
{
	struct exchange exchange;
	struct origin_stream *stream;
	fixture_open(&fixture, takes_websockets, 1, false);
	(void)begin_websocket(&exchange, &stream);
	assert_string_equal(stream->head, ":method: CONNECT\n:protocol: websocket\n:scheme: http\n:path: /x?y\n"
					  ":authority: a.example\nsec-websocket-version: 13\n");
	assert_false(stream->has_ended);
	assert_slice(fields_value(&exchange.response.fields, FIELD_UPGRADE), "websocket");
	assert_slice(fields_find_name(&exchange.response.fields, SLICE("Sec-WebSocket-Accept"))->value,
		     "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	assert_int_equal(body_look(exchange.response.body), BODY_ENDED);
	assert_true(exchange_close(&exchange));
	origin_until(stream->is_closed);
	assert_int_equal(stream->code, NGHTTP2_CANCEL);
	fixture_close(&fixture);
}

// A server that refuses answers as to any other request.
static void refusal(void *argument)
{
	struct exchange exchange;
	fixture_open(&fixture, takes_websockets, 1, false);
	open_websocket(&exchange);
	assert_int_equal(exchange_send(&exchange), 0);
	struct origin_stream *stream = origin_request(&fixture.origin, 0);
	origin_head(&fixture.origin, stream, ":status: 403\n", false);
	origin_data(&fixture.origin, stream, SLICE("no"), true);
	exchange_expect(&exchange, 403, "no");
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
}

static void not_taken(void *argument)
{
	struct exchange exchange;
	fixture_open(&fixture, NULL, 0, false);
	assert_false(h2_link_takes_upgrades(fixture.link));
	open_websocket(&exchange);
	assert_int_equal(exchange_send(&exchange), -1);
	assert_int_equal(exchange.fault.kind, FAULT_UPGRADE_FAILED);
	assert_true(exchange_close(&exchange));

	// Another protocol is an offer that may be passed over.
	exchange_open(&fixture, &exchange, NULL);
	exchange.request.upgrade = SLICE("chat");
	assert_int_equal(exchange_send(&exchange), 0);
	struct origin_stream *stream = origin_request(&fixture.origin, 0);
	assert_non_null(strstr(stream->head, ":method: GET\n"));
	assert_null(strstr(stream->head, "chat"));
	origin_head(&fixture.origin, stream, ":status: 200\n", true);
	exchange_expect(&exchange, 200, "");
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
}

struct sending {
	struct exchange *exchange;
	int result;
};

static void send_in_fiber(void *argument)
{
	struct sending *sending = argument;
	sending->result = exchange_send(sending->exchange);
}

// On a new link the server's settings have to come first.
static void waits_for_settings(void *argument)
{
	for (unsigned comes = 0; comes < 2; comes++) {
		struct exchange exchange;
		struct sending sending = {&exchange, 1};
		fixture_open_raw(&fixture, &link_settings);
		open_websocket(&exchange);
		struct fiber *fiber = fiber_spawn_joinable("sender", send_in_fiber, &sending);
		driver_settle();
		assert_int_equal(sending.result, 1);
		if (comes)
			origin_open(&fixture.origin, &fixture.far, takes_websockets, 1, false);
		else
			h2_link_close(fixture.link);
		fiber_join(fiber);
		assert_int_equal(sending.result, comes ? 0 : -1);
		if (!comes) {
			assert_int_equal(exchange.fault.kind, FAULT_SERVER_CLOSED);
			assert_true(exchange.fault.retry_safe);
			fixture.link = NULL;
		}
		assert_int_equal(exchange_close(&exchange), comes);
		if (comes)
			fixture_close(&fixture);
		else
			fixture_close_raw(&fixture);
	}
}

static void bytes_both_ways(void *argument)
{
	struct exchange exchange;
	struct origin_stream *stream;
	char got[64];
	fixture_open(&fixture, takes_websockets, 1, false);
	struct stream *tunnel = begin_websocket(&exchange, &stream);
	assert_int_equal(stream_try_read(tunnel, got, sizeof(got)), -EAGAIN);
	assert_true(stream_is_quiet(tunnel, true));
	assert_null(stream_plain_io(tunnel));
	struct iovec parts[] = {{"", 0}, {"hello ", 6}, {"there", 5}};
	assert_int_equal(stream_write_all(tunnel, parts, 3, false, "test", PATIENCE_NS), 0);
	origin_until(stream->body_bytes == 11);
	assert_string_equal(stream->body, "hello there");
	assert_int_equal(tunnel->bytes_written, 11);
	origin_data(&fixture.origin, stream, SLICE("general"), false);
	assert_int_equal(stream_read(tunnel, got, 4, "test", test_deadline()), 4);
	assert_false(stream_is_quiet(tunnel, true));
	assert_int_equal(stream_try_read(tunnel, got + 4, sizeof(got)), 3);
	assert_memory_equal(got, "general", 7);
	assert_int_equal(stream_read(tunnel, got, sizeof(got), "test", loop_now() + MILLISECOND_NS), -ETIMEDOUT);
	// Each way ends by itself.
	assert_int_equal(stream_shutdown(tunnel), 0);
	origin_until(stream->has_ended);
	assert_int_equal(stream_write(tunnel, parts, 3, false, "test", test_deadline()), -EPIPE);
	origin_data(&fixture.origin, stream, SLICE("bye"), true);
	assert_int_equal(stream_read(tunnel, got, sizeof(got), "test", test_deadline()), 3);
	assert_int_equal(stream_read(tunnel, got, sizeof(got), "test", test_deadline()), 0);
	stream_close(tunnel);
	assert_true(exchange_close(&exchange));
	assert_int_equal(stream->code, NGHTTP2_NO_ERROR);
	fixture_close(&fixture);
}

// A full window makes the writer wait, and what was not taken is the writer's again.
static void full_windows(void *argument)
{
	struct exchange exchange;
	struct origin_stream *stream;
	static char large[100 * 1024];
	fixture_open(&fixture, takes_websockets, 1, true);
	struct stream *tunnel = begin_websocket(&exchange, &stream);
	struct iovec part = {large, sizeof(large)};
	int64_t soon_ns = loop_now() + 20 * MILLISECOND_NS;
	assert_int_equal(stream_write(tunnel, &part, 1, false, "test", soon_ns), 65535);
	assert_int_equal(stream_write(tunnel, &part, 1, false, "test", loop_now() + MILLISECOND_NS), -ETIMEDOUT);
	origin_until(stream->body_bytes == 65535);
	origin_consume(&fixture.origin, stream, 65535);
	part = (struct iovec){large, 1000};
	assert_int_equal(stream_write_all(tunnel, &part, 1, false, "test", PATIENCE_NS), 0);
	origin_until(stream->body_bytes == 66535);
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
}

static unsigned calls;

static void count_call(struct stream *stream, void *argument)
{
	assert_ptr_equal(argument, &calls);
	calls++;
}

static void parking(void *argument)
{
	struct exchange exchange;
	struct origin_stream *stream;
	char got[64];
	fixture_open(&fixture, takes_websockets, 1, false);
	struct stream *tunnel = begin_websocket(&exchange, &stream);
	calls = 0;
	stream_park(tunnel, count_call, &calls);
	driver_settle();
	assert_int_equal(calls, 0);
	origin_data(&fixture.origin, stream, SLICE("one"), false);
	origin_until(calls == 1);
	stream_park(tunnel, count_call, &calls); // something is there already
	assert_int_equal(calls, 1);
	origin_until(calls == 2);
	stream_park(tunnel, count_call, &calls);
	stream_unpark(tunnel);
	driver_settle();
	assert_int_equal(calls, 2);
	assert_int_equal(stream_try_read(tunnel, got, sizeof(got)), 3);
	stream_park(tunnel, count_call, &calls);
	stream_set_owner(tunnel, fiber_current());
	origin_reset(&fixture.origin, stream, NGHTTP2_CANCEL);
	for (unsigned i = 0; i < 1000 && calls == 2; i++)
		fiber_yield(); // cancelled, it cannot sleep
	assert_int_equal(calls, 3);
	assert_true(fiber_clear_cancel());
	assert_int_equal(stream_try_read(tunnel, got, sizeof(got)), -ECONNRESET);
	stream_park(tunnel, count_call, &calls); // forgotten when the exchange ends
	assert_true(exchange_close(&exchange));
	driver_settle();
	assert_int_equal(calls, 3);
	fixture_close(&fixture);
}

TEST(handshake)
TEST(refusal)
TEST(not_taken)
TEST(waits_for_settings)
TEST(bytes_both_ways)
TEST(full_windows)
TEST(parking)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshake),	cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_not_taken),	cmocka_unit_test(test_waits_for_settings),
		cmocka_unit_test(test_bytes_both_ways), cmocka_unit_test(test_full_windows),
		cmocka_unit_test(test_parking),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
