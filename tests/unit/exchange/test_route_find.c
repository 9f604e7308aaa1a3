// Which route a request takes: path, method, fields, query, client.
#include "stubs.h"

static const char config[] =
	"sites:\n"
	"  - host: a.example\n"
	"    routes:\n"
	"      - {path: /exact, answer: exact}\n"
	"      - {path: /api/, match: {method: [POST, PURGE]}, answer: write}\n"
	"      - {path: /api/, answer: api}\n"
	"      - {path: \"~ ^/item/([0-9]+)(/.*)?$\", answer: item}\n"
	"      - {path: \"~ [.]php$\", match: {method: GET}, answer: php}\n"
	"      - {path: /h, match: {header: {X-Beta: \"1\", Accept: \"~ ^text/\"}}, answer: both}\n"
	"      - {path: /h, match: {header: {X-Beta: [\"1\", \"2\"]}}, answer: beta}\n"
	"      - {path: /h, match: {header: {Cookie: \"*\"}}, answer: cookie}\n"
	"      - {path: /h, answer: none}\n"
	"      - {path: /q, match: {query: {a: \"1\", b: \"x y&z\"}}, answer: two}\n"
	"      - {path: /q, match: {query: {\"n me\": \"*\"}}, answer: named}\n"
	"      - {path: /q, match: {query: {r: \"~ ^[0-9]+$\"}}, answer: number}\n"
	"      - {path: /c, match: {client: [10.0.0.0/8, \"2001:db8::/32\"]}, answer: inside}\n"
	"      - {path: /c, answer: outside}\n"
	"      - {path: /caf\xc3\xa9/%7euser, answer: encoded}\n"
	"  - host: b.example\n"
	"    merge_slashes: true\n"
	"    routes: [{path: /x//y, answer: merged}]\n"
	"  - host: c.example\n"
	"    answer: rest\n"
	"    routes: [{path: \"~ ^(a+)+b$|^/(a+)+b$\", answer: slow}]\n";

static const struct {
	struct test_request request;
	const char *name; // NULL: no route
} rows[] = {
	{{.target = "/exact"}, "exact"},
	{{.target = "/exact?x"}, "exact"},
	{{.target = "/exact/"}, NULL},
	{{.target = "/x/../exact"}, "exact"},
	{{.target = "/%65xact"}, "exact"},
	{{.target = "/api/"}, "api"},
	{{.target = "/api"}, NULL},
	{{.target = "/apis"}, NULL},
	{{.method = "POST", .target = "/api/x"}, "write"},
	{{.method = "PURGE", .target = "/api/x"}, "write"},
	{{.method = "purge", .target = "/api/x"}, "api"},
	{{.method = "PURGER", .target = "/api/x"}, "api"},
	{{.method = "PUT", .target = "/api/x"}, "api"},
	{{.target = "/item/12"}, "item"},
	{{.target = "/item/12/x"}, "item"},
	{{.target = "/item/x"}, NULL},
	{{.target = "/x.php"}, "php"},
	{{.method = "POST", .target = "/x.php"}, NULL},
	{{.method = "HEAD", .target = "/x.php"}, NULL},
	{{.target = "/api/x.php"}, "api"},
	{{.target = "/h"}, "none"},
	{{.target = "/h", .fields = {{"X-Beta", "1"}}}, "beta"},
	{{.target = "/h", .fields = {{"x-beta", "2"}}}, "beta"},
	{{.target = "/h", .fields = {{"x-beta", "3"}}}, "none"},
	{{.target = "/h", .fields = {{"x-beta", "3"}, {"x-beta", "1"}}}, "beta"},
	{{.target = "/h", .fields = {{"x-beta", "1"}, {"accept", "text/html"}}}, "both"},
	{{.target = "/h", .fields = {{"x-beta", "1"}, {"accept", "image/png"}}}, "beta"},
	{{.target = "/h", .fields = {{"Cookie", ""}}}, "cookie"},
	{{.target = "/q?a=1&b=x+y%26z"}, "two"},
	{{.target = "/q?b=x%20y%26z&c&a=1"}, "two"},
	{{.target = "/q?a=1&b=x"}, NULL},
	{{.target = "/q?a=2&a=1&b=x+y%26z"}, "two"},
	{{.target = "/q?n+me"}, "named"},
	{{.target = "/q?n%20me=1"}, "named"},
	{{.target = "/q?x&%6e+me="}, "named"},
	{{.target = "/q?r=12"}, "number"},
	{{.target = "/q?r=1x"}, NULL},
	{{.target = "/q?r"}, NULL},
	{{.target = "/q"}, NULL},
	{{.target = "/q?"}, NULL},
	{{.target = "/c", .client = "10.200.0.1"}, "inside"},
	{{.target = "/c", .client = "2001:db8::9"}, "inside"},
	{{.target = "/c", .client = "192.0.2.9"}, "outside"},
	{{.target = "/caf%c3%a9/~user"}, "encoded"},
	{{.target = "/caf%C3%A9/%7Euser"}, "encoded"},
	{{.host = "b.example", .target = "/x/y"}, "merged"},
	{{.host = "B.example.", .target = "//x///y"}, "merged"},
	{{.host = "b.example", .target = "/x/y/"}, NULL},
	{{.host = "c.example", .target = "/anything"}, "rest"},
	{{.host = "c.example", .target = "/aaab"}, "slow"},
	{{.host = "c.example", .method = "OPTIONS", .target = "*"}, "rest"},
	{{.host = "d.example", .target = "/"}, NULL},
};

