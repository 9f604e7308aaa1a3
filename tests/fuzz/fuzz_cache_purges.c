// The disk store's file of purges, with a checksum that fits: whatever the bytes, what is taken is within bounds.
#include "cache/disk_local.h"
#include "support.h"

#include <stdlib.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cache_purges purges;
	static struct cache_disk disk;
	char *exact = malloc(size + sizeof(uint64_t)); // AddressSanitizer sees one byte too far
	check(exact != NULL);
	if (size > 0)
		memcpy(exact, data, size);
	uint64_t sum = XXH3_64bits(exact, size);
	memcpy(exact + size, &sum, sizeof sum);
	cache_purges_init(&purges);
	disk.purges = &purges;
	if (disk_purges_read(&disk, slice_from(exact, size + sizeof sum)))
		for (size_t i = 0; i < CACHE_PURGES_KEPT; i++)
			check(purges.kept[i].kind <= CACHE_PURGE_TAG && purges.kept[i].text.length <= size);
	else
		check(cache_purges_last(&purges) == 0);
	cache_purges_fini(&purges);
	free(exact);
	return 0;
}
