// The life of clients' HTTP/2 connections and streams: resets, times, tunnels, goodbyes.
#include "h2_service.h"
#include "h2_visitor.h"

static struct visitor visitor;

#define POST(path) ":method: POST\n:scheme: http\n:authority: a.example\n:path: " path "\n"

// --- Resets and losses

static void resets_cancel(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	struct visitor_stream *wait = visitor_get(&visitor, "/wait");
	visitor_until(&visitor, service_saw.served == 1);
	assert_int_equal(nghttp2_submit_rst_stream(visitor.session, 0, wait->id, NGHTTP2_CANCEL), 0);
	visitor_until(&visitor, service_saw.ended == 1);
	assert_int_equal(service_saw.cancelled, 1);
	assert_int_equal(service_saw.fault, FAULT_CLIENT_GONE);
	// In the middle of a body, in both directions.
	struct visitor_stream *upload = visitor_request(&visitor, POST("/read"), SLICE("some"), true);
	visitor_until(&visitor, upload->uploaded == 4);
	assert_int_equal(nghttp2_submit_rst_stream(visitor.session, 0, upload->id, NGHTTP2_CANCEL), 0);
	visitor_until(&visitor, service_saw.ended == 2);
	assert_int_equal(service_saw.fault, FAULT_CLIENT_GONE);
	struct visitor_stream *pieces = visitor_get(&visitor, "/pieces");
	visitor_until(&visitor, pieces->body_length > 0);
	assert_int_equal(nghttp2_submit_rst_stream(visitor.session, 0, pieces->id, NGHTTP2_CANCEL), 0);
	visitor_until(&visitor, service_saw.ended == 3);
	visitor_expect(&visitor, visitor_get(&visitor, "/"), 200, "hi");
	visitor_close(&visitor);
	service_close(server);
}

// One that is taken back before anybody could begin with it is not begun.
static void reset_at_once(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	visitor_turn(&visitor);
	const uint8_t *frame;
	struct visitor_stream *stream = visitor_get(&visitor, "/");
	char both[1024];
	ssize_t length;
	do { // acknowledgements come first
		length = nghttp2_session_mem_send(visitor.session, &frame);
		assert_true(length > 0);
		memcpy(both, frame, (size_t)length);
		if (frame[3] != NGHTTP2_HEADERS)
			driver_send(&visitor.tcp, slice_from(both, (size_t)length));
	} while (both[3] != NGHTTP2_HEADERS);
	assert_int_equal(nghttp2_submit_rst_stream(visitor.session, 0, stream->id, NGHTTP2_CANCEL), 0);
	ssize_t more = nghttp2_session_mem_send(visitor.session, &frame);
	assert_true(more > 0);
	memcpy(both + length, frame, (size_t)more);
	driver_send(&visitor.tcp, slice_from(both, (size_t)(length + more)));
	visitor_until(&visitor, service_saw.ended == 1);
	assert_int_equal(service_saw.served, 0);
	assert_int_equal(service_saw.fault, FAULT_CLIENT_GONE);
	visitor_close(&visitor);
	service_close(server);
}

static void lost_connections_cancel(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	(void)visitor_get(&visitor, "/wait");
	(void)visitor_request(&visitor, POST("/read"), SLICE("some"), true);
	(void)visitor_get(&visitor, "/pieces");
	visitor_until(&visitor, service_saw.served == 3);
	stream_reset_on_close(&visitor.tcp.stream);
	visitor_close(&visitor);
	service_close(server);
	assert_int_equal(service_saw.ended, 3);
	assert_int_equal(service_saw.cancelled, 1);
}

// --- Times

static void idle_connections_end(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	visitor_expect(&visitor, visitor_get(&visitor, "/"), 200, "hi");
	driver_skip(58 * SECOND_NS);
	visitor_expect(&visitor, visitor_get(&visitor, "/"), 200, "hi");
	driver_skip(58 * SECOND_NS);
	assert_int_equal(h2_server_connections(server), 1);
	driver_skip(3 * SECOND_NS);
	visitor_until(&visitor, visitor.ended);
	assert_int_equal(visitor.goaways, 1);
	assert_int_equal(visitor.goaway_code, NGHTTP2_NO_ERROR);
	assert_int_equal(visitor.goaway_last, 3);
	visitor_close(&visitor);
	service_close(server);
}

