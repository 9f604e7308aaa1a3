// headers: fields of requests and responses.
#include "support.h"

static void add_fields(struct exchange *exchange)
{
	struct fields *fields = &exchange_response(exchange)->fields;
	struct arena *arena = exchange_arena(exchange);
	assert_true(fields_add_name(fields, arena, SLICE("Server"), SLICE("origin")));
	assert_true(fields_add_name(fields, arena, SLICE("X-Powered-By"), SLICE("php")));
	assert_true(fields_add_name(fields, arena, SLICE("Set-Cookie"), SLICE("a=b")));
	exchange->path = SLICE("/changed");
}

static const char config[] = "server: true\n"
			     "headers:\n"
			     "  request:\n"
			     "    remove: [Cookie, x-old]\n"
			     "    set: {X-Path: $path, Accept: text/html, X-Two: [\"1\", \"2\"]}\n"
			     "    add: {X-Client: \"$client via $scheme\"}\n"
			     "  response:\n"
			     "    remove: [server, X-Powered-By]\n"
			     "    set: {X-From: $path, Cache-Control: no-store}\n"
			     "    add: {Set-Cookie: c=d}\n";

static const struct field *nth(const struct fields *fields, const char *name, unsigned n)
{
	for (uint32_t i = 0; i < fields->count; i++)
		if (slice_equal_nocase(fields->items[i].name, slice_from_string(name)) && n-- == 0)
			return &fields->items[i];
	return NULL;
}

static void test_changes(void **state)
{
	struct snapshot *snapshot = test_load_good(config, &test_registry);
	struct exchange exchange;
	struct test_request request = {
		.target = "/p?q",
		.fields = {{"cookie", "x"},
			   {"Cookie", "y"},
			   {"X-Old", "1"},
			   {"accept", "*/*"},
			   {"Accept", "x"},
			   {"X-Two", "0"}},
	};
	test_server.serve = add_fields;
	test_serve(&exchange, snapshot, &request);
	const struct fields *sent = &test_server.fields;
	assert_null(nth(sent, "Cookie", 0));
	assert_null(nth(sent, "X-Old", 0));
	assert_slice(nth(sent, "X-Path", 0)->value, "/p");
	assert_slice(nth(sent, "Accept", 0)->value, "text/html");
	assert_null(nth(sent, "Accept", 1));
	assert_int_equal(nth(sent, "Accept", 0)->id, FIELD_ACCEPT);
	assert_slice(nth(sent, "X-Two", 0)->value, "1");
	assert_slice(nth(sent, "X-Two", 1)->value, "2");
	assert_null(nth(sent, "X-Two", 2));
	assert_slice(nth(sent, "X-Client", 0)->value, "192.0.2.1 via http");
	const struct fields *got = &exchange_response(&exchange)->fields;
	assert_null(nth(got, "Server", 0));
	assert_null(nth(got, "X-Powered-By", 0));
	// As the route found it, not as it was rewritten below.
	assert_slice(nth(got, "X-From", 0)->value, "/p");
	assert_slice(nth(got, "Cache-Control", 0)->value, "no-store");
	assert_slice(nth(got, "Set-Cookie", 0)->value, "a=b");
	assert_slice(nth(got, "Set-Cookie", 1)->value, "c=d");
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
	test_server.serve = NULL;
}

static void break_down(struct exchange *exchange)
{
	exchange_fail(exchange, FAULT_CONNECT_REFUSED, "connect", NULL);
}

static void test_fault_is_left_alone(void **state)
{
	struct snapshot *snapshot = test_load_good(config, &test_registry);
	struct exchange exchange;
	test_server.serve = break_down;
	test_serve(&exchange, snapshot, &(struct test_request){.target = "/"});
	assert_null(nth(&exchange_response(&exchange)->fields, "X-From", 0));
	assert_int_equal(exchange.transaction.fault.kind, FAULT_CONNECT_REFUSED);
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
	test_server.serve = NULL;
}

static void test_line_breaks_go_nowhere(void **state)
{
	struct snapshot *snapshot = test_load_good(config, &test_registry);
	struct exchange exchange;
	memset(&test_server, 0, sizeof test_server);
	test_exchange_route(&exchange, snapshot, &(struct test_request){.target = "/"});
	exchange.path = SLICE("/a\r\nB: c");
	exchange_next(&exchange);
	assert_int_equal(exchange.transaction.fault.kind, FAULT_INTERNAL);
	assert_int_equal(test_server.calls, 0);
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

static void test_memory(void **state)
{
	struct snapshot *snapshot = test_load_good(config, &test_registry);
	bool succeeded = false;
	for (size_t room = 0; !succeeded; room += 16) {
		struct exchange exchange;
		assert_non_null(test_exchange_route(&exchange, snapshot, &(struct test_request){.target = "/"}));
		struct arena *arena = exchange_arena(&exchange);
		arena->limit_bytes = arena->taken_bytes + room;
		exchange_next(&exchange);
		succeeded = !exchange_failed(&exchange);
		if (!succeeded)
			assert_int_equal(exchange.transaction.fault.kind, FAULT_OUT_OF_MEMORY);
		test_exchange_end(&exchange);
	}
	assert_true(succeeded);
	snapshot_unref(snapshot);
}

static void test_errors(void **state)
{
	static const char *const wrong[][2] = {
		{"request: {set: {Content-Length: 1}}",
		 "Content-Length cannot be changed: it tells how long a message is"},
		{"request: {set: {transfer-encoding: x}}", "cannot be changed"},
		{"request: {remove: Connection}", "Connection cannot be changed: it is for one connection only"},
		{"request: {add: {Upgrade: x}}", "cannot be changed"},
		{"request: {set: {Host: x}}", "which host a server is asked for, `proxy` says"},
		{"request: {set: {TE: x}}", "cannot be changed"},
		{"response: {remove: Content-Length}", "cannot be changed"},
		{"response: {set: {Trailer: x}}", "cannot be changed"},
		{"response: {set: {X-Request-Id: x}}", "usher writes its own"},
		{"response: {set: {\"a b\": x}}", "usher.yaml:2:28: \"a b\" is no name of a field"},
		{"response: {set: {A: $nothing}}", "\"$nothing\" is not a variable here"},
		{"response: {set: {A: $1}}", "there is none here"},
		{"response: {set: {A: \"x\\r\\nB: y\"}}", "control characters"},
		{"response: {set: {A: \"x\\0y\"}}", NULL},
		{"reqest: {}", "unknown key \"reqest\""},
	};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char text[256];
		snprintf(text, sizeof text, "server: true\nheaders: {%s}\n", wrong[i][0]);
		assert_refused(text, wrong[i][1] ? wrong[i][1] : "usher.yaml:2:", &test_registry);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_fault_is_left_alone),
		cmocka_unit_test(test_line_breaks_go_nowhere),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, test_loop_begin, test_loop_end);
}
