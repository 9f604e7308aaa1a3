// What clients do to HTTP/2 connections that serves nobody, and what becomes of it: the
// connection ends, and says why.
#include "h2_service.h"
#include "h2_visitor.h"
#include "observe/metrics.h"

static struct visitor visitor;

static struct metric *abuse_metric(const char *label)
{
	char labels[64];
	snprintf(labels, sizeof labels, "reason=\"%s\"", label);
	return metric_register(METRIC_COUNTER, "usher_http2_abuse_total", labels, "");
}

// --- Frames by hand

struct frame {
	uint8_t type, flags;
	uint32_t stream;
	struct slice payload;
};

static bool drips; // each byte is read before the next one comes

static void put_bytes(uint8_t *wire, size_t length)
{
	size_t piece = drips ? 1 : length;
	for (size_t at = 0; at < length && !visitor.ended; at += piece) {
		struct iovec part = {wire + at, piece};
		if (stream_write_all(&visitor.tcp.stream, &part, 1, false, "test", PATIENCE_NS))
			visitor.ended = true;
		if (drips)
			(void)fiber_sleep("test", loop_now() + MILLISECOND_NS);
	}
}

static void put_frame(const struct frame *frame)
{
	uint8_t wire[9 + 16384];
	size_t length = frame->payload.length;
	assert_true(length <= 16384);
	wire[0] = (uint8_t)(length >> 16);
	wire[1] = (uint8_t)(length >> 8);
	wire[2] = (uint8_t)length;
	wire[3] = frame->type;
	wire[4] = frame->flags;
	for (int i = 0; i < 4; i++)
		wire[5 + i] = (uint8_t)(frame->stream >> (24 - 8 * i));
	if (length > 0)
		memcpy(wire + 9, frame->payload.data, length);
	put_bytes(wire, 9 + length);
}

// GET / of a.example, by HPACK's static table and literals.
static const struct slice get = BYTES("\x82\x86\x84\x41\x09"
				      "a.example");

static void open_visitor(struct h2_server *server)
{
	visitor_open(&visitor, server, NULL, 0, false);
	visitor_turn(&visitor);
	visitor_turn(&visitor);
	visitor_turn(&visitor);
}

