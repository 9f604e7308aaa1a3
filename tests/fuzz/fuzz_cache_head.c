// Heads of the disk store, with a checksum that fits: whatever the bytes, an object or none.
#include "cache/head.h"
#include "support.h"

#include <stdlib.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cache_object *object;
	struct cache_head_place place;
	uint64_t words[3];
	if (size < sizeof words)
		return 0;
	char *exact = malloc(size + sizeof(uint64_t)); // AddressSanitizer sees one byte too far
	check(exact != NULL);
	memcpy(exact, data, size);
	memcpy(words, exact, sizeof words);
	words[1] = size; // what the head says of its own length
	memcpy(exact, words, sizeof words);
	uint64_t sum = XXH3_64bits(exact, size);
	memcpy(exact + size, &sum, sizeof sum);
	if (cache_head_read(slice_from(exact, size + sizeof sum), words[2], 7, &object, &place)) {
		size_t length;
		object->file = NULL;
		check(place.body_number != 0 || place.body_length == object->body.length);
		char *again = place.body_number ? NULL : cache_head_write(object, &place, 0, &length);
		check(place.body_number || again);
		free(again);
		cache_object_unref(object);
	}
	free(exact);
	return 0;
}
