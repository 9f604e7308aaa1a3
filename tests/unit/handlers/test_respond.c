// respond: fixed answers.
#include "support.h"

static const struct test_file files[] = {{"sorry.html", "<p>$host stays as it is</p>"},
					 {"robots.txt", "User-agent: *\n"},
					 {"data.bin", "x"},
					 {NULL, NULL}};

static const struct {
	const char *config;
	unsigned status;
	const char *type, *body;
} rows[] = {
	{"respond: 204", 204, "(none)", ""},
	{"respond: 200", 200, "(none)", ""},
	{"respond: {body: hello}", 200, "text/plain; charset=utf-8", "hello"},
	{"respond: {status: 418, body: teapot, type: text/x-tea}", 418, "text/x-tea", "teapot"},
	{"respond: {body: \"a\\nb\"}", 200, "text/plain; charset=utf-8", "a\nb"},
	{"respond: {body: \"$method $host $path $query $$\"}", 200, "text/plain; charset=utf-8",
	 "GET a.example /a'b x&y $"},
	{"respond: {type: text/html, body: \"<p>$path $query\"}", 200, "text/html", "<p>/a&#39;b x&amp;y"},
	{"respond: {type: application/json, body: '{\"p\":\"$path\"}'}", 200, "application/json", "{\"p\":\"/a'b\"}"},
	{"respond: {file: sorry.html, status: 503}", 503, "text/html; charset=utf-8", "<p>$host stays as it is</p>"},
	{"respond: {file: robots.txt}", 200, "text/plain; charset=utf-8", "User-agent: *\n"},
	{"respond: {file: data.bin}", 200, "application/octet-stream", "x"},
	{"respond: {file: data.bin, type: image/png}", 200, "image/png", "x"},
	{"respond: 403", 403, "text/plain; charset=utf-8",
	 "403 Forbidden\n\ncode: by_rule\nrequest: 0123456789abcdef\n"},
	{"respond: {status: 404, body: \"\"}", 404, "text/plain; charset=utf-8", ""},
};

static void test_answers(void **state)
{
	test_files = files;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[256];
		struct exchange exchange;
		snprintf(text, sizeof text, "%s\n", rows[i].config);
		struct snapshot *snapshot = test_load_good(text, &test_registry);
		test_serve(&exchange, snapshot, &(struct test_request){.target = "/a'b?x&y"});
		assert_int_equal(exchange_response(&exchange)->status, rows[i].status);
		assert_slice(test_response_field(&exchange, "Content-Type"), rows[i].type);
		assert_slice(test_response_body(&exchange), rows[i].body);
		test_exchange_end(&exchange);
		snapshot_unref(snapshot);
	}
	test_files = NULL;
}

static void test_errors(void **state)
{
	static const char *const wrong[][2] = {
		{"respond: 101", "usher.yaml:1:10:"},
		{"respond: {status: 600}", "usher.yaml:1:19:"},
		{"respond: {body: x, file: sorry.html}", "either \"body\" or \"file\""},
		{"respond: {status: 204, body: x}", "an answer with status 204 has no content"},
		{"respond: {status: 304, file: sorry.html}", "an answer with status 304 has no content"},
		{"respond: {body: x, type: nonsense}", "\"nonsense\" is no media type"},
		{"respond: {body: x, type: \"text/a\\r\\nb\"}", "is no media type"},
		{"respond: {body: $nothing}", "\"$nothing\" is not a variable here"},
		{"respond: {file: absent.html}", "absent.html"},
	};
	test_files = files;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char text[256];
		snprintf(text, sizeof text, "%s\n", wrong[i][0]);
		assert_refused(text, wrong[i][1], &test_registry);
	}
	test_files = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, test_loop_begin, test_loop_end);
}
