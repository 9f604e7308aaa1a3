// RFC 9111 section 5.2, RFC 5861, RFC 8246, RFC 9213.
#include "cache/directives.h"
#include "support.h"

#include <stdio.h>

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

static struct cache_directives response(const char *lines)
{
	struct fields fields = fields_of(&arena, lines);
	struct cache_directives directives;
	cache_directives_of_response(&fields, &directives);
	return directives;
}

static struct cache_directives request(const char *lines)
{
	struct fields fields = fields_of(&arena, lines);
	struct cache_directives directives;
	cache_directives_of_request(&fields, &directives);
	return directives;
}

static void reads_what_is_said(void **state)
{
	struct cache_directives says =
		response("Cache-Control: public, max-age=60,S-MAXAGE=\"30\" , must-revalidate\n"
			 "Cache-Control: stale-while-revalidate=5, stale-if-error=7, immutable, proxy-revalidate");
	assert_int_equal(says.flags, CACHE_PUBLIC | CACHE_MUST_REVALIDATE | CACHE_IMMUTABLE | CACHE_PROXY_REVALIDATE);
	assert_int_equal(says.max_age, 60);
	assert_int_equal(says.s_maxage, 30);
	assert_int_equal(says.stale_while_revalidate, 5);
	assert_int_equal(says.stale_if_error, 7);
	assert_int_equal(says.min_fresh, CACHE_ABSENT);
	assert_false(says.targeted);
	says = response("");
	assert_int_equal(says.flags, 0);
	assert_int_equal(says.max_age, CACHE_ABSENT);
}

// Section 5.2.3: what is unknown is passed over, whatever its argument.
static void passes_over_what_it_does_not_know(void **state)
{
	struct cache_directives says = response(
		"Cache-Control: a, b=c, d=\"e, no-store\", f=\"g\\\", private\" x, =1, ,max-age=5, no-storage");
	assert_int_equal(says.flags, 0);
	assert_int_equal(says.max_age, 5);
}

// Section 1.2.2, and section 4.2.1: what is no number makes stale.
static void seconds_are_bounded(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} rows[] = {
		{"0", 0},
		{"007", 7},
		{"2147483647", 2147483647},
		{"2147483648", CACHE_SECONDS_MAX},
		{"99999999999999999999999999", CACHE_SECONDS_MAX},
		{"-1", 0},
		{"1.5", 0},
		{"+1", 0},
		{"a", 0},
		{"", 0},
		{"\"60\"", 60},
		{"1 2", 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char line[128];
		snprintf(line, sizeof line, "Cache-Control: max-age=%s", rows[i].text);
		assert_int_equal(response(line).max_age, rows[i].seconds);
	}
	assert_int_equal(response("Cache-Control: max-age").max_age, 0);
}

// Section 4.2.1: the most restrictive of those that contradict each other.
static void the_stricter_counts(void **state)
{
	assert_int_equal(response("Cache-Control: max-age=60, max-age=5, max-age=30").max_age, 5);
	assert_int_equal(response("Cache-Control: max-age=60\nCache-Control: max-age=x").max_age, 0);
	assert_int_equal(request("Cache-Control: min-fresh=5, min-fresh=60").min_fresh, 60);
	assert_int_equal(request("Cache-Control: max-stale=60, max-stale").max_stale, 60);
	assert_int_equal(request("Cache-Control: max-stale").max_stale, CACHE_SECONDS_MAX);
	assert_true(cache_says(&(struct cache_directives){.flags = CACHE_MAX_STALE}, CACHE_MAX_STALE));
}

