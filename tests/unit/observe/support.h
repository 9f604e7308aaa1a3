// What the tests of observe share.
#ifndef USHER_TEST_OBSERVE_SUPPORT_H
#define USHER_TEST_OBSERVE_SUPPORT_H

// cmocka.h wants these before it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
//
#include "base/slice.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void assert_text(struct slice text, const char *expected)
{
	if (!slice_equal(text, slice_from_string(expected)))
		fail_msg("\ngot      %.*s\nexpected %s", SLICE_ARGUMENTS(text), expected);
}

// Whether the text is one JSON value (RFC 8259) in UTF-8 (RFC 3629), and nothing else.
bool test_is_json(struct slice text);

// The value of a member of a flat JSON object, as it is written; .data is NULL when there is
// none.
struct slice test_json_member(struct slice object, const char *name);

#endif
