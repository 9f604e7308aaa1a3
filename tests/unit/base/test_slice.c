#include "base/slice.h"
#include "cmocka_all.h"

static void assert_slice(struct slice slice, const char *expected)
{
	assert_int_equal(slice.length, strlen(expected));
	if (slice.length > 0)
		assert_memory_equal(slice.data, expected, slice.length);
}

static void compares(void **state)
{
	assert_true(slice_equal(SLICE("abc"), SLICE("abc")));
	assert_false(slice_equal(SLICE("abc"), SLICE("abd")));
	assert_false(slice_equal(SLICE("abc"), SLICE("ab")));
	assert_true(slice_equal(SLICE_EMPTY, SLICE("")));
	assert_true(slice_equal_nocase(SLICE("Content-LENGTH"), SLICE("content-length")));
	assert_true(slice_equal_nocase(SLICE_EMPTY, SLICE_EMPTY));
	assert_false(slice_equal_nocase(SLICE("a"), SLICE("ab")));
	// Letters only: these differ by the same bit.
	assert_false(slice_equal_nocase(SLICE("@"), SLICE("`")));
	assert_false(slice_equal_nocase(SLICE("["), SLICE("{")));
	assert_false(slice_equal_nocase(SLICE("\xc4"), SLICE("\xe4")));
	assert_true(slice_starts_with(SLICE("abc"), SLICE("ab")));
	assert_true(slice_starts_with(SLICE("abc"), SLICE_EMPTY));
	assert_false(slice_starts_with(SLICE("a"), SLICE("ab")));
	assert_true(slice_ends_with(SLICE("abc"), SLICE("bc")));
	assert_true(slice_ends_with(SLICE_EMPTY, SLICE_EMPTY));
	assert_false(slice_ends_with(SLICE("c"), SLICE("bc")));
}

static void takes_apart(void **state)
{
	assert_slice(slice_after(SLICE("abc"), 1), "bc");
	assert_slice(slice_after(SLICE("abc"), 9), "");
	assert_slice(slice_first(SLICE("abc"), 2), "ab");
	assert_slice(slice_first(SLICE("abc"), 9), "abc");
	assert_int_equal(slice_find(SLICE("abc"), 'c'), 2);
	assert_int_equal(slice_find(SLICE("abc"), 'x'), 3);
	assert_int_equal(slice_find(SLICE_EMPTY, 'x'), 0);
	assert_slice(slice_trim(SLICE(" \t a b\t ")), "a b");
	assert_slice(slice_trim(SLICE(" \t ")), "");
	assert_slice(slice_trim(SLICE("\n")), "\n");
	assert_slice(slice_trim(SLICE_EMPTY), "");
}

static void cuts(void **state)
{
	struct slice before, after = SLICE("untouched");
	assert_false(slice_cut(SLICE("key"), '=', &before, &after));
	assert_slice(before, "key");
	assert_slice(after, "untouched");
	assert_true(slice_cut(SLICE("key=a=b"), '=', &before, &after));
	assert_slice(before, "key");
	assert_slice(after, "a=b");
	assert_true(slice_cut(SLICE("="), '=', &before, &after));
	assert_slice(before, "");
	assert_slice(after, "");
}

static void splits_lists(void **state)
{
	struct slice rest = SLICE(" ,a,, b c\t,\"d, \\\" e\" , \"open, f"), member;
	assert_true(slice_next_member(&rest, &member));
	assert_slice(member, "a");
	assert_true(slice_next_member(&rest, &member));
	assert_slice(member, "b c");
	assert_true(slice_next_member(&rest, &member));
	assert_slice(member, "\"d, \\\" e\"");
	assert_true(slice_next_member(&rest, &member));
	assert_slice(member, "\"open, f");
	assert_false(slice_next_member(&rest, &member));
	rest = SLICE(" , ,\t");
	assert_false(slice_next_member(&rest, &member));
	// A backslash at the very end of an open string.
	rest = SLICE("\"\\");
	assert_true(slice_next_member(&rest, &member));
	assert_slice(member, "\"\\");
	assert_false(slice_next_member(&rest, &member));
}

static void reads_numbers(void **state)
{
	uint64_t number = 7;
	const char *const refused[] = {"", " 1", "1 ", "+1", "-1", "0x1", "1a", "12345678901234567890"};
	for (size_t i = 0; i < COUNT(refused); i++)
		assert_false(slice_to_number(slice_from_string(refused[i]), &number));
	assert_int_equal(number, 7);
	assert_true(slice_to_number(SLICE("0"), &number));
	assert_int_equal(number, 0);
	assert_true(slice_to_number(SLICE("0012"), &number));
	assert_int_equal(number, 12);
	assert_true(slice_to_number(SLICE("9999999999999999999"), &number));
	assert_true(number == UINT64_C(9999999999999999999));
}

static void lines(void **state)
{
	struct slice rest = SLICE("a\r\n\nb\rc\n d"), line;
	static const char *const expected[] = {"a", "", "b\rc", " d"};
	for (size_t i = 0; i < 4; i++) {
		assert_true(slice_next_line(&rest, &line));
		assert_true(slice_equal(line, slice_from_string(expected[i])));
	}
	assert_false(slice_next_line(&rest, &line));
	rest = SLICE("a\n");
	assert_true(slice_next_line(&rest, &line) && !slice_next_line(&rest, &line));
	assert_int_equal(slice_count(SLICE("a\n\nb\n"), '\n'), 3);
	assert_int_equal(slice_count(SLICE(""), '\n'), 0);
}

static void printable(void **state)
{
	assert_true(slice_is_printable(SLICE("")) && slice_is_printable(SLICE("a ~\xc3\xbc")));
	assert_false(slice_is_printable(SLICE("a\tb")) || slice_is_printable(SLICE("a\x7f")) ||
		     slice_is_printable(SLICE("\0")) || slice_is_printable(SLICE("a\n")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compares),	cmocka_unit_test(takes_apart),	 cmocka_unit_test(cuts),
		cmocka_unit_test(splits_lists), cmocka_unit_test(reads_numbers), cmocka_unit_test(lines),
		cmocka_unit_test(printable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
