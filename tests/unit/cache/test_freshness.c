// RFC 9111 section 4.2.
#include "base/date.h"
#include "cache/freshness.h"
#include "support.h"

#include <stdlib.h>

enum { NOW = 1700000000, DAY = 24 * 3600 };

static struct arena arena;
static char text[512];

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

// "Date@-5" becomes a Date five seconds before now.
static struct fields response(const char *lines)
{
	size_t length = 0;
	for (const char *at = lines; *at; at++) {
		if (*at != '@') {
			text[length++] = *at;
			continue;
		}
		char *behind;
		long offset_s = strtol(at + 1, &behind, 10);
		memcpy(text + length, ": ", 2);
		date_format_http(NOW + offset_s, text + length + 2);
		length += 2 + DATE_HTTP_LENGTH;
		at = behind - 1;
	}
	text[length] = '\0';
	return fields_of(&arena, text);
}

static int64_t age(const char *lines, int64_t requested_s)
{
	struct fields fields = response(lines);
	return cache_initial_age_s(&fields, requested_s, NOW);
}

// Section 4.2.3.
static void age_is_the_larger_of_two(void **state)
{
	assert_int_equal(age("Date@0", NOW), 0);
	assert_int_equal(age("Date@-5", NOW), 5);
	assert_int_equal(age("Date@5", NOW), 0); // the server's clock is ahead
	assert_int_equal(age("Date@-5\nAge: 3", NOW - 1), 5);
	assert_int_equal(age("Date@-5\nAge: 30", NOW - 2), 32);
	assert_int_equal(age("Age: 30", NOW), 30);
	assert_int_equal(age("X: y", NOW - 4), 4);
	assert_int_equal(age("Date: yesterday\nAge: x", NOW), 0);
	assert_int_equal(age("Age: -1", NOW), 0);
	assert_int_equal(age("Age: 7, 100", NOW), 7);
	assert_int_equal(age("Age: 99999999999999999999", NOW), CACHE_SECONDS_MAX);
}

static int64_t lifetime(unsigned status, const char *lines, uint32_t percent, enum cache_lifetime *ret_by)
{
	struct fields fields = response(lines);
	struct cache_heuristic heuristic = {.percent = percent, .most_s = DAY};
	struct cache_directives says;
	cache_directives_of_response(&fields, &says);
	return cache_lifetime_s(status, &fields, &says, NOW, &heuristic, ret_by);
}

static void expect(int64_t seconds, enum cache_lifetime by, unsigned status, const char *lines, uint32_t percent)
{
	enum cache_lifetime found;
	int64_t found_s = lifetime(status, lines, percent, &found);
	if (found_s != seconds || found != by)
		fail_msg("%s: %lld s by %d", lines, (long long)found_s, (int)found);
}

// Section 4.2.1.
static void the_first_that_tells_counts(void **state)
{
	expect(1, CACHE_BY_S_MAXAGE, 200, "Cache-Control: max-age=2, s-maxage=1\nExpires@100", 10);
	expect(2, CACHE_BY_MAX_AGE, 200, "Cache-Control: max-age=2\nExpires@100\nDate@0", 10);
	expect(0, CACHE_BY_MAX_AGE, 200, "Cache-Control: max-age=x\nExpires@100", 10);
	expect(100, CACHE_BY_EXPIRES, 200, "Expires@100\nDate@0", 10);
	expect(110, CACHE_BY_EXPIRES, 200, "Expires@100\nDate@-10", 10);
	expect(100, CACHE_BY_EXPIRES, 200, "Expires@100", 10);
	expect(0, CACHE_BY_EXPIRES, 200, "Expires@-100\nDate@0", 10);
	expect(0, CACHE_BY_NOTHING, 200, "Date@0", 10);
	// RFC 9213: Expires is for others.
	expect(0, CACHE_BY_NOTHING, 200, "CDN-Cache-Control: public\nExpires@100", 0);
	expect(7, CACHE_BY_MAX_AGE, 200, "CDN-Cache-Control: max-age=7\nCache-Control: max-age=1", 0);
}

// Section 5.3.
static void what_is_no_date_has_expired(void **state)
{
	expect(0, CACHE_BY_EXPIRES, 200, "Expires: 0\nLast-Modified@-1000", 10);
	expect(0, CACHE_BY_EXPIRES, 200, "Expires: tomorrow", 10);
	expect(0, CACHE_BY_EXPIRES, 200, "Expires@100\nExpires@200", 10);
}

// Section 4.2.2.
static void guesses_only_where_it_may(void **state)
{
	expect(100, CACHE_BY_HEURISTIC, 200, "Last-Modified@-1000\nDate@0", 10);
	expect(DAY, CACHE_BY_HEURISTIC, 200, "Last-Modified@-100000000\nDate@0", 10);
	expect(0, CACHE_BY_NOTHING, 200, "Last-Modified@-1000\nDate@0", 0);
	expect(0, CACHE_BY_NOTHING, 200, "Last-Modified@1000\nDate@0", 10);
	expect(0, CACHE_BY_NOTHING, 200, "Last-Modified: x", 10);
	expect(0, CACHE_BY_NOTHING, 500, "Last-Modified@-1000\nDate@0", 10);
	expect(100, CACHE_BY_HEURISTIC, 500, "Cache-Control: public\nLast-Modified@-1000\nDate@0", 10);
	expect(100, CACHE_BY_HEURISTIC, 404, "Last-Modified@-1000\nDate@0", 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(age_is_the_larger_of_two),
		TEST(the_first_that_tells_counts),
		TEST(what_is_no_date_has_expired),
		TEST(guesses_only_where_it_may),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