static void silent_connections_end(void *argument)
{
	static const char *const words[] = {"", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
					    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"};
	for (size_t i = 0; i < COUNT(words); i++) {
		struct tcp_stream client;
		struct h2_server *server = service_open(&service_standard);
		visitor_connect(&client, server);
		driver_send(&client, slice_from_string(words[i]));
		driver_skip(28 * SECOND_NS);
		assert_int_equal(h2_server_connections(server), 1);
		driver_skip(3 * SECOND_NS);
		assert_int_equal(h2_server_connections(server), 0);
		stream_close(&client.stream);
		service_close(server);
	}
}

// The first part of a header section, and then nothing.
static void unfinished_sections_end(void *argument)
{
	// HEADERS of stream 1 without END_HEADERS: ":method: GET" by its index.
	static const char wire[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\1\1\0\0\0\0\1\x82";
	struct tcp_stream client;
	struct h2_server *server = service_open(&service_standard);
	visitor_connect(&client, server);
	driver_send(&client, slice_from(wire, sizeof wire - 1));
	driver_skip(28 * SECOND_NS);
	assert_int_equal(service_saw.begun, 1);
	assert_int_equal(service_saw.served, 0);
	driver_skip(3 * SECOND_NS);
	assert_int_equal(service_saw.served, 1);
	assert_int_equal(service_saw.fault, FAULT_HEADER_TIMEOUT);
	assert_string_equal(service_saw.setting, "timeouts.header");
	driver_skip(3 * SECOND_NS);
	assert_int_equal(h2_server_connections(server), 0);
	stream_close(&client.stream);
	service_close(server);
}

static void slow_bodies_end(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	struct visitor_stream *slow = visitor_request(&visitor, POST("/read"), SLICE("some"), true);
	visitor_until(&visitor, service_saw.served == 1);
	driver_skip(20 * SECOND_NS);
	visitor_upload(&visitor, slow, SLICE("more"), true);
	visitor_until(&visitor, slow->uploaded == 4);
	driver_skip(20 * SECOND_NS);
	assert_int_equal(service_saw.ended, 0);
	driver_skip(11 * SECOND_NS);
	visitor_expect(&visitor, slow, 408, "no");
	assert_int_equal(service_saw.fault, FAULT_BODY_TIMEOUT);
	visitor_close(&visitor);
	service_close(server);
}

// A client that opens its window by a little, and then no more.
static void slow_readers_end(void *argument)
{
	static const nghttp2_settings_entry tiny = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000};
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, &tiny, 1, true);
	struct visitor_stream *slow = visitor_get(&visitor, "/large");
	visitor_until(&visitor, slow->body_length == 1000);
	driver_skip(20 * SECOND_NS);
	assert_int_equal(nghttp2_session_consume(visitor.session, slow->id, 1000), 0);
	visitor_until(&visitor, slow->body_length == 2000);
	driver_skip(20 * SECOND_NS);
	assert_int_equal(service_saw.ended, 0);
	driver_skip(41 * SECOND_NS);
	visitor_until(&visitor, slow->closed);
	assert_int_equal(slow->code, NGHTTP2_CANCEL);
	assert_int_equal(service_saw.fault, FAULT_CLIENT_SLOW);
	visitor_expect(&visitor, visitor_get(&visitor, "/"), 200, "hi");
	visitor_close(&visitor);
	service_close(server);
}

// A client that does not read at all stops usher's writer, and is given up.
static void deaf_clients_end(void *argument)
{
	static const nghttp2_settings_entry wide = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 30};
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, &wide, 1, false);
	assert_int_equal(nghttp2_session_set_local_window_size(visitor.session, 0, 0, 1 << 30), 0);
	visitor.deaf = true;
	for (int i = 0; i < 20; i++)
		(void)visitor_get(&visitor, "/large");
	visitor_until(&visitor, service_saw.served == 20);
	driver_skip(25 * SECOND_NS);
	assert_int_equal(h2_server_connections(server), 1);
	driver_skip(30 * SECOND_NS);
	driver_skip(30 * SECOND_NS);
	assert_int_equal(h2_server_connections(server), 0);
	visitor_close(&visitor);
	service_close(server);
}

// --- Tunnels (RFC 8441)

#define WEBSOCKET ":method: CONNECT\n:protocol: websocket\n:scheme: http\n:authority: a.example\n:path: /tunnel\n"

