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

// Whether the value asks for one part, whatever the size.
bool cache_range_is_single(struct slice value);

// Whether If-Range allows a part (section 13.1.5): it is absent, or what it names is what is stored, by the
// strong comparison. A date counts only where it is the very Last-Modified, and old enough to be strong.
bool cache_range_is_allowed(const struct fields *request, const struct cache_validators *stored, int64_t now_s);

// What there is of an answer's content: [from, from + length) of `total` bytes, at least one.
struct cache_run {
	uint64_t from, length, total;
};

// Reads the value of Content-Range (section 14.4). False for what is not one part, in bytes, of a total that is told.
bool cache_run_read(struct slice value, struct cache_run *ret_run);

// What a stored answer with so many bytes of content has of it: what its Content-Range says where its status is 206.
struct cache_run cache_run_of(const struct cache_object *object, uint64_t length);

static inline bool cache_run_is_whole(const struct cache_run *run)
{
	return run->length == run->total;
}

static inline bool cache_run_has(const struct cache_run *run, const struct cache_part *part)
{
	return part->from >= run->from && part->from - run->from <= run->length &&
	       part->length <= run->length - (part->from - run->from);
}

// Whether it is an entity tag that tells parts of the same content from those of others (section 8.8.1).
static inline bool cache_etag_is_strong(struct slice etag)
{
	return slice_starts_with(etag, SLICE("\""));
}

#endif