// The connection has ended for the reason, and all that it had.
static void expect_end(struct h2_server *server, const char *label, int64_t before)
{
	visitor_until(&visitor, visitor.ended);
	visitor_close(&visitor);
	service_close(server);
	if (metric_read(abuse_metric(label)) != before + 1)
		print_error("not counted as %s\n", label);
	assert_int_equal(metric_read(abuse_metric(label)), before + 1);
	// A client that goes on to write may lose the last word; one that reads has it.
	if (visitor.goaways > 0)
		assert_int_equal(visitor.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
}

// --- Floods of frames

static const struct {
	const char *name;
	struct frame frame;
} floods[] = {
	{"PING", {NGHTTP2_PING, 0, 0, BYTES("12345678")}},
	{"answers to PING", {NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, BYTES("12345678")}},
	{"SETTINGS", {NGHTTP2_SETTINGS, 0, 0, BYTES("")}},
	{"PRIORITY", {NGHTTP2_PRIORITY, 0, 1, BYTES("\0\0\0\0\x10")}},
	{"WINDOW_UPDATE", {NGHTTP2_WINDOW_UPDATE, 0, 0, BYTES("\0\0\0\1")}},
	{"WINDOW_UPDATE of a stream", {NGHTTP2_WINDOW_UPDATE, 0, 1, BYTES("\0\0\0\1")}},
	{"PRIORITY_UPDATE", {NGHTTP2_PRIORITY_UPDATE, 0, 0, BYTES("\0\0\0\1u=1")}},
	{"empty DATA", {NGHTTP2_DATA, 0, 1, BYTES("")}},
	{"DATA of padding", {NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, BYTES("\3\0\0\0")}},
	{"frames of no known type", {0x77, 0, 0, BYTES("")}},
};

static void floods_end(void *argument)
{
	for (size_t i = 0; i < COUNT(floods); i++) {
		struct h2_server *server = service_open(&service_standard);
		int64_t before = metric_read(abuse_metric("controls"));
		open_visitor(server);
		put_frame(&(struct frame){NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1,
					  BYTES("\x83\x86\x44\x05/wait\x41\x09"
						"a.example")});
		for (unsigned j = 0; j < service_standard.controls * 2 && !visitor.ended; j++)
			put_frame(&floods[i].frame);
		expect_end(server, "controls", before);
		assert_int_equal(service_saw.cancelled, service_saw.served);
	}
}

// The same over a longer time is nothing.
static void few_at_a_time_are_welcome(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	open_visitor(server);
	for (int i = 0; i < 5; i++) {
		for (unsigned j = 0; j < service_standard.controls - 20; j++)
			put_frame(&floods[0].frame);
		driver_skip(11 * SECOND_NS);
		for (int j = 0; j < 20; j++)
			visitor_turn(&visitor);
	}
	assert_false(visitor.ended);
	assert_int_equal(visitor.pings, 5 * (service_standard.controls - 20));
	visitor_close(&visitor);
	service_close(server);
}

// One who sends PING and never takes the answers.
static void unread_answers_end(void *argument)
{
	struct h2_server_settings settings = service_standard;
	settings.controls = 0;
	static const nghttp2_settings_entry wide = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 30};
	struct h2_server *server = service_open(&settings);
	int64_t before = metric_read(abuse_metric("acks"));
	visitor_open(&visitor, server, &wide, 1, false);
	assert_int_equal(nghttp2_session_set_local_window_size(visitor.session, 0, 0, 1 << 30), 0);
	visitor.deaf = true;
	for (int i = 0; i < 20; i++)
		(void)visitor_get(&visitor, "/large");
	visitor_until(&visitor, service_saw.served == 20);
	for (int i = 0; i < 1000; i++)
		put_frame(&floods[0].frame);
	for (int i = 0; i < 100 && metric_read(abuse_metric("acks")) == before; i++)
		driver_settle();
	assert_int_equal(metric_read(abuse_metric("acks")), before + 1);
	visitor_close(&visitor);
	service_close(server);
}

// --- Resets (CVE-2023-44487, CVE-2025-8671)

static void rapid_resets_end(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	int64_t before = metric_read(abuse_metric("resets"));
	open_visitor(server);
	for (uint32_t i = 0; i < service_standard.resets * 3 && !visitor.ended; i++) {
		put_frame(&(struct frame){NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM,
					  i * 2 + 1, get});
		put_frame(&(struct frame){NGHTTP2_RST_STREAM, 0, i * 2 + 1, BYTES("\0\0\0\x08")});
	}
	expect_end(server, "resets", before);
	assert_true(service_saw.begun <= service_standard.resets + 1);
}

// The client has usher reset what it opened, by frames that break the protocol.
static void resets_it_is_made_to_send_end(void *argument)
{
	static const struct {
		struct slice head;
		struct frame frame;
	} spoils[] = {
		// RFC 9113 section 6.9.1: a window beyond 2^31 - 1.
		{BYTES("\x83\x86\x44\x05/wait\x41\x09"
		       "a.example"),
		 {NGHTTP2_WINDOW_UPDATE, 0, 0, BYTES("\x7f\xff\xff\xff")}},
		// Section 8.1.1: more data than Content-Length says.
		{BYTES("\x83\x86\x44\x05/wait\x41\x09"
		       "a.example\x0f\x0d\x01\x31"),
		 {NGHTTP2_DATA, 0, 0, BYTES("12345")}},
	};
	for (size_t i = 0; i < COUNT(spoils); i++) {
		struct h2_server *server = service_open(&service_standard);
		int64_t before = metric_read(abuse_metric("resets"));
		open_visitor(server);
		for (uint32_t j = 0; j < service_standard.resets * 3 && !visitor.ended; j++) {
			struct frame spoil = spoils[i].frame;
			spoil.stream = j * 2 + 1;
			put_frame(&(struct frame){NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, spoil.stream,
						  spoils[i].head});
			put_frame(&spoil);
			if (j % 10 == 9)
				(void)fiber_sleep("test", loop_now() + 2 * MILLISECOND_NS);
		}
		expect_end(server, "resets", before);
	}
}

