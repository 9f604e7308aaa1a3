// The hash of a field name, which tells the well-known names apart: of its length, its
// first and its last letter.
#ifndef USHER_HTTP_FIELD_HASH_H
#define USHER_HTTP_FIELD_HASH_H

#include "base/slice.h"

#include <stdint.h>

enum { FIELD_HASH_SLOTS = 128, FIELD_HASH_SHIFT = 25 };

// Found by trying: with it no two well-known names have the same hash.
#define FIELD_HASH_MULTIPLIER 0x23b7fd69u

// 0 to FIELD_HASH_SLOTS - 1; the name has at least one byte.
static inline uint32_t field_hash(struct slice name, uint32_t multiplier)
{
	uint32_t first = (uint8_t)(name.data[0] | 0x20), last = (uint8_t)(name.data[name.length - 1] | 0x20);
	return ((uint32_t)name.length | first << 8 | last << 16) * multiplier >> FIELD_HASH_SHIFT;
}

#endif
