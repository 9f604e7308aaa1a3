// The request as it goes to a server.
#include "../exchange/support.h"
#include "handlers/proxy_request.h"
#include "http/h1.h"

enum { TRUSTED = 1, HTTP_1_0 = 2 };

struct row {
	const char *head; // as the client sends it, without its empty line
	unsigned flags;
	struct proxy_request_options options;
	const char *sent; // all of it, where it is not only about what it has and lacks
	const char *has[6], *lacks[6];
};

#define OFF                                                                                                            \
	{                                                                                                              \
		.forwarded = PROXY_FORWARDED_OFF                                                                       \
	}
#define X                                                                                                              \
	{                                                                                                              \
		.forwarded = PROXY_FORWARDED_X                                                                         \
	}
#define STANDARD                                                                                                       \
	{                                                                                                              \
		.forwarded = PROXY_FORWARDED_STANDARD                                                                  \
	}
#define BOTH                                                                                                           \
	{                                                                                                              \
		.forwarded = PROXY_FORWARDED_BOTH                                                                      \
	}
#define TAIL "Via: 1.1 usher\r\nX-Request-Id: id\r\n"

static const struct row rows[] = {
	{"GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\nCookie: a\r\nCookie: b\r\n", 0, OFF,
	 .sent = "GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\nCookie: a\r\nCookie: b\r\n" TAIL "\r\n"},
	{"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n", 0, OFF,
	 .sent = "POST / HTTP/1.1\r\nHost: a.example\r\n" TAIL "Content-Length: 5\r\n\r\n"},
	{"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n", 0, OFF,
	 .sent = "POST / HTTP/1.1\r\nHost: a.example\r\n" TAIL "Transfer-Encoding: chunked\r\n\r\n"},
	{"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n", 0, OFF, .has = {"\r\nContent-Length: 0\r\n"}},
	{"GET / HTTP/1.1\r\nHost: a.example\r\n", 0, OFF, .lacks = {"Content-Length", "Transfer-Encoding"}},
	// Hop-by-hop fields (RFC 9110 section 7.6.1).
	{"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close, X-Hop, x-other\r\nX-Hop: 1\r\nX-Other: 2\r\n"
	 "X-Kept: 3\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\n",
	 0, OFF, .sent = "GET / HTTP/1.1\r\nHost: a.example\r\nX-Kept: 3\r\n" TAIL "\r\n"},
	{"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Host, Content-Length\r\n", 0, OFF,
	 .has = {"\r\nHost: a.example\r\n"}},
	// Host.
	{"GET / HTTP/1.1\r\nHost: A.example:81\r\n", 0, OFF, .has = {"\r\nHost: A.example:81\r\n"}},
	{"GET / HTTP/1.1\r\nHost: a.example\r\n",
	 0,
	 {.host = PROXY_HOST_SERVER, .forwarded = PROXY_FORWARDED_OFF},
	 .has = {"\r\nHost: 10.0.0.1:80\r\n"},
	 .lacks = {"a.example"}},
	{"GET / HTTP/1.1\r\nHost: a.example\r\n",
	 0,
	 {.host = PROXY_HOST_FIXED, .host_text = {"b.example", 9}, .forwarded = PROXY_FORWARDED_OFF},
	 .has = {"\r\nHost: b.example\r\n"},
	 .lacks = {"a.example"}},
	{"GET / HTTP/1.0\r\n", HTTP_1_0, OFF,
	 .has = {"\r\nHost: 10.0.0.1:80\r\n", "\r\nVia: 1.0 usher\r\n", " HTTP/1.1\r\n"}},
	// Who the client is, where it may not say so itself.
	{"GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"
	 "X-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Request-Id: theirs\r\n",
	 0, X,
	 .sent = "GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
		 "X-Forwarded-Host: a.example\r\n" TAIL "\r\n"},
	{"GET / HTTP/1.1\r\nHost: a.example\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\n", 0, STANDARD,
	 .sent = "GET / HTTP/1.1\r\nHost: a.example\r\nForwarded: for=192.0.2.1;proto=http;host=a.example\r\n" TAIL
		 "\r\n"},
	{"GET / HTTP/1.1\r\nHost: a.example\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\n", 0, OFF,
	 .lacks = {"orwarded"}},
	{"GET / HTTP/1.1\r\nHost: a.example\r\n", 0, BOTH,
	 .has = {"\r\nX-Forwarded-For: 192.0.2.1\r\n", "\r\nForwarded: for=192.0.2.1;"}},
	// ... and where it is a proxy that is trusted.
	{"GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\n", TRUSTED, X,
	 .has = {"\r\nX-Forwarded-For: 6.6.6.6, 7.7.7.7, 10.9.8.7\r\n"}},
	{"GET / HTTP/1.1\r\nHost: a.example\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\n", TRUSTED,
	 STANDARD,
	 .has = {"\r\nForwarded: for=6.6.6.6, for=10.9.8.7;proto=http;host=a.example\r\n",
		 "\r\nX-Forwarded-For: 6.6.6.6\r\n"}},
	{"GET / HTTP/1.1\r\nHost: a.example\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n", TRUSTED, OFF,
	 .has = {"\r\nForwarded: for=6.6.6.6\r\n", "\r\nX-Real-IP: 6.6.6.6\r\n"}},
	// Via (RFC 9110 section 7.6.3).
	{"GET / HTTP/1.1\r\nHost: a.example\r\nVia: 1.0 fred\r\nVia: 1.1 p.example\r\n", 0, OFF,
	 .has = {"\r\nVia: 1.0 fred, 1.1 p.example, 1.1 usher\r\n"}},
	// Max-Forwards counts for OPTIONS only (RFC 9110 section 7.6.2).
	{"OPTIONS * HTTP/1.1\r\nHost: a.example\r\nMax-Forwards: 3\r\n", 0, OFF,
	 .has = {"OPTIONS * HTTP/1.1\r\n", "\r\nMax-Forwards: 2\r\n"}, .lacks = {"Max-Forwards: 3"}},
	{"OPTIONS * HTTP/1.1\r\nHost: a.example\r\nMax-Forwards: x\r\n", 0, OFF, .lacks = {"Max-Forwards"}},
	// TE: only what usher takes itself.
	{"GET / HTTP/1.1\r\nHost: a.example\r\nTE: gzip, trailers\r\nConnection: TE\r\n", 0, OFF,
	 .has = {"\r\nTE: trailers\r\nConnection: TE\r\n"}, .lacks = {"gzip"}},
	{"GET / HTTP/1.1\r\nHost: a.example\r\nTE: gzip\r\nConnection: TE\r\n", 0, OFF, .lacks = {"TE:", "Connection"}},
	// Upgrade.
	{"GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n", 0, OFF,
	 .has = {"\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"}, .lacks = {"keep-alive"}},
	{"GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\n", 0, OFF, .lacks = {"pgrade"}},
	{"GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
	 "HTTP2-Settings: AAA\r\n",
	 0, OFF, .lacks = {"pgrade", "HTTP2-Settings"}},
	// Expect (RFC 9110 section 10.1.1).
	{"POST / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n", 0, OFF,
	 .has = {"\r\nExpect: 100-continue\r\n"}},
	{"GET / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\n", 0, OFF, .lacks = {"Expect"}},
};

