// Time zones: of the system's tzdata, against the C library, one zone at a time; TZ texts; and files that are broken.
#include "base/time_zone.h"
#include "cmocka_all.h"
#include "fail_alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FILE_MAX = 64 * 1024 };

#define YEAR INT64_C(31556952)

static struct slice read_zone_file(const char *name, char room[FILE_MAX])
{
	char path[256];
	(void)snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t length = fread(room, 1, FILE_MAX, file);
	fclose(file);
	return slice_from(room, length);
}

static void compare(const struct time_zone *zone, const char *name, int64_t time_s)
{
	time_t when = (time_t)time_s;
	struct tm local;
	assert_non_null(localtime_r(&when, &local));
	if (time_zone_offset_s(zone, time_s) != local.tm_gmtoff)
		fail_msg("%s at %lld: %d, not %ld", name, (long long)time_s, time_zone_offset_s(zone, time_s),
			 local.tm_gmtoff);
}

// Around every change, and hourly steps of an odd length, far beyond those that are listed.
static void compare_all(const struct time_zone *zone, const char *name)
{
	assert_int_equal(setenv("TZ", name, 1), 0);
	tzset();
	for (size_t i = 0; i < zone->count; i++) {
		// The C library takes some changes of the 19th century for others.
		if (zone->times[i] < 0)
			continue;
		compare(zone, name, zone->times[i] - 1);
		compare(zone, name, zone->times[i]);
	}
	for (int64_t time_s = YEAR; time_s < 130 * YEAR; time_s += 86400 * 5 + 4567)
		compare(zone, name, time_s);
}

static void test_it_is_as_the_c_library_says(void **state)
{
	static const char *const names[] = {"Europe/Zurich",	"America/New_York",  "Australia/Lord_Howe",
					    "Asia/Kolkata",	"Africa/Casablanca", "America/Godthab",
					    "Europe/Dublin",	"Pacific/Chatham",   "UTC",
					    "America/Santiago", "Asia/Gaza",	     "Antarctica/Troll"};
	static char room[FILE_MAX];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct arena arena;
		struct time_zone zone;
		arena_init(&arena, 1 << 20);
		if (!time_zone_read(read_zone_file(names[i], room), &arena, &zone))
			fail_msg("%s", names[i]);
		compare_all(&zone, names[i]);
		arena_fini(&arena);
	}
}

static void test_texts(void **state)
{
	static const char *const texts[] = {
		"UTC0",
		"CET-1CEST,M3.5.0,M10.5.0/3",
		"EST5EDT,M3.2.0,M11.1.0",
		"<+0330>-3:30",
		"NZST-12NZDT,M9.5.0,M4.1.0/3",
		"<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
		"AAA3BBB,J60/0,J300",
		"IST-1GMT0,M10.5.0,M3.5.0/1",
		"AAA-4BBB-5:30:15,59/1:30,299/24",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct time_zone zone;
		if (!time_zone_parse(slice_from_string(texts[i]), &zone))
			fail_msg("%s", texts[i]);
		compare_all(&zone, texts[i]);
	}
}

static void test_what_is_no_text(void **state)
{
	static const char *const texts[] = {
		"",
		"C",
		"CET",
		"CET-",
		"CET-1CEST",
		"CET-1CEST,",
		"CET-1CEST,M3.5.0",
		"CET-1x",
		"<CET-1",
		"CET-1CEST,M13.5.0,M10.5.0",
		"CET-1CEST,M3.6.0,M10.5.0",
		"CET-1CEST,M3.5.7,M10.5.0",
		"CET-1CEST,J0,J10",
		"CET-1CEST,J1,366",
		"CET-1CEST,M3.5.0/168,M10.5.0",
		"CET-1:60",
		"CET-26",
		"CET-1CEST,M3.5.0,M10.5.0 ",
	};
	struct time_zone zone;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (time_zone_parse(slice_from_string(texts[i]), &zone))
			fail_msg("\"%s\" was taken", texts[i]);
}

// A copy of its own, so that what reads beyond it is found out.
static bool read_copy(struct slice content)
{
	struct arena arena;
	struct time_zone zone;
	char *copy = malloc(content.length + 1);
	assert_non_null(copy);
	memcpy(copy, content.data, content.length);
	arena_init(&arena, 1 << 20);
	bool good = time_zone_read(slice_from(copy, content.length), &arena, &zone);
	for (int64_t time_s = -300 * YEAR; good && time_s < 300 * YEAR; time_s += 10 * YEAR) {
		int32_t offset_s = time_zone_offset_s(&zone, time_s);
		assert_true(offset_s > -100000 && offset_s < 100000);
	}
	arena_fini(&arena);
	free(copy);
	return good;
}

static void test_what_was_cut_or_altered(void **state)
{
	static char room[FILE_MAX], altered[FILE_MAX];
	struct slice content = read_zone_file("Europe/Zurich", room);
	assert_true(read_copy(content));
	for (size_t length = 0; length < content.length; length++)
		if (read_copy(slice_first(content, length)))
			fail_msg("the first %zu bytes were taken", length);
	for (size_t at = 0; at < content.length; at++) {
		memcpy(altered, content.data, content.length);
		altered[at] = (char)(altered[at] ^ 0xff);
		(void)read_copy(slice_from(altered, content.length));
	}
}

static void test_zones_that_count_leap_seconds_are_refused(void **state)
{
	static char room[FILE_MAX];
	assert_false(read_copy(read_zone_file("right/Europe/Zurich", room)));
}

static void test_without_memory(void **state)
{
	static char room[FILE_MAX];
	struct slice content = read_zone_file("Europe/Zurich", room);
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		struct arena arena;
		struct time_zone zone;
		arena_init(&arena, 1 << 20);
		(void)time_zone_read(content, &arena, &zone);
		arena_fini(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_as_the_c_library_says),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_what_is_no_text),
		cmocka_unit_test(test_what_was_cut_or_altered),
		cmocka_unit_test(test_zones_that_count_leap_seconds_are_refused),
		cmocka_unit_test(test_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
