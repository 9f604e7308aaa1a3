// usher's own answers: which type a visitor gets, what is in it, and what can replace it.
#include "exchange/error_page.h"
#include "stubs.h"

static const struct {
	const char *accept[2];
	enum page_type type;
} rows[] = {
	{{NULL}, PAGE_TEXT},
	{{""}, PAGE_TEXT},
	{{"*/*"}, PAGE_TEXT},
	{{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}, PAGE_HTML},
	{{"text/html"}, PAGE_HTML},
	{{"TEXT/HTML"}, PAGE_HTML},
	{{"text/*"}, PAGE_TEXT},
	{{"application/json"}, PAGE_JSON},
	{{"application/json, text/plain, */*"}, PAGE_JSON},
	{{"text/plain, application/json, */*"}, PAGE_TEXT},
	{{"application/problem+json"}, PAGE_JSON},
	{{"application/*"}, PAGE_JSON},
	{{"application/json;q=0.5, text/html;q=0.9"}, PAGE_HTML},
	{{"application/json;q=0.9, text/html;q=0.5"}, PAGE_JSON},
	{{"text/html;q=0.5, text/*;q=0.9"}, PAGE_TEXT},
	{{"text/html;q=0, */*"}, PAGE_TEXT},
	{{"text/plain;q=0, */*"}, PAGE_HTML},
	{{"text/plain;q=0, text/html;q=0, */*"}, PAGE_JSON},
	{{"text/html ; charset=utf-8 ; q=0.7 , text/plain;q=0.6"}, PAGE_HTML},
	{{"text/html;q=1.000, text/plain;q=0.999"}, PAGE_HTML},
	{{"text/html;q=2, application/json;q=0.1"}, PAGE_JSON},
	{{"text/html;q=x, application/json;q=0.1"}, PAGE_JSON},
	{{"text/html;q=1.001, application/json;q=0.1"}, PAGE_JSON},
	{{"text/html;q=0.1234, application/json;q=0.1"}, PAGE_JSON},
	{{"image/png"}, PAGE_TEXT},
	{{"nonsense, , ;q=1, /, text/, text"}, PAGE_TEXT},
	{{"image/png", "application/json"}, PAGE_JSON},
	{{"text/html;q=0.2", "application/json;q=0.3"}, PAGE_JSON},
};

static void test_accept(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena arena;
		struct fields fields = {0};
		arena_init(&arena, 1 << 20);
		for (size_t j = 0; j < 2 && rows[i].accept[j]; j++)
			assert_true(fields_add(&fields, &arena, FIELD_ACCEPT, slice_from_string(rows[i].accept[j])));
		if (page_type_accepted(&fields) != rows[i].type)
			fail_msg("%s", rows[i].accept[0]);
		arena_fini(&arena);
	}
}

static struct slice body_of(struct exchange *exchange)
{
	struct slice bytes;
	assert_int_equal(body_read(exchange_response(exchange)->body, &bytes), 0);
	return bytes;
}

static void begin(struct exchange *exchange, const struct snapshot *snapshot, const char *accept, const char *target)
{
	struct test_request request = {.target = target, .fields = {{"Accept", accept}}};
	test_exchange_route(exchange, snapshot, &request);
}