static void begin(struct exchange *exchange, struct client *client, const struct row *row)
{
	static const struct h1_limits limits = {100, 8192};
	struct request *request = exchange_request(exchange);
	struct arena *arena = exchange_arena(exchange);
	struct fault fault = {0};
	memset(exchange, 0, sizeof *exchange);
	arena_init(arena, 1024 * 1024);
	struct slice head = arena_printf(arena, "%s\r\n", row->head);
	if (!h1_parse_request(head, &limits, arena, request, &fault))
		print_error("%s: %s\n", row->head, fault.detail);
	assert_int_equal(fault.kind, FAULT_NONE);
	static struct body body;
	body = *body_empty();
	body.length = request->framing == BODY_CHUNKED ? BODY_LENGTH_UNKNOWN : (int64_t)request->content_length;
	request->body = &body;
	assert_int_equal(request->version_minor, row->flags & HTTP_1_0 ? 0 : 1);
	*client = (struct client){.scheme = SLICE("http")};
	exchange->peer_is_trusted = (row->flags & TRUSTED) != 0;
	exchange->client_text = SLICE("192.0.2.1");
	assert_true(address_parse_ip(exchange->peer_is_trusted ? SLICE("10.9.8.7") : exchange->client_text, 1,
				     &client->peer));
	exchange->transaction.client = client;
	exchange->scheme = SLICE("http");
	exchange->request_id = SLICE("id");
	exchange->target = request->target;
}

