// The content of a stored answer, or a part of it, as a body: from memory, or from the disk, block by block. For the
// files of the handler `cache`.
#ifndef USHER_HANDLERS_CACHE_CONTENT_H
#define USHER_HANDLERS_CACHE_CONTENT_H

#include "base/arena.h"
#include "cache/object.h"
#include "http/body.h"

#include <stdint.h>

// Bytes of a stored answer, from one position to another.
struct cache_content {
	const struct cache_object *object; // whoever holds it holds it as long as this is read
	uint64_t at, end;
	char *block; // for what is read from the disk; NULL: the object is in memory
};

// What is needed as block, in the arena's memory. False when memory is out.
bool cache_content_room(struct arena *arena, const struct cache_object *object, char **ret_block);

// The next bytes, lent until the next call; empty at the end. May suspend where they are on the disk. 0; -EIO: the disk
// failed, or has not what was stored, which is dropped then.
int cache_content_read(struct cache_content *content, struct slice *ret_bytes);

// NULL when memory is out.
struct body *cache_content_body(struct arena *arena, const struct cache_object *object, uint64_t from, uint64_t length);

#endif
