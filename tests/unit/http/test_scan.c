#include "http/h1.h"
#include "support.h"

static const struct {
	struct slice data;
	ssize_t result;
	size_t known; // from how many bytes on the result shows
} rows[] = {
	{BYTES(""), 0, 0},
	{BYTES("\r\n"), 2, 2},
	{BYTES("\r\n\r\n"), 2, 2},
	{BYTES("a\r\n\r\n"), 5, 5},
	{BYTES("a\r\n\r\nrest\n"), 5, 5},
	{BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET"), 27, 27},
	{BYTES("a\r\nb\r\nc\r\n"), 0, 0},
	{BYTES("a\r\n\r"), 0, 0},
	{BYTES("\r"), 0, 0},
	{BYTES("a\rb\r\r\n\r\n"), 8, 8},
	{BYTES("\n"), -1, 1},
	{BYTES("a\n"), -1, 2},
	{BYTES("a\r\n\n"), -1, 4},
	{BYTES("a\r\nb\n\r\n"), -1, 5},
	{BYTES("GET / HTTP/1.1\nHost: a\r\n\r\n"), -1, 15},
	{BYTES("\0\0\r\n\0\r\n\r\n"), 9, 9},
};

static ssize_t expected(size_t row, size_t length)
{
	return length >= rows[row].known ? rows[row].result : 0;
}

// Whole, cut in two anywhere, and byte by byte: always the same, as soon as it shows.
static void test_scan(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t length = rows[i].data.length;
		char *copy = test_alone(rows[i].data);
		struct h1_scanner whole = {0};
		assert_int_equal(h1_scan_head(&whole, copy, length), rows[i].result);
		for (size_t cut = 0; cut <= length; cut++) {
			struct h1_scanner scanner = {0};
			ssize_t first = h1_scan_head(&scanner, copy, cut);
			assert_int_equal(first, expected(i, cut));
			if (first == 0)
				assert_int_equal(h1_scan_head(&scanner, copy, length), rows[i].result);
		}
		struct h1_scanner scanner = {0};
		ssize_t result = 0;
		for (size_t have = 0; have <= length && result == 0; have++) {
			result = h1_scan_head(&scanner, copy, have);
			assert_int_equal(result, expected(i, have));
		}
		free(copy);
	}
}

// Half of an empty line before a request is not yet part of its head.
static void test_lone_cr(void **state)
{
	struct h1_scanner scanner = {0};
	assert_int_equal(h1_scan_head(&scanner, "\r", 1), 0);
	assert_int_equal(scanner.scanned, 0);
	assert_int_equal(h1_scan_head(&scanner, "\rG", 2), 0);
	assert_int_equal(scanner.scanned, 2);
}

static void test_skip_empty_line(void **state)
{
	assert_int_equal(h1_skip_empty_line("", 0), 0);
	assert_int_equal(h1_skip_empty_line("\r", 1), 0);
	assert_int_equal(h1_skip_empty_line("\r\n", 2), 2);
	assert_int_equal(h1_skip_empty_line("\r\nG", 3), 2);
	assert_int_equal(h1_skip_empty_line("\r\n\r\n", 4), 2);
	assert_int_equal(h1_skip_empty_line("\n", 1), 0);
	assert_int_equal(h1_skip_empty_line("G\r\n", 3), 0);
	assert_int_equal(h1_skip_empty_line("G\n", 2), 0);
	assert_int_equal(h1_skip_empty_line("\rG", 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_scan), cmocka_unit_test(test_lone_cr),
					   cmocka_unit_test(test_skip_empty_line)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
