// Servers that break the rules of HTTP/2, or keep them to nobody's good.
#include "h2_fixture.h"
#include "http/h2_client_stream.h"

static struct fixture fixture; // too large for a fiber's stack

// --- Frames by hand

static char wire[2 * 1024 * 1024];
static size_t wire_length;

static void add_frame(unsigned type, unsigned flags, int32_t id, struct slice payload)
{
	char head[9] = {(char)(payload.length >> 16),
			(char)(payload.length >> 8),
			(char)payload.length,
			(char)type,
			(char)flags,
			(char)(id >> 24),
			(char)(id >> 16),
			(char)(id >> 8),
			(char)id};
	assert_true(wire_length + sizeof(head) + payload.length <= sizeof(wire));
	memcpy(wire + wire_length, head, sizeof(head));
	memcpy(wire + wire_length + sizeof(head), payload.data, payload.length);
	wire_length += sizeof(head) + payload.length;
}

static void begin(struct exchange *exchange)
{
	wire_length = 0;
	fixture_open(&fixture, NULL, 0, false);
	exchange_begin(&fixture, exchange, NULL);
	(void)origin_request(&fixture.origin, 0);
}

// Sends the frames; what the client's side does not read any more may be lost.
static void send_wire(void)
{
	size_t sent = 0;
	while (sent < wire_length) {
		struct iovec part = {wire + sent, wire_length - sent};
		ssize_t now = stream_write(&fixture.far.stream, &part, 1, false, "test", loop_now() + 5 * SECOND_NS);
		if (now < 0)
			break;
		sent += (size_t)now;
	}
}

// --- What ends the link

struct row {
	const char *what;
	unsigned type, flags;
	int32_t id;
	struct slice payload;
	unsigned times;
	uint32_t code; // of the GOAWAY
};

#define PAYLOAD(literal) BYTES(literal)
#define MANY 3000

static const struct row rows[] = {
	{"PING flood", NGHTTP2_PING, 0, 0, PAYLOAD("12345678"), MANY, NGHTTP2_ENHANCE_YOUR_CALM},
	{"SETTINGS flood", NGHTTP2_SETTINGS, 0, 0, PAYLOAD(""), MANY, NGHTTP2_ENHANCE_YOUR_CALM},
	{"PRIORITY flood", NGHTTP2_PRIORITY, 0, 1, PAYLOAD("\0\0\0\0\0"), MANY, NGHTTP2_ENHANCE_YOUR_CALM},
	{"WINDOW_UPDATE flood", NGHTTP2_WINDOW_UPDATE, 0, 1, PAYLOAD("\0\0\0\1"), MANY, NGHTTP2_ENHANCE_YOUR_CALM},
	{"empty DATA flood", NGHTTP2_DATA, 0, 1, PAYLOAD(""), MANY, NGHTTP2_ENHANCE_YOUR_CALM},
	{"PUSH_PROMISE", NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1, PAYLOAD("\0\0\0\2\x82"), 1,
	 NGHTTP2_PROTOCOL_ERROR},
	{"DATA on no stream", NGHTTP2_DATA, 0, 0, PAYLOAD("x"), 1, NGHTTP2_PROTOCOL_ERROR},
	{"DATA on an idle stream", NGHTTP2_DATA, 0, 99, PAYLOAD("x"), 1, NGHTTP2_PROTOCOL_ERROR},
	{"HEADERS on an idle stream", NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 99, PAYLOAD("\x88"), 1,
	 NGHTTP2_PROTOCOL_ERROR},
	{"RST_STREAM on an idle stream", NGHTTP2_RST_STREAM, 0, 99, PAYLOAD("\0\0\0\0"), 1, NGHTTP2_PROTOCOL_ERROR},
	{"RST_STREAM of a wrong size", NGHTTP2_RST_STREAM, 0, 1, PAYLOAD("\0\0\0"), 1, NGHTTP2_FRAME_SIZE_ERROR},
	{"bad compression", NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, PAYLOAD("\xff\xff\xff\xff\xff\xff"), 1,
	 NGHTTP2_COMPRESSION_ERROR},
	{"CONTINUATION of nothing", NGHTTP2_CONTINUATION, 0, 1, PAYLOAD("\x88"), 1, NGHTTP2_PROTOCOL_ERROR},
	{"a window beyond its size", NGHTTP2_WINDOW_UPDATE, 0, 0, PAYLOAD("\x7f\xff\xff\xff"), 1,
	 NGHTTP2_FLOW_CONTROL_ERROR},
	{"a window that opens by nothing", NGHTTP2_WINDOW_UPDATE, 0, 0, PAYLOAD("\0\0\0\0"), 1, NGHTTP2_PROTOCOL_ERROR},
	{"a setting out of range", NGHTTP2_SETTINGS, 0, 0, PAYLOAD("\0\4\xff\xff\xff\xff"), 1,
	 NGHTTP2_FLOW_CONTROL_ERROR},
	{"padding larger than the frame", NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, PAYLOAD("\xffx"), 1,
	 NGHTTP2_PROTOCOL_ERROR},
};