// --- Header sections (CVE-2024-27316)

static void many_continuations_end(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	int64_t before = metric_read(abuse_metric("continuations"));
	open_visitor(server);
	put_frame(&(struct frame){NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, get});
	for (int i = 0; i < 100 && !visitor.ended; i++)
		put_frame(&(struct frame){NGHTTP2_CONTINUATION, 0, 1, BYTES("")});
	expect_end(server, "continuations", before);
	assert_int_equal(service_saw.served, 0);
}

// Frames are counted, not the pieces in which they come.
static void slow_continuations_are_read(void *argument)
{
	struct h2_server *server = service_open(&service_standard);
	int64_t before = metric_read(abuse_metric("continuations"));
	open_visitor(server);
	drips = true;
	put_frame(&(struct frame){NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, get});
	for (int i = 0; i < 6; i++)
		put_frame(&(struct frame){NGHTTP2_CONTINUATION, 0, 1, BYTES("\0\1x\1y")});
	put_frame(&(struct frame){NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1, BYTES("")});
	drips = false;
	visitor_until(&visitor, service_saw.served == 1);
	assert_int_equal(metric_read(abuse_metric("continuations")), before);
	visitor_close(&visitor);
	service_close(server);
}

static void large_sections_end(void *argument)
{
	static char payload[16000];
	struct h2_server *server = service_open(&service_standard);
	int64_t before = metric_read(abuse_metric("continuations"));
	open_visitor(server);
	put_frame(&(struct frame){NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, get});
	// Literals without indexing, of one letter each.
	for (size_t i = 0; i + 5 <= sizeof payload; i += 5)
		memcpy(payload + i, "\0\1x\1y", 5);
	for (int i = 0; i < 5 && !visitor.ended; i++)
		put_frame(&(struct frame){NGHTTP2_CONTINUATION, 0, 1, slice_from(payload, sizeof payload)});
	visitor_until(&visitor, visitor.ended);
	visitor_close(&visitor);
	service_close(server);
	assert_true(metric_read(abuse_metric("continuations")) > before ||
		    metric_read(abuse_metric("header_expands")) > 0);
	assert_int_equal(service_saw.served, 0);
}

// A large field once, and then a byte for each time more.
static void sections_that_expand_end(void *argument)
{
	static char payload[16000];
	struct h2_server *server = service_open(&service_standard);
	int64_t before = metric_read(abuse_metric("header_expands"));
	open_visitor(server);
	// ":method: GET" and so on, then "x: <3000 bytes>" into the dynamic table.
	size_t length = get.length;
	memcpy(payload, get.data, length);
	memcpy(payload + length, "\x40\x01x\x7f\xb9\x16", 6); // 127 + 0x39 + 0x16 * 128 = 3000
	length += 6;
	memset(payload + length, 'v', 3000);
	length += 3000;
	memset(payload + length, 0xbe, sizeof payload - length); // index 62
	put_frame(&(struct frame){NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
				  slice_from(payload, sizeof payload)});
	expect_end(server, "header_expands", before);
	assert_int_equal(service_saw.served, 0);
}

