// Fields of a message, from its lines.
#ifndef USHER_TESTS_CACHE_SUPPORT_H
#define USHER_TESTS_CACHE_SUPPORT_H

#include "base/arena.h"
#include "cmocka_all.h"
#include "http/fields.h"

#include <string.h>

// "Name: value\nName: value"; good until the next call with the same arena's end.
static inline struct fields fields_of(struct arena *arena, const char *lines)
{
	struct fields fields = {0};
	struct slice rest = slice_from_string(lines), line, name, value;
	while (rest.length > 0) {
		if (!slice_cut(rest, '\n', &line, &rest)) {
			line = rest;
			rest = SLICE_EMPTY;
		}
		assert_true(slice_cut(line, ':', &name, &value));
		assert_true(fields_add_name(&fields, arena, name, slice_trim(value)));
	}
	return fields;
}

#endif
