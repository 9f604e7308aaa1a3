#include "http/h1.h"
#include "support.h"

#include <stdio.h>

static const struct h1_limits limits = {.fields = 10, .target_bytes = 100};

static const char *const forms[] = {"origin", "absolute", "authority", "asterisk"};
static const char *const framings[] = {"none", "length", "chunked", "until-close"};

// "GET / origin 1.1 none keep a:0 / - 1": method, target, form, version, framing, host, path,
// query, fields.
static void describe(const struct request *request, char text[1024])
{
	char length[32] = "";
	if (request->framing == BODY_LENGTH)
		snprintf(length, sizeof(length), "=%llu", (unsigned long long)request->content_length);
	snprintf(text, 1024, "%.*s %.*s %s 1.%u %s%s %s%s%s %.*s%s%.*s:%u %.*s %s%.*s %u",
		 SLICE_ARGUMENTS(request->method_name), SLICE_ARGUMENTS(request->target), forms[request->target_form],
		 request->version_minor, framings[request->framing], length, request->persistent ? "keep" : "close",
		 request->expects_continue ? "+continue" : "", request->wants_upgrade ? "+upgrade" : "",
		 SLICE_ARGUMENTS(request->scheme), request->scheme.length > 0 ? "://" : "",
		 SLICE_ARGUMENTS(request->host), request->port, SLICE_ARGUMENTS(request->path),
		 request->has_query ? "?" : "-", SLICE_ARGUMENTS(request->query), request->fields.count);
}

struct outcome {
	bool accepted;
	struct fault fault;
	char text[1024];
};

// Parses the head alone in memory of its own. What is accepted must also be what the
// scanner takes for a whole head, however it is cut.
static struct outcome parse(struct slice head, const struct h1_limits *with_limits)
{
	struct outcome outcome = {0};
	struct arena arena;
	struct request request;
	arena_init(&arena, TEST_ARENA_BYTES);
	char *copy = test_alone(head);
	outcome.accepted =
		h1_parse_request(slice_from(copy, head.length), with_limits, &arena, &request, &outcome.fault);
	if (outcome.accepted) {
		describe(&request, outcome.text);
		assert_true(request.scheme.data != NULL && request.host.data != NULL && request.path.data != NULL &&
			    request.query.data != NULL && request.authority.data != NULL);
	}
	for (size_t cut = 0; outcome.accepted && cut < head.length; cut++) {
		struct h1_scanner scanner = {0};
		assert_int_equal(h1_scan_head(&scanner, copy, cut), 0);
		assert_int_equal(h1_scan_head(&scanner, copy, head.length), head.length);
	}
	free(copy);
	arena_fini(&arena);
	return outcome;
}

#define HEAD(line, fields) line " HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define TARGET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