static void test_standard_pages(void **state)
{
	struct snapshot *snapshot = test_load_good("answer: x\n", &stub_registry);
	struct exchange exchange;
	struct fields *fields = &exchange_response(&exchange)->fields;

	begin(&exchange, snapshot, "*/*", "/");
	exchange_fail(&exchange, FAULT_CONNECT_REFUSED, "connect", "secret detail");
	error_page_fill(&exchange);
	assert_int_equal(exchange_response(&exchange)->status, 502);
	assert_slice(fields_value(fields, FIELD_CONTENT_TYPE), "text/plain; charset=utf-8");
	assert_slice(fields_value(fields, FIELD_CACHE_CONTROL), "no-store");
	assert_null(fields_find(fields, FIELD_RETRY_AFTER));
	assert_slice(body_of(&exchange), "502 Bad Gateway\n\ncode: connect_refused\nrequest: 0123456789abcdef\n");
	test_exchange_end(&exchange);

	begin(&exchange, snapshot, "application/json", "/");
	exchange.request_id = SLICE("a<b>\"");
	exchange_fail(&exchange, FAULT_NO_SERVER, "pick", NULL);
	error_page_fill(&exchange);
	assert_slice(fields_value(fields, FIELD_CONTENT_TYPE), "application/json");
	assert_slice(fields_value(fields, FIELD_RETRY_AFTER), "5");
	assert_slice(body_of(&exchange), "{\"status\":503,\"reason\":\"Service Unavailable\",\"code\":\"no_server\","
					 "\"request_id\":\"a<b>\\\"\"}\n");
	test_exchange_end(&exchange);

	begin(&exchange, snapshot, "text/html", "/");
	exchange.request_id = SLICE("a<b>&");
	error_page_answer(&exchange, 404, "by_rule");
	struct slice page = body_of(&exchange);
	assert_slice(fields_value(fields, FIELD_CONTENT_TYPE), "text/html; charset=utf-8");
	char *text = calloc(1, page.length + 1);
	assert_non_null(text);
	memcpy(text, page.data, page.length);
	assert_non_null(strstr(text, "<h1>404 Not Found</h1>"));
	assert_non_null(strstr(text, "<code>by_rule</code>"));
	assert_non_null(strstr(text, "a&lt;b&gt;&amp;"));
	assert_null(strstr(text, "a<b>"));
	assert_non_null(strstr(text, "<html lang=\"en\">"));
	free(text);
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

static const struct test_file files[] = {
	{"page.html", "<p>$status $code $unknown $5"},
	{"page.txt", "own $status $reason ($request_id)"},
	{"missing.html", "<p>nothing here"},
	{"site.html", "<p>site"},
	{"page.jpg", "x"},
	{NULL, NULL},
};

static const char replaced[] = "answer: x\n"
			       "error_pages: {html: page.html, text: page.txt, 404: missing.html}\n"
			       "sites:\n"
			       "  - host: a.example\n"
			       "    routes:\n"
			       "      - {path: /1, error_pages: {html: site.html}}\n"
			       "      - {}\n"
			       "  - {}\n";

static void expect_page(const struct snapshot *snapshot, const char *accept, const char *target, unsigned status,
			const char *expected)
{
	struct exchange exchange;
	begin(&exchange, snapshot, accept, target);
	error_page_answer(&exchange, status, "code");
	assert_slice(body_of(&exchange), expected);
	test_exchange_end(&exchange);
}

static void test_replaced_pages(void **state)
{
	test_files = files;
	struct snapshot *snapshot = test_load_good(replaced, &stub_registry);
	expect_page(snapshot, "text/html", "/", 502, "<p>502 code $unknown $5");
	expect_page(snapshot, "*/*", "/", 502, "own 502 Bad Gateway (0123456789abcdef)");
	expect_page(snapshot, "text/html", "/", 404, "<p>nothing here");
	expect_page(snapshot, "*/*", "/", 404, "own 404 Not Found (0123456789abcdef)");
	expect_page(snapshot, "text/html", "/1", 502, "<p>site");
	expect_page(snapshot, "text/html", "/1", 404, "<p>nothing here");
	expect_page(
		snapshot, "application/json", "/1", 404,
		"{\"status\":404,\"reason\":\"Not Found\",\"code\":\"code\",\"request_id\":\"0123456789abcdef\"}\n");
	snapshot_unref(snapshot);
	assert_refused("answer: x\nerror_pages: {404: page.jpg}\n",
		       "usher.yaml:2:20: expected a file that ends in .html, .json or .txt", &stub_registry);
	assert_refused("answer: x\nerror_pages: {html: absent.html}\n", "absent.html", &stub_registry);
	assert_refused("answer: x\nerror_pages: {200: page.html}\n", "unknown key \"200\"", &stub_registry);
	test_files = NULL;
}

// When memory is out, the status still goes out.
static void test_memory(void **state)
{
	struct snapshot *snapshot = test_load_good("answer: x\n", &stub_registry);
	struct exchange exchange;
	begin(&exchange, snapshot, "*/*", "/");
	struct arena *arena = exchange_arena(&exchange);
	for (size_t room = 0; room < 2048; room += 64) {
		exchange.transaction.fault = (struct fault){.kind = FAULT_OUT_OF_MEMORY};
		*exchange_response(&exchange) = (struct response){0};
		arena->limit_bytes = arena->taken_bytes + room;
		error_page_fill(&exchange);
		assert_true(exchange_response(&exchange)->status == 503 || exchange_response(&exchange)->status == 0);
		assert_int_equal(exchange.transaction.fault.kind, FAULT_OUT_OF_MEMORY);
	}
	assert_int_equal(exchange_response(&exchange)->status, 503);
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_standard_pages),
		cmocka_unit_test(test_replaced_pages),
		cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
