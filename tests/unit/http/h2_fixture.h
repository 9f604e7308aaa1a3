// What the tests of h2_client share: a link to an origin, and exchanges on it.
#ifndef USHER_TESTS_UNIT_HTTP_H2_FIXTURE_H
#define USHER_TESTS_UNIT_HTTP_H2_FIXTURE_H

#include "driver.h"
#include "h2_origin.h"
#include "http/body.h"
#include "http/h2_client.h"
#include "http/h2_memory.h"
#include "support.h"

enum { WINDOW = 64 * 1024, HEADER_BYTES = 4096 };

static const struct client_settings exchange_settings = {
	.header_bytes = HEADER_BYTES,
	.limits = {.fields = 20, .target_bytes = 100},
	.send_timeout_ns = 100 * SECOND_NS,
	.response_timeout_ns = 200 * SECOND_NS,
	.read_timeout_ns = 100 * SECOND_NS,
};

static const struct h2_link_settings link_settings = {
	.header_bytes = HEADER_BYTES,
	.stream_window = WINDOW,
	.window = 16 * WINDOW,
	.streams = 200,
	.ping_after_ns = 1000 * SECOND_NS,
	.ping_timeout_ns = 100 * SECOND_NS,
};

struct fixture {
	struct tcp_stream near, far; // far is the server's
	struct h2_link *link;
	struct origin origin;
	unsigned changes; // how often `changed` was called
	bool closes;	  // `changed` closes a link that is over and has no exchanges
};

struct exchange {
	struct arena arena;
	struct h2_client client;
	struct client_request request;
	struct fields fields;
	struct response response;
	struct fault fault;
	struct body_bytes bytes;
};

static inline void fixture_changed(struct h2_link *link, void *argument)
{
	struct fixture *fixture = argument;
	fixture->changes++;
	if (fixture->closes && h2_link_is_over(link) && h2_link_streams(link) == 0) {
		h2_link_close(link);
		fixture->link = NULL;
	}
}

// A link alone; the test is the server.
static inline void fixture_open_raw(struct fixture *fixture, const struct h2_link_settings *settings)
{
	fixture->changes = 0;
	fixture->closes = false;
	test_pair(&fixture->near, &fixture->far);
	driver_leave_out(&fixture->far);
	fixture->link = h2_link_new(&fixture->near.stream, settings, fixture_changed, fixture);
	assert_non_null(fixture->link);
}

static inline void fixture_close_raw(struct fixture *fixture)
{
	if (fixture->link)
		h2_link_close(fixture->link);
	stream_close(&fixture->far.stream);
	driver_settle();
	h2_memory_trim();
}

static inline void fixture_open(struct fixture *fixture, const nghttp2_settings_entry *settings, size_t count,
				bool manual_windows)
{
	fixture_open_raw(fixture, &link_settings);
	origin_open(&fixture->origin, &fixture->far, settings, count, manual_windows);
	origin_until(fixture->origin.settings_answers == 1);
}

static inline void fixture_close(struct fixture *fixture)
{
	if (fixture->link)
		h2_link_close(fixture->link);
	fixture->link = NULL;
	origin_until(fixture->origin.is_over);
	origin_close(&fixture->origin);
	fixture_close_raw(fixture);
}

static inline void exchange_open(struct fixture *fixture, struct exchange *exchange, const char *body)
{
	memset(exchange, 0, sizeof(*exchange));
	arena_init(&exchange->arena, 1024 * 1024);
	h2_client_init(&exchange->client, &exchange_settings, fixture->link, &exchange->arena);
	body_bytes_init(&exchange->bytes, body ? slice_from_string(body) : SLICE_EMPTY);
	exchange->request = (struct client_request){
		.method = body ? METHOD_POST : METHOD_GET,
		.framing = body ? BODY_LENGTH : BODY_NONE,
		.method_name = body ? SLICE("POST") : SLICE("GET"),
		.scheme = SLICE("http"),
		.authority = SLICE("a.example"),
		.target = SLICE("/x?y"),
		.fields = &exchange->fields,
		.body = &exchange->bytes.body,
	};
}

// Whether the link is still good.
static inline bool exchange_close(struct exchange *exchange)
{
	bool good = client_fini(&exchange->client.client);
	arena_fini(&exchange->arena);
	return good;
}

static inline int exchange_send(struct exchange *exchange)
{
	return client_send(&exchange->client.client, &exchange->request, &exchange->fault);
}

static inline int exchange_head(struct exchange *exchange)
{
	return client_read_head(&exchange->client.client, 0, &exchange->response, &exchange->fault);
}

static inline void exchange_begin(struct fixture *fixture, struct exchange *exchange, const char *body)
{
	exchange_open(fixture, exchange, body);
	assert_int_equal(exchange_send(exchange), 0);
}

// The rest of the response's body; counts its bytes, and keeps the first ones.
struct received {
	char text[256];
	size_t bytes;
};

static inline int exchange_body(struct exchange *exchange, struct received *received)
{
	struct slice bytes = SLICE("more");
	*received = (struct received){.bytes = 0};
	while (bytes.length) {
		if (body_read(exchange->response.body, &bytes) < 0)
			return -1;
		for (size_t i = 0; i < bytes.length; i++, received->bytes++)
			if (received->bytes < sizeof(received->text) - 1)
				received->text[received->bytes] = bytes.data[i];
	}
	return 0;
}

static inline void exchange_expect(struct exchange *exchange, unsigned status, const char *body)
{
	struct received received;
	assert_int_equal(exchange_head(exchange), 0);
	assert_int_equal(exchange->response.status, status);
	assert_int_equal(exchange_body(exchange, &received), 0);
	assert_string_equal(received.text, body);
}

#define TEST(name)                                                                                                     \
	static void test_##name(void **state)                                                                          \
	{                                                                                                              \
		driver_run(name, NULL);                                                                                \
	}

#endif
