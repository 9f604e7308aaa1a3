// strip and rewrite: the target that a server gets.
#include "support.h"

static const struct {
	const char *config, *target, *sent;
} rows[] = {
	// Nothing rewritten: the client's bytes.
	{"strip: /api", "/x/%7euser/../%2F?a=%7e", "/x/%7euser/../%2F?a=%7e"},
	{"strip: /api", "/apis/x", "/apis/x"},
	{"rewrite: {match: ^/old, to: /new}", "/x/./y", "/x/./y"},
	// strip, at whole segments
	{"strip: /api", "/api/x", "/x"},
	{"strip: /api/", "/api/x", "/x"},
	{"strip: /api", "/api", "/"},
	{"strip: /api", "/api/", "/"},
	{"strip: /api", "/api?q", "/?q"},
	{"strip: /api", "/api/?", "/?"},
	{"strip: /api", "/api/x?y=%7E", "/x?y=%7E"},
	{"strip: /api", "/%61pi/%7Euser/../b%2fc", "/b%2Fc"},
	{"strip: /api", "/api//evil.example/x", "/evil.example/x"},
	{"strip: /", "/api/x", "/api/x"},
	{"strip: /caf\xc3\xa9", "/caf%c3%a9/x", "/x"},
	{"strip: /a/b", "/a/b/c", "/c"},
	// rewrite
	{"rewrite: /fixed", "/x?q", "/fixed?q"},
	{"rewrite: /fixed", "/x", "/fixed"},
	{"rewrite: /pre$path", "/x/y", "/pre/x/y"},
	{"rewrite: $path", "/x/../y%7E", "/y~"},
	{"rewrite: {match: \"^/old/(.*)\", to: /new/$1}", "/old/a/b?q=1", "/new/a/b?q=1"},
	{"rewrite: {match: \"^/old/(.*)\", to: \"/new?p=$1\"}", "/old/a/b?q=1", "/new?p=a/b"},
	{"rewrite: {match: \"^/old/(.*)\", to: \"/new?p=$1&$query\"}", "/old/a&x=1+2?q=1", "/new?p=a%26x%3D1%2B2&q=1"},
	{"rewrite: {to: \"/new?a=100%&b=%$host\"}", "/old", "/new?a=100%25&b=%25a.example"},
	{"rewrite: {to: \"/new?\"}", "/old?q=1", "/new?"},
	{"rewrite: {match: \"^/(.*)/(.*)$\", to: /$2/$1}", "/a/b", "/b/a"},
	// What is put together is normal again: no group can make a way out.
	{"rewrite: {match: \"^/(.*)x(.*)$\", to: /in/$1$2/y}", "/.x.", "/y"},
	{"rewrite: {match: \"^/(.*)$\", to: //$1}", "/evil", "/evil"},
	{"rewrite: {match: \"^/a(.*)$\", to: $1}", "/a//evil", "/evil"},
	{"rewrite: {match: \"^/a(.*)$\", to: $1}", "/ab", "/b"},
	{"rewrite: {match: \"^/a(.*)$\", to: $1}", "/a", "/"},
	{"rewrite: \"/a b/\xc3\xa9\"", "/x", "/a%20b/%C3%A9"},
	{"rewrite: /q/$query", "/x?a=b?c", "/q/a=b%3Fc?a=b?c"},
	{"rewrite: /$host/$method/$scheme/$client", "/x", "/a.example/GET/http/192.0.2.1"},
	// strip comes first
	{"strip: /api\nrewrite: /v2$path", "/api/x", "/v2/x"},
	{"rewrite: {match: \"^/api/(.*)\", to: /no/$1}\nstrip: /api", "/api/x", "/x"},
};

static void test_targets(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[512];
		struct exchange exchange;
		snprintf(text, sizeof text, "server: true\n%s\n", rows[i].config);
		struct snapshot *snapshot = test_load_good(text, &test_registry);
		test_serve(&exchange, snapshot, &(struct test_request){.target = rows[i].target});
		assert_int_equal(test_server.calls, 1);
		assert_slice(test_server.target, rows[i].sent);
		test_exchange_end(&exchange);
		snapshot_unref(snapshot);
	}
}

