// What the tests of src/http share.
#ifndef USHER_TESTS_UNIT_HTTP_SUPPORT_H
#define USHER_TESTS_UNIT_HTTP_SUPPORT_H

// cmocka.h wants these before it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
//
#include "base/arena.h"
#include "base/slice.h"

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// Bytes with NULs in them; for tables.
#define BYTES(literal)                                                                                                 \
	{                                                                                                              \
		literal, sizeof(literal) - 1                                                                           \
	}

enum { TEST_ARENA_BYTES = 1024 * 1024 };

static inline void test_assert_slice(struct slice slice, const char *expected, const char *file, int line)
{
	if (!slice_equal(slice, slice_from_string(expected))) {
		print_error("got \"%.*s\", expected \"%s\"\n", SLICE_ARGUMENTS(slice), expected);
		_fail(file, line);
	}
}

#define assert_slice(slice, expected) test_assert_slice(slice, expected, __FILE__, __LINE__)

// The bytes alone in memory of their own, so that a read beyond them is found.
static inline char *test_alone(struct slice bytes)
{
	char *copy = malloc(bytes.length > 0 ? bytes.length : 1);
	assert_non_null(copy);
	if (bytes.length > 0)
		memcpy(copy, bytes.data, bytes.length);
	return copy;
}

#endif