static void ends_of_links(void *argument)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *row = &rows[i];
		struct exchange exchange;
		begin(&exchange);
		if (row->type == NGHTTP2_DATA && row->id == 1)
			origin_head(&fixture.origin, &fixture.origin.streams[0], ":status: 200\n", false);
		for (unsigned n = 0; n < row->times; n++)
			add_frame(row->type, row->flags, row->id, row->payload);
		send_wire();
		struct received received;
		if (exchange_head(&exchange) == 0) {
			assert_int_equal(exchange_body(&exchange, &received), -1);
			exchange.fault = exchange.response.body->fault;
		}
		if (exchange.fault.kind != FAULT_RESPONSE_BAD)
			print_error("%s: %s\n", row->what, exchange.fault.detail);
		assert_int_equal(exchange.fault.kind, FAULT_RESPONSE_BAD);
		assert_non_null(exchange.fault.detail);
		assert_true(h2_link_is_over(fixture.link));
		assert_false(exchange_close(&exchange));
		fixture_close(&fixture);
		if (fixture.origin.goaway_code != row->code)
			print_error("%s: code %u\n", row->what, fixture.origin.goaway_code);
		assert_true(fixture.origin.goaways >= 1);
		assert_int_equal(fixture.origin.goaway_code, row->code);
	}
}

// A large frame is not waited for.
static void large_frames(void *argument)
{
	struct exchange exchange;
	static char payload[20 * 1024];
	begin(&exchange);
	add_frame(NGHTTP2_HEADERS, 0, 1, slice_from(payload, sizeof(payload)));
	wire_length = 9; // its head tells
	send_wire();
	assert_int_equal(exchange_head(&exchange), -1);
	assert_int_equal(exchange.fault.kind, FAULT_RESPONSE_BAD);
	assert_false(exchange_close(&exchange));
	fixture_close(&fixture);
	assert_int_equal(fixture.origin.goaway_code, NGHTTP2_FRAME_SIZE_ERROR);
}

// A header section that never ends (CVE-2024-28182).
static void endless_sections(void *argument)
{
	struct exchange exchange;
	static char fields[16 * 1024];
	begin(&exchange);
	for (size_t i = 0; i < sizeof(fields); i += 4)
		memcpy(fields + i, "\0\1x\0", 4); // "x" with an empty value, not kept
	add_frame(NGHTTP2_HEADERS, 0, 1, SLICE("\x88"));
	for (unsigned i = 0; i < 100; i++)
		add_frame(NGHTTP2_CONTINUATION, 0, 1, slice_from(fields, sizeof(fields)));
	send_wire();
	assert_int_equal(exchange_head(&exchange), -1);
	assert_int_equal(exchange.fault.kind, FAULT_RESPONSE_BAD);
	assert_true(exchange.client.stream->section.fields.count <= exchange_settings.limits.fields);
	assert_false(exchange_close(&exchange));
	fixture_close(&fixture);
}

// A section that is small as it comes, and huge as it is meant.
static void bombs(void *argument)
{
	struct exchange exchange;
	static char section[16 * 1024];
	begin(&exchange);
	memset(section, 0xbe, sizeof(section)); // what was put into the table last
	// :status 200; then "x" with 3,000 bytes, kept in the table.
	memcpy(section, "\x88\x40\1x\x7f\xb9\x16", 7);
	memset(section + 7, 'b', 3000);
	add_frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
		  slice_from(section, sizeof(section)));
	send_wire();
	assert_int_equal(exchange_head(&exchange), -1);
	assert_int_equal(exchange.fault.kind, FAULT_RESPONSE_HEADER_TOO_LARGE);
	assert_true(exchange.arena.taken_bytes < 32 * 1024);
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
}

// What serves nobody is counted in periods; what comes with work is excused.
static void patience(void *argument)
{
	struct exchange exchange;
	begin(&exchange);
	for (unsigned period = 0; period < 5; period++) {
		wire_length = 0;
		for (unsigned i = 0; i < 900; i++)
			add_frame(NGHTTP2_PING, 0, 0, SLICE("12345678"));
		send_wire();
		driver_skip(11 * SECOND_NS);
		assert_false(h2_link_is_over(fixture.link));
	}
	origin_head(&fixture.origin, &fixture.origin.streams[0], ":status: 200\n", false);
	assert_int_equal(exchange_head(&exchange), 0);
	wire_length = 0;
	for (unsigned i = 0; i < 3000; i++) {
		add_frame(NGHTTP2_PING, 0, 0, SLICE("12345678"));
		add_frame(NGHTTP2_WINDOW_UPDATE, 0, 1, SLICE("\0\0\0\1"));
		add_frame(NGHTTP2_DATA, i == 2999 ? NGHTTP2_FLAG_END_STREAM : 0, 1, SLICE("x"));
	}
	send_wire();
	struct received received;
	assert_int_equal(exchange_body(&exchange, &received), 0);
	assert_int_equal(received.bytes, 3000);
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
}

TEST(ends_of_links)
TEST(large_frames)
TEST(endless_sections)
TEST(bombs)
TEST(patience)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends_of_links),	 cmocka_unit_test(test_large_frames),
		cmocka_unit_test(test_endless_sections), cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_patience),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