static void tunnels(void *argument)
{
	for (int usher_ends = 0; usher_ends < 2; usher_ends++) {
		struct h2_server *server = service_open(&service_standard);
		test_pair(&service_saw.tunnel_far, &service_saw.tunnel_near);
		visitor_open(&visitor, server, NULL, 0, false);
		visitor_turn(&visitor);
		visitor_turn(&visitor);
		struct visitor_stream *tunnel = visitor_request(&visitor, WEBSOCKET "sec-websocket-version: 13\n",
								SLICE("to the server"), true);
		visitor_until(&visitor, tunnel->body_length == 5);
		assert_int_equal(tunnel->status, 200);
		assert_null(strstr(tunnel->head, "accept"));
		assert_null(strstr(tunnel->head, "upgrade"));
		assert_non_null(strstr(service_saw.head, "GET /tunnel a.example HTTP/2\n"));
		assert_non_null(strstr(service_saw.head, "Upgrade: websocket\n"));
		assert_non_null(strstr(service_saw.head, "Sec-WebSocket-Key: "));
		assert_non_null(strstr(service_saw.head, "==\n"));
		test_expect(&service_saw.tunnel_far, "to the server");
		test_send(&service_saw.tunnel_far, " and back");
		visitor_until(&visitor, tunnel->body_length == 14);
		visitor_upload(&visitor, tunnel, SLICE(", again"), true);
		visitor_until(&visitor, tunnel->uploaded == 7);
		test_expect(&service_saw.tunnel_far, ", again");
		assert_int_equal(service_saw.ended, 0);
		if (usher_ends) {
			stream_close(&service_saw.tunnel_far.stream);
			visitor_until(&visitor, tunnel->ended);
			visitor_upload(&visitor, tunnel, SLICE_EMPTY, false);
			visitor_until(&visitor, tunnel->closed);
		} else {
			visitor_upload(&visitor, tunnel, SLICE_EMPTY, false);
			visitor_turn(&visitor);
			test_expect_end(&service_saw.tunnel_far);
			stream_close(&service_saw.tunnel_far.stream);
			visitor_until(&visitor, tunnel->closed);
		}
		visitor_until(&visitor, service_saw.ended == 1);
		assert_int_equal(service_saw.tunnels_done, 1);
		assert_int_equal(service_saw.request_body_bytes, strlen("to the server, again"));
		assert_int_equal(service_saw.response_body_bytes, strlen("early and back"));
		visitor_expect(&visitor, visitor_get(&visitor, "/"), 200, "hi");
		visitor_close(&visitor);
		service_close(server);
	}
}

// Large amounts, both ways at once, through the windows.
static void tunnels_move_much(void *argument)
{
	enum { MUCH = 500 * 1000 };
	static char bytes[MUCH], got[MUCH];
	struct h2_server *server = service_open(&service_standard);
	test_pair(&service_saw.tunnel_far, &service_saw.tunnel_near);
	visitor_open(&visitor, server, NULL, 0, false);
	visitor_turn(&visitor);
	visitor_turn(&visitor);
	memset(bytes, 'x', sizeof bytes);
	struct visitor_stream *tunnel = visitor_request(&visitor, WEBSOCKET, slice_from(bytes, MUCH), true);
	size_t received = 0;
	while (received < MUCH) {
		visitor_turn(&visitor);
		ssize_t count = stream_try_read(&service_saw.tunnel_far.stream, got + received, sizeof got - received);
		assert_true(count > 0 || count == -EAGAIN);
		received += count > 0 ? (size_t)count : 0;
	}
	assert_memory_equal(got, bytes, MUCH);
	stream_reset_on_close(&service_saw.tunnel_far.stream);
	stream_close(&service_saw.tunnel_far.stream);
	visitor_until(&visitor, tunnel->closed);
	assert_int_equal(tunnel->code, NGHTTP2_CANCEL);
	visitor_close(&visitor);
	service_close(server);
	assert_int_equal(service_saw.tunnels_done, 1);
}

// A 2xx would tell the client that it has a WebSocket.
static void no_tunnel_by_mistake(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	visitor_turn(&visitor);
	visitor_turn(&visitor);
	struct visitor_stream *plain = visitor_request(
		&visitor, ":method: CONNECT\n:protocol: websocket\n:scheme: http\n:authority: a.example\n:path: /\n",
		SLICE_EMPTY, true);
	visitor_expect(&visitor, plain, 502, "no");
	assert_int_equal(service_saw.fault, FAULT_UPGRADE_FAILED);
	visitor_close(&visitor);
	service_close(server);
}

// --- Goodbyes

