// RFC 9110 section 14, and section 13.1.5.
#include "base/date.h"
#include "cache/range.h"
#include "support.h"

#include <stdio.h>

// Section 14.4.
static void reads_content_ranges(void **state)
{
	static const struct {
		const char *value;
		bool good;
		struct cache_run run;
	} rows[] = {
		{"bytes 0-0/1", true, {0, 1, 1}},
		{"bytes 5-9/10", true, {5, 5, 10}},
		{"BYTES 0-9/10", true, {0, 10, 10}},
		{"bytes 5-10/10", false, {0}},
		{"bytes 9-5/10", false, {0}},
		{"bytes */10", false, {0}},
		{"bytes 0-9/*", false, {0}},
		{"bytes 0-9/0", false, {0}},
		{"bytes=0-9/10", false, {0}},
		{"lines 0-9/10", false, {0}},
		{"bytes -9/10", false, {0}},
		{"bytes 0-/10", false, {0}},
		{"bytes 0-9/", false, {0}},
		{"bytes 0-9", false, {0}},
		{"bytes 0-9/10, 10-11/12", false, {0}},
		{"bytes 0-18446744073709551615/18446744073709551616", false, {0}},
		{"", false, {0}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct cache_run run = {0};
		bool good = cache_run_read(slice_from_string(rows[i].value), &run);
		if (good != rows[i].good || run.from != rows[i].run.from || run.length != rows[i].run.length ||
		    run.total != rows[i].run.total)
			fail_msg("%s", rows[i].value);
	}
}

static void knows_single_ranges(void **state)
{
	(void)state;
	static const char *const single[] = {"bytes=0-1", "bytes=5-", "bytes=-5", "bytes=0-1,"};
	static const char *const others[] = {"bytes=0-1,5-6", "bytes=", "lines=0-1", "bytes=5-1", "bytes=x-", ""};
	for (size_t i = 0; i < sizeof single / sizeof single[0]; i++)
		assert_true(cache_range_is_single(slice_from_string(single[i])));
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(cache_range_is_single(slice_from_string(others[i])));
}

static void reads_ranges(void **state)
{
	static const struct {
		const char *value;
		uint64_t size;
		enum cache_range result;
		uint64_t from, length;
	} rows[] = {
		{"bytes=0-0", 10, CACHE_RANGE_PARTS, 0, 1},
		{"bytes=0-", 10, CACHE_RANGE_PARTS, 0, 10},
		{"bytes=3-5", 10, CACHE_RANGE_PARTS, 3, 3},
		{"bytes=3-500", 10, CACHE_RANGE_PARTS, 3, 7},
		{"bytes=9-9", 10, CACHE_RANGE_PARTS, 9, 1},
		{"bytes=-1", 10, CACHE_RANGE_PARTS, 9, 1},
		{"bytes=-500", 10, CACHE_RANGE_PARTS, 0, 10},
		{"BYTES=1-2", 10, CACHE_RANGE_PARTS, 1, 2},
		{"bytes= , 1-2", 10, CACHE_RANGE_PARTS, 1, 2},
		{"bytes=1-99999999999999999999999", 10, CACHE_RANGE_PARTS, 1, 9},
		{"bytes=-99999999999999999999999", 10, CACHE_RANGE_PARTS, 0, 10},
		// One of several that is there.
		{"bytes=100-, 2-3", 10, CACHE_RANGE_PARTS, 2, 2},
		{"bytes=10-", 10, CACHE_RANGE_UNSATISFIABLE, 0, 0},
		{"bytes=10-20,-0", 10, CACHE_RANGE_UNSATISFIABLE, 0, 0},
		{"bytes=0-", 0, CACHE_RANGE_UNSATISFIABLE, 0, 0},
		{"bytes=-5", 0, CACHE_RANGE_UNSATISFIABLE, 0, 0},
		{"bytes=99999999999999999999-", 10, CACHE_RANGE_UNSATISFIABLE, 0, 0},
		// What is malformed, of another unit, or overlaps.
		{"bytes=0-3,3-4", 10, CACHE_RANGE_WHOLE, 0, 0},
		{"bytes=3-4,0-", 10, CACHE_RANGE_WHOLE, 0, 0},
		{"bytes=0-0,0-0", 10, CACHE_RANGE_WHOLE, 0, 0},
		{"bytes=5-3", 10, CACHE_RANGE_WHOLE, 0, 0},
		{"bytes=-", 10, CACHE_RANGE_WHOLE, 0, 0},
		{"bytes=", 10, CACHE_RANGE_WHOLE, 0, 0},
		{"bytes", 10, CACHE_RANGE_WHOLE, 0, 0},
		{"bytes=a-b", 10, CACHE_RANGE_WHOLE, 0, 0},
		{"bytes=1 -2", 10, CACHE_RANGE_WHOLE, 0, 0},
		{"bytes=1--2", 10, CACHE_RANGE_WHOLE, 0, 0},
		{"items=0-1", 10, CACHE_RANGE_WHOLE, 0, 0},
		{"bytes=0-1,x", 10, CACHE_RANGE_WHOLE, 0, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct cache_parts parts = {0};
		enum cache_range result = cache_range_read(slice_from_string(rows[i].value), rows[i].size, &parts);
		uint64_t from = parts.parts[0].from, length = parts.parts[0].length;
		assert_int_equal(parts.count, result == CACHE_RANGE_PARTS);
		if (result != rows[i].result || from != rows[i].from || length != rows[i].length)
			fail_msg("%s of %llu: %d, %llu, %llu", rows[i].value, (unsigned long long)rows[i].size,
				 (int)result, (unsigned long long)from, (unsigned long long)length);
	}
}

static void reads_several(void **state)
{
	char many[CACHE_PARTS_MAX * 8 + 16] = "bytes=";
	struct cache_parts parts;
	assert_int_equal(cache_range_read(SLICE("bytes=6-7, 20-, 0-1,-1"), 10, &parts), CACHE_RANGE_PARTS);
	assert_int_equal(parts.count, 3);
	assert_int_equal(parts.parts[0].from, 6);
	assert_int_equal(parts.parts[1].from, 0);
	assert_int_equal(parts.parts[2].from, 9);
	for (int i = 0; i < CACHE_PARTS_MAX; i++)
		snprintf(many + strlen(many), sizeof many - strlen(many), "%d-%d,", 2 * i, 2 * i);
	assert_int_equal(cache_range_read(slice_from_string(many), 100, &parts), CACHE_RANGE_PARTS);
	assert_int_equal(parts.count, CACHE_PARTS_MAX);
	snprintf(many + strlen(many), sizeof many - strlen(many), "90-");
	assert_int_equal(cache_range_read(slice_from_string(many), 100, &parts), CACHE_RANGE_WHOLE);
}

static void only_parts_of_what_is_meant(void **state)
{
	enum { NOW = 1700000000 };
	struct arena arena;
	char old[64] = "Last-Modified: ", stored_lines[256];
	arena_init(&arena, 1 << 20);
	date_format_http(NOW - 1000, old + strlen(old));
	snprintf(stored_lines, sizeof stored_lines, "ETag: \"a\"\n%.*s\nDate: Tue, 14 Nov 2023 22:13:20 GMT",
		 (int)(15 + DATE_HTTP_LENGTH), old);
	struct fields stored = fields_of(&arena, stored_lines);
	static const struct {
		const char *request;
		bool allowed;
	} rows[] = {
		{"X: y", true},
		{"If-Range: \"a\"", true},
		{"If-Range: \"b\"", false},
		{"If-Range: W/\"a\"", false},
		{"If-Range: Tue, 14 Nov 2023 21:56:40 GMT", true},
		{"If-Range: Tue, 14 Nov 2023 21:56:41 GMT", false},
		{"If-Range: nonsense", false},
	};
	const struct cache_validators validators = {fields_value(&stored, FIELD_ETAG),
						    fields_value(&stored, FIELD_LAST_MODIFIED),
						    fields_value(&stored, FIELD_DATE)};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct fields request = fields_of(&arena, rows[i].request);
		if (cache_range_is_allowed(&request, &validators, NOW) != rows[i].allowed)
			fail_msg("%s", rows[i].request);
	}
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_ranges),
		cmocka_unit_test(reads_content_ranges),
		cmocka_unit_test(knows_single_ranges),
		cmocka_unit_test(reads_several),
		cmocka_unit_test(only_parts_of_what_is_meant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
