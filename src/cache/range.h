// Range requests (RFC 9110 section 14) for an answer whose length is known.
//
// One range is told; a request for several, which a server may always answer whole, is.
#ifndef USHER_CACHE_RANGE_H
#define USHER_CACHE_RANGE_H

#include "base/slice.h"
#include "http/fields.h"

#include <stdbool.h>
#include <stdint.h>

enum cache_range {
	CACHE_RANGE_WHOLE,	   // as if Range were not there
	CACHE_RANGE_PART,	   // [from, from + length)
	CACHE_RANGE_UNSATISFIABLE, // nothing of it is there: 416
};

// Reads the value of Range, for content of so many bytes.
enum cache_range cache_range_read(struct slice value, uint64_t size, uint64_t *ret_from, uint64_t *ret_length);

// Whether If-Range allows a part (section 13.1.5): it is absent, or what it names is what is stored, by the
// strong comparison. A date counts only where it is the very Last-Modified, and old enough to be strong.
bool cache_range_is_allowed(const struct fields *request, const struct fields *stored, int64_t now_s);

#endif
