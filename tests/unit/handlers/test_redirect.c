// redirect: where clients are sent, and that no request can choose another site.
#include "support.h"

static const struct {
	const char *config;
	struct test_request request;
	unsigned status;
	const char *location;
} rows[] = {
	{"redirect: https://$host$uri", {.target = "/a/%7e?b=c"}, 302, "https://a.example/a/%7e?b=c"},
	{"redirect: https://$host$uri", {.host = "A.Example.", .target = "/"}, 302, "https://a.example/"},
	{"redirect: {to: \"https://b.example$path\", status: 301}",
	 {.target = "/a/../b?c"},
	 301,
	 "https://b.example/b"},
	{"redirect: {to: /new, status: 308}", {.target = "/x"}, 308, "/new"},
	{"redirect: {to: /new, status: 303}", {.target = "/x"}, 303, "/new"},
	{"redirect: {to: \"/new?from=$path\", status: 307}", {.target = "/x"}, 307, "/new?from=/x"},
	// A path stays on the site.
	{"redirect: $uri", {.target = "//evil.example/x"}, 302, "/evil.example/x"},
	{"redirect: $path", {.target = "///evil.example"}, 302, "/evil.example"},
	{"redirect: $uri", {.target = "/%5Cevil.example"}, 302, "/%5Cevil.example"},
	{"redirect: //b.example$uri", {.target = "/x"}, 302, "//b.example/x"},
	{"redirect: https://b.example/caf\xc3\xa9", {.target = "/"}, 302, "https://b.example/caf%C3%A9"},
	{"redirect: https://$host$uri", {.method = "OPTIONS", .target = "*"}, 302, "https://a.example/"},
	{"redirect: https://$host/$1", {.target = "/"}, 0, NULL},
};

static void test_locations(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[256];
		struct exchange exchange;
		snprintf(text, sizeof text, "%s\n", rows[i].config);
		if (!rows[i].location) {
			assert_refused(text, "stands for a group", &test_registry);
			continue;
		}
		struct snapshot *snapshot = test_load_good(text, &test_registry);
		test_serve(&exchange, snapshot, &rows[i].request);
		assert_int_equal(exchange_response(&exchange)->status, rows[i].status);
		assert_slice(test_response_field(&exchange, "Location"), rows[i].location);
		assert_slice(test_response_body(&exchange), "");
		test_exchange_end(&exchange);
		snapshot_unref(snapshot);
	}
}

static void test_captures(void **state)
{
	struct snapshot *snapshot = test_load_good(
		"routes: [{path: \"~ ^/blog/([0-9]+)/(.*)$\", redirect: \"https://blog.example/$2?y=$1\"}]\n",
		&test_registry);
	struct exchange exchange;
	test_serve(&exchange, snapshot, &(struct test_request){.target = "/blog/2026/hello?x"});
	assert_slice(test_response_field(&exchange, "Location"), "https://blog.example/hello?y=2026");
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

static void test_no_host(void **state)
{
	struct snapshot *snapshot = test_load_good("redirect: https://$host$uri\n", &test_registry);
	struct exchange exchange;
	test_exchange_route(&exchange, snapshot, &(struct test_request){.target = "/"});
	exchange.host = SLICE_EMPTY;
	exchange_next(&exchange);
	assert_int_equal(exchange.transaction.fault.kind, FAULT_BAD_HOST);
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

static void test_errors(void **state)
{
	static const char *const wrong[][2] = {
		{"redirect: b.example", "usher.yaml:1:11: expected a URL such as https://$host$uri"},
		{"redirect: \"https://b.example/a b\"", "a URL has no blanks"},
		{"redirect: {status: 301}", "\"to\""},
		{"redirect: {to: /x, status: 300}", "300"},
		{"redirect: https://$hots/", "\"$hots\" is not a variable here; did you mean \"host\"?"},
		{"redirect: /a\nrespond: 204", "both answer the request"},
	};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char text[256];
		snprintf(text, sizeof text, "%s\n", wrong[i][0]);
		assert_refused(text, wrong[i][1], &test_registry);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_locations),
		cmocka_unit_test(test_captures),
		cmocka_unit_test(test_no_host),
		cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, test_loop_begin, test_loop_end);
}