// Too large, but not beyond all measure: an answer.
static void large_heads_are_answered(void *argument)
{
	static char value[5000], head[6000];
	struct h2_server *server = service_open(&service_standard);
	open_visitor(server);
	memset(value, 'v', sizeof value - 1);
	snprintf(head, sizeof head, ":method: GET\n:scheme: http\n:authority: a.example\n:path: /\nx: %s\n", value);
	visitor_expect(&visitor, visitor_request(&visitor, head, SLICE_EMPTY, false), 431, "no");
	assert_string_equal(service_saw.setting, "limits.header");
	size_t length =
		(size_t)snprintf(head, sizeof head, ":method: GET\n:scheme: http\n:authority: a.example\n:path: /\n");
	for (int i = 0; i < 21; i++)
		length += (size_t)snprintf(head + length, sizeof head - length, "x: y\n");
	visitor_expect(&visitor, visitor_request(&visitor, head, SLICE_EMPTY, false), 431, "no");
	assert_string_equal(service_saw.setting, "limits.fields");
	visitor_expect(&visitor, visitor_get(&visitor, "/"), 200, "hi");
	visitor_close(&visitor);
	service_close(server);
}

// --- Windows and streams

static void tiny_windows_end(void *argument)
{
	static const nghttp2_settings_entry tiny = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
	struct h2_server *server = service_open(&service_standard);
	int64_t before = metric_read(abuse_metric("controls"));
	visitor_open(&visitor, server, &tiny, 1, true);
	struct visitor_stream *stream = visitor_get(&visitor, "/large");
	for (unsigned i = 0; i < service_standard.controls * 2 && !visitor.ended; i++) {
		assert_int_equal(nghttp2_submit_window_update(visitor.session, 0, stream->id, 1), 0);
		visitor_turn(&visitor);
	}
	expect_end(server, "controls", before);
	assert_true(stream->body_length <= service_standard.controls + 1);
}

// RFC 9113 section 5.1.2. Before the client knows the limit its requests are refused, for
// another try; later the connection ends.
static void too_many_streams(void *argument)
{
	struct h2_server_settings settings = service_standard;
	settings.streams = 3;
	struct visitor_stream *streams[5];
	struct h2_server *server = service_open(&settings);
	visitor_open(&visitor, server, NULL, 0, false);
	for (int i = 0; i < 5; i++)
		streams[i] = visitor_get(&visitor, "/wait");
	visitor_until(&visitor, streams[3]->closed && streams[4]->closed);
	assert_int_equal(streams[3]->code, NGHTTP2_REFUSED_STREAM);
	assert_int_equal(streams[4]->code, NGHTTP2_REFUSED_STREAM);
	assert_int_equal(service_saw.begun, 3);
	visitor_turn(&visitor); // acknowledges the settings
	put_frame(&(struct frame){NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 101, get});
	visitor_until(&visitor, visitor.ended);
	assert_int_equal(visitor.goaway_code, NGHTTP2_PROTOCOL_ERROR);
	visitor_close(&visitor);
	service_close(server);
	assert_int_equal(service_saw.begun, 3);
	assert_int_equal(service_saw.cancelled, 3);
}

#define TEST(run)                                                                                                      \
	static void test_##run(void **state)                                                                           \
	{                                                                                                              \
		driver_run(run, NULL);                                                                                 \
	}
TEST(floods_end)
TEST(few_at_a_time_are_welcome)
TEST(unread_answers_end)
TEST(rapid_resets_end)
TEST(resets_it_is_made_to_send_end)
TEST(many_continuations_end)
TEST(slow_continuations_are_read)
TEST(large_sections_end)
TEST(sections_that_expand_end)
TEST(large_heads_are_answered)
TEST(tiny_windows_end)
TEST(too_many_streams)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_floods_end),
		cmocka_unit_test(test_few_at_a_time_are_welcome),
		cmocka_unit_test(test_unread_answers_end),
		cmocka_unit_test(test_rapid_resets_end),
		cmocka_unit_test(test_resets_it_is_made_to_send_end),
		cmocka_unit_test(test_many_continuations_end),
		cmocka_unit_test(test_slow_continuations_are_read),
		cmocka_unit_test(test_large_sections_end),
		cmocka_unit_test(test_sections_that_expand_end),
		cmocka_unit_test(test_large_heads_are_answered),
		cmocka_unit_test(test_tiny_windows_end),
		cmocka_unit_test(test_too_many_streams),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