static const struct {
	const char *head, *text;
} good[] = {
	{TARGET("/"), "GET / origin 1.1 none keep a:0 / - 1"},
	{TARGET("/a/b?c=d&e"), "GET /a/b?c=d&e origin 1.1 none keep a:0 /a/b ?c=d&e 1"},
	{TARGET("/?"), "GET /? origin 1.1 none keep a:0 / ? 1"},
	{TARGET("/?a?/?"), "GET /?a?/? origin 1.1 none keep a:0 / ?a?/? 1"},
	{TARGET("//x"), "GET //x origin 1.1 none keep a:0 //x - 1"},
	{TARGET("/a:@!$&'()*+,;=~-._%20"),
	 "GET /a:@!$&'()*+,;=~-._%20 origin 1.1 none keep a:0 /a:@!$&'()*+,;=~-._%20 - 1"},
	{TARGET("/?a[]=1|2"), "GET /?a[]=1|2 origin 1.1 none keep a:0 / ?a[]=1|2 1"},
	{TARGET("http://a"), "GET http://a absolute 1.1 none keep http://a:0 / - 1"},
	{TARGET("http://a?q"), "GET http://a?q absolute 1.1 none keep http://a:0 / ?q 1"},
	{TARGET("HTTP://A:80/p?q"), "GET HTTP://A:80/p?q absolute 1.1 none keep http://A:80 /p ?q 1"},
	{"GET https://a:443/ HTTP/1.1\r\nHost: A\r\n\r\n",
	 "GET https://a:443/ absolute 1.1 none keep https://a:443 / - 1"},
	{"GET http://[::1]:8/ HTTP/1.1\r\nHost: [::1]:8\r\n\r\n",
	 "GET http://[::1]:8/ absolute 1.1 none keep http://[::1]:8 / - 1"},
	{HEAD("OPTIONS *", ""), "OPTIONS * asterisk 1.1 none keep a:0 * - 1"},
	{HEAD("OPTIONS http://a", ""), "OPTIONS http://a absolute 1.1 none keep http://a:0 * - 1"},
	{HEAD("OPTIONS http://a/", ""), "OPTIONS http://a/ absolute 1.1 none keep http://a:0 / - 1"},
	{HEAD("OPTIONS /", ""), "OPTIONS / origin 1.1 none keep a:0 / - 1"},
	{HEAD("CONNECT a:443", ""), "CONNECT a:443 authority 1.1 none keep a:443  - 1"},
	{"CONNECT [::1]:1 HTTP/1.1\r\nHost: [::1]:1\r\n\r\n", "CONNECT [::1]:1 authority 1.1 none keep [::1]:1  - 1"},
	{HEAD("HEAD /", ""), "HEAD / origin 1.1 none keep a:0 / - 1"},
	{HEAD("get /", ""), "get / origin 1.1 none keep a:0 / - 1"},
	{HEAD("M-SEARCH /", ""), "M-SEARCH / origin 1.1 none keep a:0 / - 1"},
	{HEAD("!#$%&'*+-.^_`|~09 /", ""), "!#$%&'*+-.^_`|~09 / origin 1.1 none keep a:0 / - 1"},
	{HEAD("METHODMETHODMETHODMETHODMETHODME /", ""),
	 "METHODMETHODMETHODMETHODMETHODME / origin 1.1 none keep a:0 / - 1"},
	// Versions.
	{"GET / HTTP/1.0\r\n\r\n", "GET / origin 1.0 none close :0 / - 0"},
	{"GET / HTTP/1.0\r\nHost: a:8\r\n\r\n", "GET / origin 1.0 none close a:8 / - 1"},
	{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / origin 1.0 none keep :0 / - 1"},
	{"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET / origin 1.0 none close :0 / - 1"},
	{"GET / HTTP/1.0\r\nExpect: whatever\r\nContent-Length: 1\r\n\r\n", "GET / origin 1.0 length=1 close :0 / - 2"},
	{"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "GET / origin 1.0 none close :0 / - 2"},
	{"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "GET / origin 1.1 none keep a:0 / - 1"},
	{"GET / HTTP/1.9\r\nHost: a\r\n\r\n", "GET / origin 1.1 none keep a:0 / - 1"},
	// Host.
	{"GET / HTTP/1.1\r\nhOST:a.b.\r\n\r\n", "GET / origin 1.1 none keep a.b.:0 / - 1"},
	{"GET / HTTP/1.1\r\nHost: \t a:65535 \t \r\n\r\n", "GET / origin 1.1 none keep a:65535 / - 1"},
	{"GET / HTTP/1.1\r\nX: y\r\nHost: [2001:db8::1]\r\n\r\n", "GET / origin 1.1 none keep [2001:db8::1]:0 / - 2"},
	// Framing.
	{HEAD("GET /", "Content-Length: 0\r\n"), "GET / origin 1.1 length=0 keep a:0 / - 2"},
	{HEAD("DELETE /", "Content-Length: 007\r\n"), "DELETE / origin 1.1 length=7 keep a:0 / - 2"},
	{HEAD("POST /", "Content-Length: 9223372036854775807\r\n"),
	 "POST / origin 1.1 length=9223372036854775807 keep a:0 / - 2"},
	{HEAD("POST /", "Transfer-Encoding: chunked\r\n"), "POST / origin 1.1 chunked keep a:0 / - 2"},
	{HEAD("POST /", "transfer-encoding:\tCHUNKED \r\n"), "POST / origin 1.1 chunked keep a:0 / - 2"},
	{HEAD("POST /", "Connection: close\r\n"), "POST / origin 1.1 none close a:0 / - 2"},
	{HEAD("POST /", "Connection: a, CLOSE\r\n"), "POST / origin 1.1 none close a:0 / - 2"},
	{HEAD("POST /", "Connection: a\r\nConnection: close\r\n"), "POST / origin 1.1 none close a:0 / - 3"},
	{HEAD("POST /", "Connection: closed, keep-alive\r\n"), "POST / origin 1.1 none keep a:0 / - 2"},
	{HEAD("POST /", "Connection:\r\n"), "POST / origin 1.1 none keep a:0 / - 2"},
	// Expect and Upgrade.
	{HEAD("POST /", "Content-Length: 1\r\nExpect: 100-Continue\r\n"),
	 "POST / origin 1.1 length=1 keep+continue a:0 / - 3"},
	{HEAD("POST /", "Transfer-Encoding: chunked\r\nExpect: 100-continue, 100-continue\r\n"),
	 "POST / origin 1.1 chunked keep+continue a:0 / - 3"},
	{HEAD("POST /", "Content-Length: 0\r\nExpect: 100-continue\r\n"), "POST / origin 1.1 length=0 keep a:0 / - 3"},
	{HEAD("POST /", "Expect: 100-continue\r\n"), "POST / origin 1.1 none keep a:0 / - 2"},
	{HEAD("GET /", "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"),
	 "GET / origin 1.1 none keep+upgrade a:0 / - 3"},
	{"GET / HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\nHost: a\r\n\r\n",
	 "GET / origin 1.1 none keep+upgrade a:0 / - 3"},
	{"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\nHost: a\r\n\r\n",
	 "PUT / origin 1.1 length=1 keep+continue a:0 / - 3"},
	{HEAD("GET /", "Upgrade: websocket\r\n"), "GET / origin 1.1 none keep a:0 / - 2"},
	{HEAD("GET /", "Connection: Upgrade\r\n"), "GET / origin 1.1 none keep a:0 / - 2"},
	{HEAD("GET /", "Upgrade:\r\nConnection: Upgrade\r\n"), "GET / origin 1.1 none keep a:0 / - 3"},
	{HEAD("GET /", "Upgrade: h2c\r\nConnection: Upgrade\r\n"), "GET / origin 1.1 none keep a:0 / - 3"},
	{HEAD("GET /", "Upgrade: websocket, H2C\r\nConnection: Upgrade\r\n"), "GET / origin 1.1 none keep a:0 / - 3"},
	{HEAD("GET /", "Upgrade: HTTP/2.0\r\nConnection: Upgrade\r\n"), "GET / origin 1.1 none keep a:0 / - 3"},
	{HEAD("GET /", "Upgrade: tls/1.3\r\nConnection: Upgrade\r\n"), "GET / origin 1.1 none keep a:0 / - 3"},
	// Fields.
	{HEAD("GET /", "Empty:\r\nBlank: \t \r\nTabs:\ta\tb\t\r\nUtf8: \xc3\xa4\xff\r\n"),
	 "GET / origin 1.1 none keep a:0 / - 5"},
	{HEAD("GET /", "X: a:b: c\r\n!#$%&'*+-.^_`|~: 1\r\n"), "GET / origin 1.1 none keep a:0 / - 3"},
	{HEAD("GET /", "A: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\n"),
	 "GET / origin 1.1 none keep a:0 / - 10"},
};

static void test_good_requests(void **state)
{
	for (size_t i = 0; i < COUNT(good); i++) {
		struct outcome outcome = parse(slice_from_string(good[i].head), &limits);
		if (!outcome.accepted)
			print_error("%s: %s\n", good[i].head, outcome.fault.detail);
		assert_true(outcome.accepted);
		assert_string_equal(outcome.text, good[i].text);
	}
}

// A head that is cut short, or has a byte more, is no head.
static void test_parts_of_good_requests(void **state)
{
	for (size_t i = 0; i < COUNT(good); i++) {
		struct slice head = slice_from_string(good[i].head);
		char longer[512];
		for (size_t length = 0; length < head.length; length++) {
			struct outcome outcome = parse(slice_first(head, length), &limits);
			assert_false(outcome.accepted);
			assert_non_null(outcome.fault.detail);
			assert_string_equal(outcome.fault.step, "read request header");
		}
		int length = snprintf(longer, sizeof(longer), "%sx", good[i].head);
		struct outcome outcome = parse(slice_from(longer, (size_t)length), &limits);
		assert_false(outcome.accepted);
		assert_string_equal(outcome.fault.detail, "bytes after the empty line");
	}
}

#define REFUSED(kind, detail, head)                                                                                    \
	{                                                                                                              \
		FAULT_##kind, detail, BYTES(head)                                                                      \
	}

static const struct {
	enum fault_kind kind;
	const char *detail;
	struct slice head;
} bad[] = {
#define ROW(kind, detail, head) REFUSED(kind, detail, head),
#include "bad_requests.inc"
#undef ROW
};

static void test_bad_requests(void **state)
{
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct outcome outcome = parse(bad[i].head, &limits);
		if (outcome.accepted || outcome.fault.kind != bad[i].kind ||
		    strcmp(outcome.fault.detail, bad[i].detail) != 0)
			print_error("row %zu: %.*s\n%s\n", i, SLICE_ARGUMENTS(bad[i].head),
				    outcome.accepted ? outcome.text : outcome.fault.detail);
		assert_false(outcome.accepted);
		assert_int_equal(outcome.fault.kind, bad[i].kind);
		assert_string_equal(outcome.fault.detail, bad[i].detail);
		assert_string_equal(outcome.fault.step, "read request header");
	}
}

// Each byte put in each place of a head. Whatever is accepted has no byte in it that could
// end a line, or a string, for somebody else.
static void test_every_byte_everywhere(void **state)
{
	static const char head[] = "POST /p?q HTTP/1.1\r\nHost: a:8\r\nContent-Length: 12\r\n\r\n";
	char changed[sizeof(head)];
	size_t accepted = 0;
	for (size_t at = 0; at < sizeof(head) - 1; at++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			memcpy(changed, head, sizeof(head));
			changed[at] = (char)byte;
			if (!parse(slice_from(changed, sizeof(head) - 1), &limits).accepted)
				continue;
			accepted++;
			bool line_end = head[at] == '\r' || head[at] == '\n';
			assert_true(line_end ? changed[at] == head[at] : byte == '\t' || (byte >= ' ' && byte != 0x7f));
		}
	}
	assert_in_range(accepted, 1000, 5000);
}

static void test_limits(void **state)
{
	struct h1_limits small = {.fields = 1, .target_bytes = 4};
	struct outcome outcome = parse(SLICE(TARGET("/123")), &small);
	assert_true(outcome.accepted);
	outcome = parse(SLICE(TARGET("/1234")), &small);
	assert_int_equal(outcome.fault.kind, FAULT_TARGET_TOO_LONG);
	assert_string_equal(outcome.fault.setting, "limits.target");
	outcome = parse(SLICE(HEAD("GET /", "X: y\r\n")), &small);
	assert_int_equal(outcome.fault.kind, FAULT_HEADER_TOO_LARGE);
	assert_string_equal(outcome.fault.setting, "limits.fields");
	struct h1_limits two = {.fields = 2, .target_bytes = 4};
	outcome = parse(SLICE(HEAD("GET /", "Connection: a, b\r\n")), &two);
	assert_true(outcome.accepted);
	outcome = parse(SLICE(HEAD("GET /", "Connection: a, b, c\r\n")), &two);
	assert_int_equal(outcome.fault.kind, FAULT_HEADER_TOO_LARGE);
	assert_string_equal(outcome.fault.setting, "limits.fields");
}

static void test_without_memory(void **state)
{
	struct arena arena;
	struct request request;
	struct fault fault;
	arena_init(&arena, 1);
	assert_false(h1_parse_request(SLICE(TARGET("/")), &limits, &arena, &request, &fault));
	assert_int_equal(fault.kind, FAULT_OUT_OF_MEMORY);
	arena_fini(&arena);
}

static void test_fields_are_kept_in_order(void **state)
{
	struct arena arena;
	struct request request;
	struct fault fault;
	arena_init(&arena, TEST_ARENA_BYTES);
	assert_true(h1_parse_request(SLICE(HEAD("GET /", "b:  2 2\t\r\nA:\r\nCookie: c=d\r\n")), &limits, &arena,
				     &request, &fault));
	assert_int_equal(request.fields.count, 4);
	assert_slice(request.fields.items[1].name, "b");
	assert_slice(request.fields.items[1].value, "2 2");
	assert_int_equal(request.fields.items[1].id, FIELD_OTHER);
	assert_slice(request.fields.items[2].value, "");
	assert_int_equal(request.fields.items[3].id, FIELD_COOKIE);
	assert_slice(request.authority, "a");
	assert_int_equal(request.method, METHOD_GET);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_requests),
		cmocka_unit_test(test_parts_of_good_requests),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_every_byte_everywhere),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_fields_are_kept_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