// Groups of the route's own path, where rewrite has no match of its own.
static void test_route_captures(void **state)
{
	struct snapshot *snapshot = test_load_good(
		"server: true\nroutes: [{path: \"~ ^/u/([a-z]+)$\", rewrite: /user/$1}]\n", &test_registry);
	struct exchange exchange;
	test_serve(&exchange, snapshot, &(struct test_request){.target = "/u/ann?x"});
	assert_slice(test_server.target, "/user/ann?x");
	assert_slice(test_server.path, "/user/ann");
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

static void test_asterisk(void **state)
{
	struct snapshot *snapshot = test_load_good("server: true\nrewrite: /x\nstrip: /y\n", &test_registry);
	struct exchange exchange;
	test_serve(&exchange, snapshot, &(struct test_request){.method = "OPTIONS", .target = "*"});
	assert_slice(test_server.target, "*");
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

static void test_gives_up(void **state)
{
	struct snapshot *snapshot =
		test_load_good("server: true\nrewrite: {match: \"^/(a+)+b$\", to: /x}\n", &test_registry);
	struct exchange exchange;
	test_serve(&exchange, snapshot, &(struct test_request){.target = "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaacb"});
	assert_int_equal(exchange.transaction.fault.kind, FAULT_INTERNAL);
	assert_int_equal(test_server.calls, 0);
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

static void test_memory(void **state)
{
	struct snapshot *snapshot = test_load_good("server: true\nstrip: /a\nrewrite: /x$path\n", &test_registry);
	bool succeeded = false;
	for (size_t room = 0; !succeeded; room += 8) {
		struct exchange exchange;
		memset(&test_server, 0, sizeof test_server);
		assert_non_null(test_exchange_route(&exchange, snapshot, &(struct test_request){.target = "/a/b?c"}));
		struct arena *arena = exchange_arena(&exchange);
		arena->limit_bytes = arena->taken_bytes + room;
		exchange_next(&exchange);
		succeeded = test_server.calls == 1;
		if (succeeded)
			assert_slice(test_server.target, "/x/b?c");
		else
			assert_int_equal(exchange.transaction.fault.kind, FAULT_OUT_OF_MEMORY);
		test_exchange_end(&exchange);
	}
	assert_true(succeeded);
	snapshot_unref(snapshot);
}

static void test_errors(void **state)
{
	static const char *const wrong[][2] = {
		{"strip: api", "usher.yaml:2:8: a path starts with"},
		{"strip: \"~ x\"", "expected the start of a path"},
		{"rewrite: new", "expected a path that starts with"},
		{"rewrite: {match: x}", "\"to\""},
		{"rewrite: {match: \"(\", to: /x}", "the regular expression \"(\" is wrong"},
		{"rewrite: {match: ^/x, to: /$1}", "there is none here"},
		{"rewrite: {match: \"^/(x)\", to: /$2}", "$2: the regular expression has only 1 group in parentheses"},
		{"rewrite: {match: \"^/(x)(y)\", to: \"/?$3\"}", "has only 2 groups"},
		{"rewrite: \"/a?b=%00\"", "a target cannot hold %00"},
		{"rewrite: /$uri", "$uri has the query in it"},
		{"rewrite: /$pth", "\"$pth\" is not a variable here; did you mean \"path\"?"},
		{"rewrite: \"/a\\nb\"", NULL}, // encoded, and harmless
	};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char text[256];
		snprintf(text, sizeof text, "server: true\n%s\n", wrong[i][0]);
		if (wrong[i][1])
			assert_refused(text, wrong[i][1], &test_registry);
		else
			snapshot_unref(test_load_good(text, &test_registry));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets),	 cmocka_unit_test(test_route_captures), cmocka_unit_test(test_asterisk),
		cmocka_unit_test(test_gives_up), cmocka_unit_test(test_memory),		cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, test_loop_begin, test_loop_end);
}