static void test_routes(void **state)
{
	struct snapshot *snapshot = test_load_good(config, &stub_registry);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct exchange exchange;
		const struct route *route = test_exchange_route(&exchange, snapshot, &rows[i].request);
		struct slice name = route ? stub_name(route) : SLICE("none at all");
		if (!slice_equal(name, slice_from_string(rows[i].name ? rows[i].name : "none at all")))
			fail_msg("row %zu: %s %s gave %.*s", i, rows[i].request.host, rows[i].request.target,
				 SLICE_ARGUMENTS(name));
		assert_false(exchange_failed(&exchange));
		test_exchange_end(&exchange);
	}
	snapshot_unref(snapshot);
}

static void test_captures(void **state)
{
	struct snapshot *snapshot = test_load_good(config, &stub_registry);
	struct exchange exchange;
	test_exchange_route(&exchange, snapshot, &(struct test_request){.target = "/item/12/x"});
	assert_slice(exchange.captures[0], "/item/12/x");
	assert_slice(exchange.captures[1], "12");
	assert_slice(exchange.captures[2], "/x");
	assert_int_equal(exchange.captures[3].length, 0);
	assert_int_equal(exchange.route->captures, 2);
	test_exchange_end(&exchange);
	test_exchange_route(&exchange, snapshot, &(struct test_request){.target = "/item/7"});
	assert_slice(exchange.captures[1], "7");
	assert_int_equal(exchange.captures[2].length, 0);
	test_exchange_end(&exchange);
	test_exchange_route(&exchange, snapshot, &(struct test_request){.target = "/exact"});
	assert_null(exchange.captures);
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

// A pattern that would take for ever is given up, and the request refused: it must not slip
// through to the next route.
static void test_gives_up(void **state)
{
	struct snapshot *snapshot = test_load_good(config, &stub_registry);
	struct exchange exchange;
	char target[64] = "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaacb";
	struct test_request request = {.host = "c.example", .target = target};
	assert_null(test_exchange_route(&exchange, snapshot, &request));
	assert_int_equal(exchange.transaction.fault.kind, FAULT_INTERNAL);
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

// Values longer than what is decoded on the stack.
static void test_long_parameter(void **state)
{
	struct snapshot *snapshot =
		test_load_good("routes: [{match: {query: {a: \"~ ^x+$\"}}, answer: x}]\n", &stub_registry);
	struct exchange exchange;
	char target[2048] = "/?a=";
	memset(target + 4, 'x', sizeof target - 5);
	target[sizeof target - 1] = '\0';
	assert_non_null(test_exchange_route(&exchange, snapshot, &(struct test_request){.target = target}));
	test_exchange_end(&exchange);
	memcpy(target + 1000, "%78", 3); // an x
	assert_non_null(test_exchange_route(&exchange, snapshot, &(struct test_request){.target = target}));
	test_exchange_end(&exchange);
	target[1000] = 'y';
	assert_null(test_exchange_route(&exchange, snapshot, &(struct test_request){.target = target}));
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

// Lookups take nothing from the heap, and nothing from the arena but for captures.
static void test_allocates_nothing(void **state)
{
	struct snapshot *snapshot = test_load_good(config, &stub_registry);
	struct test_request request = {.target = "/q?a=1&b=x+y%26z", .fields = {{"x-beta", "1"}}};
	struct exchange exchange;
	test_exchange_begin(&exchange, snapshot, &request);
	size_t before = exchange_arena(&exchange)->taken_bytes;
	assert_non_null(route_find(exchange.site, &exchange));
	assert_int_equal(exchange_arena(&exchange)->taken_bytes, before);
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

// What the log of a 404 or 421 can suggest.
static void test_nearest(void **state)
{
	struct snapshot *snapshot = test_load_good(config, &stub_registry);
	const struct site *a = site_find(snapshot, SLICE("a.example"));
	assert_ptr_equal(site_nearest(snapshot, SLICE("a.exmaple")), a);
	assert_null(site_nearest(snapshot, SLICE("something.else.entirely")));
	assert_slice(route_nearest(a, SLICE("/exakt"))->path_text, "/exact");
	assert_slice(route_nearest(a, SLICE("/api"))->path_text, "/api/");
	assert_null(route_nearest(a, SLICE("/wp-login.php")));
	struct exchange exchange;
	test_exchange_route(&exchange, snapshot, &(struct test_request){.target = "/exakt"});
	note_nearest_route(&exchange);
	assert_int_equal(exchange.trace.count, 1);
	assert_string_equal(exchange.trace.records[0].what, "nearest_route");
	test_exchange_end(&exchange);
	// Only so many searches a second.
	for (unsigned i = 0; i < 100; i++)
		(void)route_nearest(a, SLICE("/exakt"));
	assert_null(route_nearest(a, SLICE("/exakt")));
	snapshot_unref(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_captures),
		cmocka_unit_test(test_gives_up),
		cmocka_unit_test(test_long_parameter),
		cmocka_unit_test(test_allocates_nothing),
		cmocka_unit_test(test_nearest),
	};
	return cmocka_run_group_tests(tests, test_loop_begin, test_loop_end);
}
