// What the fuzz targets share.
#ifndef USHER_TESTS_FUZZ_SUPPORT_H
#define USHER_TESTS_FUZZ_SUPPORT_H

#include "base/arena.h"
#include "base/check.h"
#include "base/slice.h"
#include "http/fields.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_ARENA_BYTES = 4 * 1024 * 1024 };

static inline void fuzz_check_same_fields(const struct fields *a, const struct fields *b)
{
	check(a->count == b->count);
	for (uint32_t i = 0; i < a->count; i++) {
		check(slice_equal(a->items[i].name, b->items[i].name));
		check(slice_equal(a->items[i].value, b->items[i].value));
		check(a->items[i].id == b->items[i].id);
		check(a->items[i].id == field_id_of(a->items[i].name));
	}
}

// Whether the slice lies within the other, or is empty.
static inline bool fuzz_is_inside(struct slice part, struct slice whole)
{
	return part.length == 0 || (part.data >= whole.data && part.data + part.length <= whole.data + whole.length);
}

#endif
