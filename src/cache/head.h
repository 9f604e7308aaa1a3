// What a file of the disk store says of a stored response: all of it but content that has a file of its own.
#ifndef USHER_CACHE_HEAD_H
#define USHER_CACHE_HEAD_H

#include "cache/object.h"

#include <stdint.h>

// Larger content has a file of its own.
enum { CACHE_INLINE_MAX = 256 * 1024 };

// Where the content is, and what the head is the head of.
struct cache_head_place {
	uint64_t number;      // of the head's own file
	uint64_t body_number; // of the content's file (struct cache_file); 0: it is in the head
	uint64_t body_length; // of the content
};

// The bytes, to be freed; NULL when memory is out. `asked_after` is the object's, as it was looked at.
char *cache_head_write(const struct cache_object *object, const struct cache_head_place *place, uint64_t asked_after,
		       size_t *ret_length);

// The object that the bytes of file `number` tell, with the hash given, and where its content is. When that is in a
// file of its own, the object is without it. False when the bytes are not what was written, or memory is out.
bool cache_head_read(struct slice bytes, uint64_t number, uint64_t hash, struct cache_object **ret_object,
		     struct cache_head_place *ret_place);

#endif
