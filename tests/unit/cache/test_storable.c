// RFC 9111 section 3.
#include "cache/freshness.h"
#include "cache/storable.h"
#include "support.h"

static struct arena arena;

static int begin(void **state)
{
	arena_init(&arena, 1 << 20);
	return 0;
}

static int end(void **state)
{
	arena_fini(&arena);
	return 0;
}

struct row {
	enum cache_verdict verdict;
	unsigned status;
	const char *request, *response;
};

static enum cache_verdict judge(enum method method, unsigned status, const char *request_lines,
				const char *response_lines, bool ignores_cookies)
{
	struct fields request = fields_of(&arena, request_lines), response = fields_of(&arena, response_lines);
	struct cache_directives request_says, response_says;
	enum cache_lifetime by;
	cache_directives_of_request(&request, &request_says);
	cache_directives_of_response(&response, &response_says);
	int64_t lifetime_s =
		cache_lifetime_s(status, &response, &response_says, 1700000000, &(struct cache_heuristic){0}, &by);
	return cache_may_store(&(struct cache_answer){
		.method = method,
		.status = status,
		.request = &request,
		.response = &response,
		.request_says = &request_says,
		.response_says = &response_says,
		.lifetime_s = lifetime_s,
		.ignores_cookies = ignores_cookies,
	});
}

static void each_rule_speaks(void **state)
{
	static const struct row rows[] = {
		{CACHE_MAY_STORE, 200, "", "Cache-Control: max-age=60"},
		{CACHE_MAY_STORE, 200, "", "ETag: \"a\""},
		{CACHE_MAY_STORE, 404, "", "Cache-Control: max-age=60"},
		{CACHE_MAY_STORE, 500, "", "Cache-Control: max-age=60"},
		{CACHE_MAY_STORE, 200, "", "Cache-Control: no-cache\nETag: \"a\""},
		{CACHE_STATUS, 500, "", "ETag: \"a\""},
		{CACHE_STATUS, 206, "", "Cache-Control: max-age=60"},
		{CACHE_STATUS, 304, "", "Cache-Control: max-age=60"},
		{CACHE_OF_NO_USE, 200, "", "X: y"},
		{CACHE_OF_NO_USE, 200, "", "Cache-Control: max-age=0"},
		{CACHE_REQUEST_NO_STORE, 200, "Cache-Control: no-store", "Cache-Control: max-age=60"},
		{CACHE_NO_STORE_SAID, 200, "", "Cache-Control: max-age=60, no-store"},
		// Section 5.2.2.3.
		{CACHE_MAY_STORE, 200, "", "Cache-Control: max-age=60, no-store, must-understand"},
		{CACHE_NOT_UNDERSTOOD, 299, "", "Cache-Control: max-age=60, must-understand"},
		{CACHE_PRIVATE_SAID, 200, "", "Cache-Control: max-age=60, private"},
		{CACHE_MAY_STORE, 200, "", "Cache-Control: max-age=60, private=\"X-Who\""},
		// Section 3.5.
		{CACHE_AUTHORIZATION, 200, "Authorization: Basic eA==", "Cache-Control: max-age=60"},
		{CACHE_MAY_STORE, 200, "Authorization: Basic eA==", "Cache-Control: max-age=60, public"},
		{CACHE_MAY_STORE, 200, "Authorization: Basic eA==", "Cache-Control: s-maxage=60"},
		{CACHE_MAY_STORE, 200, "Authorization: Basic eA==", "Cache-Control: max-age=60, must-revalidate"},
		{CACHE_SET_COOKIE, 200, "", "Cache-Control: max-age=60\nSet-Cookie: a=b"},
		{CACHE_VARY_ANY, 200, "", "Cache-Control: max-age=60\nVary: Accept, *"},
		{CACHE_MAY_STORE, 200, "", "Cache-Control: max-age=60\nVary: Accept"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		enum cache_verdict verdict =
			judge(METHOD_GET, rows[i].status, rows[i].request, rows[i].response, false);
		if (verdict != rows[i].verdict)
			fail_msg("%u %s: %s", rows[i].status, rows[i].response, cache_verdict_words(verdict));
	}
}

static void some_things_are_not_in_the_fields(void **state)
{
	static const char fresh[] = "Cache-Control: max-age=60\nSet-Cookie: a=b";
	assert_int_equal(judge(METHOD_GET, 200, "", fresh, true), CACHE_MAY_STORE);
	assert_int_equal(judge(METHOD_POST, 200, "", fresh, true), CACHE_METHOD);
	assert_int_equal(judge(METHOD_HEAD, 200, "", fresh, true), CACHE_METHOD);
}

static void each_verdict_has_words(void **state)
{
	for (int verdict = 0; verdict <= CACHE_OF_NO_USE; verdict++) {
		assert_true(strlen(cache_verdict_words((enum cache_verdict)verdict)) > 10);
		assert_true(strlen(cache_verdict_rule((enum cache_verdict)verdict)) > 5);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(each_rule_speaks),
		TEST(some_things_are_not_in_the_fields),
		TEST(each_verdict_has_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