// Sections 5.2.2.4 and 5.2.2.7.
static void some_concern_fields_alone(void **state)
{
	struct cache_directives says = response("Cache-Control: no-cache=\"Set-Cookie, X-A\", private=\"X-B\"");
	assert_int_equal(says.flags, 0);
	assert_true(cache_names_field(says.no_cache_fields, SLICE("set-cookie")));
	assert_true(cache_names_field(says.no_cache_fields, SLICE("X-A")));
	assert_false(cache_names_field(says.no_cache_fields, SLICE("X-B")));
	assert_true(cache_names_field(says.private_fields, SLICE("x-b")));
	// Said of some and of all, it holds for all; said twice of some, too.
	static const char *const whole[] = {
		"Cache-Control: no-cache=\"X-A\", no-cache", "Cache-Control: no-cache, no-cache=\"X-A\"",
		"Cache-Control: no-cache=\"X-A\", no-cache=\"X-B\"", "Cache-Control: no-cache=\"\""};
	for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
		says = response(whole[i]);
		assert_true(cache_says(&says, CACHE_NO_CACHE));
		assert_null(says.no_cache_fields.data);
	}
}

// Section 5.4.
static void pragma_counts_where_nothing_else_is_said(void **state)
{
	struct cache_directives says = request("Pragma: no-cache");
	assert_true(cache_says(&says, CACHE_NO_CACHE));
	says = request("Pragma: no-cache\nCache-Control: max-age=1");
	assert_false(cache_says(&says, CACHE_NO_CACHE));
	says = response("Pragma: no-cache");
	assert_int_equal(says.flags, 0);
}

// RFC 9213 section 2.
static void what_is_said_to_cdns_rules(void **state)
{
	struct cache_directives says = response("Cache-Control: no-store\nCDN-Cache-Control: max-age=60, public");
	assert_true(says.targeted);
	assert_int_equal(says.flags, CACHE_PUBLIC);
	assert_int_equal(says.max_age, 60);
	// Malformed or empty: as if it were not there.
	static const char *const none[] = {"CDN-Cache-Control: max-age=60,", "CDN-Cache-Control: Max-Age=60",
					   "CDN-Cache-Control: max-age=\"60",
					   "CDN-Cache-Control:", "CDN-Cache-Control: max-age=60\nCDN-Cache-Control: ,"};
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		char lines[256];
		snprintf(lines, sizeof lines, "Cache-Control: no-store\n%s", none[i]);
		says = response(lines);
		assert_false(says.targeted);
		assert_int_equal(says.flags, CACHE_NO_STORE);
	}
	// A value of another type leaves its directive out.
	says = response("CDN-Cache-Control: max-age=1.5, s-maxage=\"7\", no-store=?0, private;a=b, x=(1 2);q");
	assert_true(says.targeted);
	assert_int_equal(says.max_age, CACHE_ABSENT);
	assert_int_equal(says.s_maxage, CACHE_ABSENT);
	assert_int_equal(says.flags, CACHE_PRIVATE);
}

// W3C Note "Edge Architecture Specification", section 2.3.
static void what_is_said_to_surrogates_rules_without_that(void **state)
{
	struct cache_directives says =
		response("Cache-Control: no-store\nSurrogate-Control: foo, MAX-age = 60+30;usher");
	assert_true(says.targeted);
	assert_int_equal(says.flags, 0);
	assert_int_equal(says.max_age, 60);
	assert_int_equal(says.stale_while_revalidate, 30);
	says = response("Cache-Control: max-age=60\nSurrogate-Control: no-store");
	assert_int_equal(says.flags, CACHE_NO_STORE);
	says = response("Surrogate-Control: max-age=60\nCDN-Cache-Control: max-age=5");
	assert_int_equal(says.max_age, 5);
	says = response("Surrogate-Control: max-age=x");
	assert_int_equal(says.max_age, 0);
	// For others, or of other things than storing: as if it were not there.
	static const char *const none[] = {"max-age=60;other", "no-store;other", "content=\"ESI/1.0\"", "", "max-age"};
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		char lines[256];
		snprintf(lines, sizeof lines, "Cache-Control: max-age=7\nSurrogate-Control: %s", none[i]);
		says = response(lines);
		assert_false(says.targeted);
		assert_int_equal(says.max_age, 7);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(reads_what_is_said),	  TEST(passes_over_what_it_does_not_know),
		TEST(seconds_are_bounded),	  TEST(the_stricter_counts),
		TEST(some_concern_fields_alone),  TEST(pragma_counts_where_nothing_else_is_said),
		TEST(what_is_said_to_cdns_rules), TEST(what_is_said_to_surrogates_rules_without_that),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