static void assert_head(const struct row *row, struct slice head)
{
	char text[2048];
	assert_true(head.length < sizeof text);
	memcpy(text, head.data, head.length);
	text[head.length] = '\0';
	assert_string_equal(text + head.length - 4, "\r\n\r\n");
	if (row->sent)
		assert_string_equal(text, row->sent);
	for (size_t i = 0; i < COUNT(row->has) && row->has[i]; i++)
		if (!strstr(text, row->has[i])) {
			print_error("no \"%s\" in:\n%s\n", row->has[i], text);
			fail();
		}
	for (size_t i = 0; i < COUNT(row->lacks) && row->lacks[i]; i++)
		if (strstr(text, row->lacks[i])) {
			print_error("\"%s\" in:\n%s\n", row->lacks[i], text);
			fail();
		}
}

static struct slice head_for(struct exchange *exchange, struct client_request *request, const struct row *row)
{
	static const struct server server = {.authority = {"10.0.0.1:80", 11}};
	proxy_request_address(request, exchange, &row->options, &server);
	return h1_request_head(request, exchange_arena(exchange));
}

static void test_heads(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct exchange exchange;
		struct client client;
		struct client_request request;
		begin(&exchange, &client, &rows[i]);
		assert_true(proxy_request_make(&exchange, &rows[i].options, &request));
		// Each try of a server has one made anew.
		for (int tries = 0; tries < 2; tries++)
			assert_head(&rows[i], head_for(&exchange, &request, &rows[i]));
		test_exchange_end(&exchange);
	}
}

// The Host that a trusted proxy got is what the server hears of as the forwarded one.
static void test_forwarded_host(void **state)
{
	static const struct row row = {
		"GET / HTTP/1.1\r\nHost: inner.example\r\n", TRUSTED, X,
		.has = {"\r\nHost: inner.example\r\n", "\r\nX-Forwarded-Host: outer.example\r\n"}};
	struct exchange exchange;
	struct client client;
	struct client_request request;
	begin(&exchange, &client, &row);
	exchange.forwarded_host = SLICE("outer.example");
	assert_true(proxy_request_make(&exchange, &row.options, &request));
	assert_head(&row, head_for(&exchange, &request, &row));
	test_exchange_end(&exchange);
}

// Hosts that need quoting, and that are long, fit into what is set aside.
static void test_long_parts(void **state)
{
	static char head[600], host[250];
	memset(host, 'a', sizeof host - 1);
	(void)snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: %s:80\r\nForwarded: for=1.1.1.1\r\n", host);
	struct row row = {head, TRUSTED, BOTH};
	struct exchange exchange;
	struct client client;
	struct client_request request;
	begin(&exchange, &client, &row);
	assert_true(proxy_request_make(&exchange, &row.options, &request));
	struct slice got = head_for(&exchange, &request, &row);
	assert_true(got.length > 3 * sizeof host);
	assert_true(slice_ends_with(got, SLICE("\r\n\r\n")));
	test_exchange_end(&exchange);
}

static void test_without_memory(void **state)
{
	struct exchange exchange;
	struct client client;
	struct client_request request;
	begin(&exchange, &client, &rows[0]);
	assert_true(proxy_request_make(&exchange, &rows[0].options, &request));
	exchange_arena(&exchange)->limit_bytes = exchange_arena(&exchange)->taken_bytes;
	assert_null(head_for(&exchange, &request, &rows[0]).data);
	assert_false(proxy_request_make(&exchange, &rows[0].options, &request));
	test_exchange_end(&exchange);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_forwarded_host),
		cmocka_unit_test(test_long_parts),
		cmocka_unit_test(test_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
