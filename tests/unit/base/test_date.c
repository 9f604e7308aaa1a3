#include "base/date.h"
#include "base/random.h"
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const int64_t EXAMPLE = 784111777; // Sun, 06 Nov 1994 08:49:37 GMT
static const int64_t LAST = INT64_C(253402300799);
static const int64_t FIRST = INT64_C(-62167219200);

static void formats_as_the_c_library_does(void **state)
{
	struct random random;
	random_seed(&random, 1);
	for (int i = 0; i < 100000; i++) {
		int64_t seconds = FIRST + (int64_t)random_below(&random, (uint64_t)(LAST - FIRST));
		if (i == 0)
			seconds = FIRST;
		if (i == 1)
			seconds = LAST;
		time_t when = seconds;
		struct tm tm;
		char expected[64], year[16];
		assert_non_null(gmtime_r(&when, &tm));
		// strftime does not pad years to four digits.
		snprintf(year, sizeof year, "%04d", tm.tm_year + 1900);
		char format[64];
		snprintf(format, sizeof format, "%%a, %%d %%b %s %%H:%%M:%%S GMT", year);
		assert_int_equal(strftime(expected, sizeof expected, format, &tm), DATE_HTTP_LENGTH);
		char date[DATE_HTTP_LENGTH];
		date_format_http(seconds, date);
		assert_memory_equal(date, expected, sizeof date);

		int64_t parsed;
		assert_true(date_parse_http(slice_from(date, sizeof date), 0, &parsed));
		assert_true(parsed == seconds);
	}
}

static void clamps(void **state)
{
	char date[DATE_HTTP_LENGTH];
	date_format_http(INT64_MAX, date);
	assert_memory_equal(date, "Fri, 31 Dec 9999 23:59:59 GMT", sizeof date);
	date_format_http(INT64_MIN, date);
	assert_memory_equal(date, "Sat, 01 Jan 0000 00:00:00 GMT", sizeof date);
}

static void caches(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct slice date = date_http(EXAMPLE + i / 2);
		assert_true(slice_equal(date, i < 2 ? SLICE("Sun, 06 Nov 1994 08:49:37 GMT")
						    : SLICE("Sun, 06 Nov 1994 08:49:38 GMT")));
	}
}

static void log_time_is_local(void **state)
{
	setenv("TZ", "XYZ+03:30", 1); // west of Greenwich
	tzset();
	assert_true(slice_equal(date_log(EXAMPLE), SLICE("06/Nov/1994:05:19:37 -0330")));
	setenv("TZ", "XYZ-05:45", 1);
	tzset();
	assert_true(slice_equal(date_log(EXAMPLE + 1), SLICE("06/Nov/1994:14:34:38 +0545")));
	assert_true(slice_equal(date_log(EXAMPLE + 1), SLICE("06/Nov/1994:14:34:38 +0545")));
	setenv("TZ", "UTC", 1);
	tzset();
	assert_true(slice_equal(date_log(EXAMPLE), SLICE("06/Nov/1994:08:49:37 +0000")));
}

static void rfc3339_has_milliseconds(void **state)
{
	char date[DATE_RFC3339_LENGTH];
	date_format_rfc3339(EXAMPLE * 1000000000 + 123999999, date);
	assert_memory_equal(date, "1994-11-06T08:49:37.123Z", sizeof date);
	date_format_rfc3339(-1, date);
	assert_memory_equal(date, "1969-12-31T23:59:59.999Z", sizeof date);
	date_format_rfc3339(0, date);
	assert_memory_equal(date, "1970-01-01T00:00:00.000Z", sizeof date);
}

static void parses_the_three_forms(void **state)
{
	int64_t parsed = 0;
	assert_true(date_parse_http(SLICE("Sun, 06 Nov 1994 08:49:37 GMT"), EXAMPLE, &parsed));
	assert_int_equal(parsed, EXAMPLE);
	parsed = 0;
	assert_true(date_parse_http(SLICE("Sunday, 06-Nov-94 08:49:37 GMT"), EXAMPLE, &parsed));
	assert_int_equal(parsed, EXAMPLE);
	parsed = 0;
	assert_true(date_parse_http(SLICE("Sun Nov  6 08:49:37 1994"), EXAMPLE, &parsed));
	assert_int_equal(parsed, EXAMPLE);
	assert_true(date_parse_http(SLICE("Sun Nov 16 08:49:37 1994"), EXAMPLE, &parsed));
	assert_int_equal(parsed, EXAMPLE + 10 * 86400);
	// A leap second counts as the next one.
	assert_true(date_parse_http(SLICE("Sat, 31 Dec 2016 23:59:60 GMT"), 0, &parsed));
	assert_int_equal(parsed, 1483228800);
	assert_true(date_parse_http(SLICE("Tue, 29 Feb 2000 00:00:00 GMT"), 0, &parsed));
	assert_int_equal(parsed, 951782400);
}

static void short_years_are_near(void **state)
{
	int64_t now, parsed, expected;
	assert_true(date_parse_http(SLICE("Mon, 23 Nov 2026 00:00:00 GMT"), 0, &now));
	assert_true(date_parse_http(SLICE("Monday, 01-Jan-76 00:00:00 GMT"), now, &parsed));
	assert_true(date_parse_http(SLICE("Wed, 01 Jan 2076 00:00:00 GMT"), 0, &expected));
	assert_true(parsed == expected);
	assert_true(date_parse_http(SLICE("Monday, 01-Jan-77 00:00:00 GMT"), now, &parsed));
	assert_true(date_parse_http(SLICE("Sat, 01 Jan 1977 00:00:00 GMT"), 0, &expected));
	assert_true(parsed == expected);
	// Just before a century's end, the next one's first years are near.
	assert_true(date_parse_http(SLICE("Thu, 23 Nov 2090 00:00:00 GMT"), 0, &now));
	assert_true(date_parse_http(SLICE("Monday, 01-Jan-10 00:00:00 GMT"), now, &parsed));
	assert_true(date_parse_http(SLICE("Wed, 01 Jan 2110 00:00:00 GMT"), 0, &expected));
	assert_true(parsed == expected);
}

static void refuses_the_rest(void **state)
{
	const char *const refused[] = {
		"",
		"Sun",
		"0",
		"-1",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 Nov 1994 08:49:37 GMT ",
		" Sun, 06 Nov 1994 08:49:37 GMT",
		"sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT",
		"Sun, 29 Feb 1900 08:49:37 GMT",
		"Sun, 29 Feb 1995 08:49:37 GMT",
		"Sun, 06 Nox 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:00:00 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, 06 Nov 94 08:49:37 GMT",
		"Sunday, 06-Nov-1994 08:49:37 GMT",
		"Sunday, 06 Nov 1994 08:49:37 GMT",
		"Sun Nov 6 08:49:37 1994",
		"Sun Nov  0 08:49:37 1994",
		"Sun Nov  6 08:49:37 1994 GMT",
	};
	int64_t parsed = 5;
	for (size_t i = 0; i < COUNT(refused); i++) {
		if (date_parse_http(slice_from_string(refused[i]), EXAMPLE, &parsed))
			fail_msg("taken for a date: %s", refused[i]);
	}
	assert_int_equal(parsed, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_as_the_c_library_does),
		cmocka_unit_test(clamps),
		cmocka_unit_test(caches),
		cmocka_unit_test(log_time_is_local),
		cmocka_unit_test(rfc3339_has_milliseconds),
		cmocka_unit_test(parses_the_three_forms),
		cmocka_unit_test(short_years_are_near),
		cmocka_unit_test(refuses_the_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
