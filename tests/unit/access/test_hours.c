// Hours of the week under a clock of the test's own.
#include "access/hours.h"
#include "cmocka_all.h"

static const struct time_zone utc = {0};

// 2024-01-01 was a Monday. day from 1 on.
static int64_t at(int day, int hour, int minute)
{
	return INT64_C(1704067200) + ((day - 1) * 24 + hour) * 3600 + minute * 60;
}

static struct hours hours_of(const char *text)
{
	struct hours hours = {0};
	const char *why = hours_add(&hours, slice_from_string(text));
	if (why)
		fail_msg("\"%s\" %s", text, why);
	return hours;
}

static bool have(const char *text, int64_t time_s)
{
	struct hours hours = hours_of(text);
	return hours_have(&hours, &utc, time_s);
}

static unsigned minutes_of(const char *text)
{
	struct hours hours = hours_of(text);
	unsigned count = 0;
	for (unsigned i = 0; i < HOURS_MINUTES; i++)
		count += hours_have(&hours, &utc, at(1, 0, (int)i));
	return count;
}

static void test_working_hours(void **state)
{
	static const char text[] = "Mon-Fri 08:00-18:00";
	for (int day = 1; day <= 7; day++) {
		bool works = day <= 5;
		assert_false(have(text, at(day, 7, 59)));
		assert_false(have(text, at(day, 8, 0) - 1));
		assert_int_equal(have(text, at(day, 8, 0)), works);
		assert_int_equal(have(text, at(day, 18, 0) - 1), works);
		assert_false(have(text, at(day, 18, 0)));
	}
	assert_int_equal(minutes_of(text), 5 * 600);
}

static void test_how_much_they_are(void **state)
{
	static const struct {
		const char *text;
		unsigned minutes;
	} cases[] = {
		{"00:00-24:00", HOURS_MINUTES}, {"Mon-Sun 00:00-24:00", HOURS_MINUTES},
		{"Sun 00:00-24:00", 1440},	{"sat,SUN 10:00-16:00", 720},
		{"Sat-Mon 10:00-11:00", 180},	{"Mon,Wed-Thu,Sun 10:00-10:01", 4},
		{"Mon, Wed 10:00-10:01", 2},	{"  Fri   10:00-11:00 ", 60},
		{"Mon-Mon 10:00-11:00", 60},	{"22:00-06:00", 7 * 480},
		{"22:00-00:00", 7 * 120},	{"Tue 23:59-00:01", 2},
		{"Tue 00:01-00:00", 1439},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (minutes_of(cases[i].text) != cases[i].minutes)
			fail_msg("\"%s\" has %u minutes", cases[i].text, minutes_of(cases[i].text));
}

// They belong to the day that they begin on.
static void test_over_midnight(void **state)
{
	static const char text[] = "Fri,Sun 22:00-06:00";
	assert_false(have(text, at(5, 5, 0)));
	assert_true(have(text, at(5, 22, 0)));
	assert_true(have(text, at(6, 5, 59)));
	assert_false(have(text, at(6, 6, 0)));
	assert_false(have(text, at(6, 22, 0)));
	assert_true(have(text, at(7, 23, 0)));
	assert_true(have(text, at(8, 5, 59))); // Monday
	assert_true(have(text, at(1, 5, 59)));
	assert_false(have(text, at(1, 6, 0)));
}

static void test_long_ago(void **state)
{
	assert_true(have("Wed 23:59-24:00", -1)); // 1970 began on a Thursday
	assert_true(have("Thu 00:00-00:01", 0));
	assert_true(have("Thu 00:00-00:01", INT64_C(-7) * 86400));
}

static void test_several_are_all_of_them(void **state)
{
	struct hours hours = hours_of("Mon-Fri 08:00-12:00");
	assert_null(hours_add(&hours, SLICE("Mon-Fri 13:00-18:00")));
	assert_true(hours_have(&hours, &utc, at(2, 11, 59)));
	assert_false(hours_have(&hours, &utc, at(2, 12, 30)));
	assert_true(hours_have(&hours, &utc, at(2, 13, 0)));
}

// Zurich goes to summer time on 2024-03-31 at 01:00 UTC, when 02:00 becomes 03:00, and back on 2024-10-27, when 03:00
// becomes 02:00.
static void test_when_clocks_change(void **state)
{
	struct time_zone zurich;
	assert_true(time_zone_parse(SLICE("CET-1CEST,M3.5.0,M10.5.0/3"), &zurich));
	struct hours night = hours_of("Sun 02:00-03:00"), day = hours_of("08:00-18:00");
	int64_t spring = INT64_C(1711846800), autumn = INT64_C(1729990800);
	for (int64_t time_s = spring - 7200; time_s < spring + 7200; time_s += 60)
		assert_false(hours_have(&night, &zurich, time_s));
	unsigned twice = 0;
	for (int64_t time_s = autumn - 7200; time_s < autumn + 7200; time_s += 60)
		twice += hours_have(&night, &zurich, time_s);
	assert_int_equal(twice, 120);
	// 08:00 is 07:00 UTC in winter, 06:00 in summer.
	int64_t winter = at(10, 0, 0), summer = at(190, 0, 0);
	assert_false(hours_have(&day, &zurich, winter + 7 * 3600 - 1));
	assert_true(hours_have(&day, &zurich, winter + 7 * 3600));
	assert_false(hours_have(&day, &zurich, winter + 17 * 3600));
	assert_false(hours_have(&day, &zurich, summer + 6 * 3600 - 1));
	assert_true(hours_have(&day, &zurich, summer + 6 * 3600));
	assert_false(hours_have(&day, &zurich, summer + 16 * 3600));
}

static void test_what_is_none(void **state)
{
	static const char *const wrong[] = {
		"",
		"Mon-Fri",
		"Mon-Fri 8:00-18:00",
		"Mon-Fri 08:00",
		"Mon-Fri 08:00-",
		"Mon-Fri 08:00-18:60",
		"Mon-Fri 08:00-24:01",
		"Mon-Fri 24:00-08:00",
		"Mon-Fri 08:00-08:00",
		"Mon-Fri 00:00-00:00",
		"Mon-Fri 08.00-18.00",
		"Mon-Fri 0800-1800",
		"Mon-Fri 08:00 - 18:00",
		"Mon-Fri 08:00-18:00:00",
		"Mo-Fr 08:00-18:00",
		"Monday 08:00-18:00",
		"Mon-Fir 08:00-18:00",
		"Mon- 08:00-18:00",
		"-Mon 08:00-18:00",
		"Mon,,Tue 08:00-18:00",
		"Mon-Tue-Wed 08:00-18:00",
		", 08:00-18:00",
		"Mon 08:00-18:00 Tue",
		"08:00-18:00 Mon",
		"Mon\t08:00-18:00",
		"-8:00-18:00",
		"08:00-1a:00",
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct hours hours = {0};
		if (!hours_add(&hours, slice_from_string(wrong[i])))
			fail_msg("\"%s\" was taken", wrong[i]);
		for (size_t j = 0; j < sizeof hours.minutes; j++)
			assert_int_equal(hours.minutes[j], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_working_hours),
		cmocka_unit_test(test_how_much_they_are),
		cmocka_unit_test(test_over_midnight),
		cmocka_unit_test(test_long_ago),
		cmocka_unit_test(test_several_are_all_of_them),
		cmocka_unit_test(test_when_clocks_change),
		cmocka_unit_test(test_what_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
