// Range requests (RFC 9110 section 14) for an answer whose length is known.
#ifndef USHER_CACHE_RANGE_H
#define USHER_CACHE_RANGE_H

#include "base/slice.h"
#include "cache/object.h"
#include "http/fields.h"

#include <stdbool.h>
#include <stdint.h>

enum { CACHE_PARTS_MAX = 16 };

// [from, from + length), at least one byte.
struct cache_part {
	uint64_t from, length;
};

// In the order in which they were asked for; none overlaps another one.
struct cache_parts {
	uint32_t count;
	struct cache_part parts[CACHE_PARTS_MAX];
};

enum cache_range {
	CACHE_RANGE_WHOLE,	   // as if Range were not there
	CACHE_RANGE_PARTS,	   // one or more
	CACHE_RANGE_UNSATISFIABLE, // nothing of it is there: 416
};

// Reads the value of Range, for content of so many bytes. Parts that overlap, and more than CACHE_PARTS_MAX, are
// nothing that a client needs: they are answered whole (section 14.2, and 17.15). *ret_parts is written with PARTS
// only.
enum cache_range cache_range_read(struct slice value, uint64_t size, struct cache_parts *ret_parts);

// Whether If-Range allows a part (section 13.1.5): it is absent, or what it names is what is stored, by the
// strong comparison. A date counts only where it is the very Last-Modified, and old enough to be strong.
bool cache_range_is_allowed(const struct fields *request, const struct cache_validators *stored, int64_t now_s);

#endif