static void drains(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	struct visitor_stream *pieces = visitor_get(&visitor, "/pieces");
	visitor_until(&visitor, pieces->body_length > 0);
	h2_server_announce_drain(server);
	// What the client sends before it hears of it is served.
	struct visitor_stream *late = visitor_get(&visitor, "/");
	visitor_expect(&visitor, late, 200, "hi");
	visitor_expect(&visitor, pieces, 200, "piece piece piece ");
	visitor_until(&visitor, visitor.ended);
	assert_int_equal(visitor.goaways, 2);
	assert_int_equal(visitor.goaway_last, late->id);
	assert_int_equal(visitor.goaway_code, NGHTTP2_NO_ERROR);
	assert_int_equal(visitor.reset_count, 0);
	visitor_close(&visitor);
	service_close(server);
	assert_int_equal(service_saw.served, 2);
}

static void drains_idle_ones(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	visitor_expect(&visitor, visitor_get(&visitor, "/"), 200, "hi");
	h2_server_drain(server);
	visitor_until(&visitor, visitor.ended);
	assert_int_equal(visitor.goaways, 1);
	visitor_close(&visitor);
	service_close(server);
}

static void aborts(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	test_pair(&service_saw.tunnel_far, &service_saw.tunnel_near);
	visitor_open(&visitor, server, NULL, 0, false);
	visitor_turn(&visitor);
	visitor_turn(&visitor);
	struct visitor_stream *tunnel = visitor_request(&visitor, WEBSOCKET, SLICE("x"), true);
	(void)visitor_get(&visitor, "/wait");
	(void)visitor_request(&visitor, POST("/read"), SLICE("some"), true);
	(void)visitor_get(&visitor, "/pieces");
	visitor_until(&visitor, tunnel->body_length == 5 && service_saw.served == 4);
	h2_server_abort(server);
	for (int i = 0; i < 5; i++)
		driver_settle();
	assert_int_equal(h2_server_connections(server), 0);
	visitor_close(&visitor);
	stream_close(&service_saw.tunnel_far.stream);
	service_close(server);
	assert_int_equal(service_saw.tunnels_done, 1);
}

static void requests_are_bounded(void *argument)
{
	struct h2_server_settings settings = service_standard;
	settings.requests = 3;
	struct h2_server *server = service_open(&settings);
	visitor_open(&visitor, server, NULL, 0, false);
	for (int i = 0; i < 3; i++)
		visitor_expect(&visitor, visitor_get(&visitor, "/"), 200, "hi");
	visitor_until(&visitor, visitor.ended);
	assert_int_equal(visitor.goaway_code, NGHTTP2_NO_ERROR);
	visitor_close(&visitor);
	service_close(server);
}

static void memory_is_out(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	visitor_open(&visitor, server, NULL, 0, false);
	service_saw.no_memory = true;
	struct visitor_stream *refused = visitor_get(&visitor, "/");
	visitor_until(&visitor, refused->closed);
	assert_int_equal(refused->code, NGHTTP2_REFUSED_STREAM);
	service_saw.no_memory = false;
	visitor_expect(&visitor, visitor_get(&visitor, "/"), 200, "hi");
	visitor_close(&visitor);
	service_close(server);
}

#define TEST(run)                                                                                                      \
	static void test_##run(void **state)                                                                           \
	{                                                                                                              \
		driver_run(run, NULL);                                                                                 \
	}
TEST(resets_cancel)
TEST(reset_at_once)
TEST(lost_connections_cancel)
TEST(idle_connections_end)
TEST(silent_connections_end)
TEST(unfinished_sections_end)
TEST(slow_bodies_end)
TEST(slow_readers_end)
TEST(deaf_clients_end)
TEST(tunnels)
TEST(tunnels_move_much)
TEST(no_tunnel_by_mistake)
TEST(drains)
TEST(drains_idle_ones)
TEST(aborts)
TEST(requests_are_bounded)
TEST(memory_is_out)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resets_cancel),
		cmocka_unit_test(test_reset_at_once),
		cmocka_unit_test(test_lost_connections_cancel),
		cmocka_unit_test(test_idle_connections_end),
		cmocka_unit_test(test_silent_connections_end),
		cmocka_unit_test(test_unfinished_sections_end),
		cmocka_unit_test(test_slow_bodies_end),
		cmocka_unit_test(test_slow_readers_end),
		cmocka_unit_test(test_deaf_clients_end),
		cmocka_unit_test(test_tunnels),
		cmocka_unit_test(test_tunnels_move_much),
		cmocka_unit_test(test_no_tunnel_by_mistake),
		cmocka_unit_test(test_drains),
		cmocka_unit_test(test_drains_idle_ones),
		cmocka_unit_test(test_aborts),
		cmocka_unit_test(test_requests_are_bounded),
		cmocka_unit_test(test_memory_is_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
