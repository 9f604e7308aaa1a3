// Range and Content-Range: whatever the bytes, parts lie within the content, and are no more than it.
#include "cache/range.h"
#include "support.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t sizes[] = {0, 1, 10, 1 << 20, UINT64_MAX / 2};
	char *exact = malloc(size ? size : 1); // AddressSanitizer sees one byte too far
	check(exact != NULL);
	if (size > 0)
		memcpy(exact, data, size);
	struct cache_run run;
	if (cache_run_read(slice_from(exact, size), &run))
		check(run.length > 0 && run.from < run.total && run.length <= run.total - run.from);
	(void)cache_range_is_single(slice_from(exact, size));
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct cache_parts parts;
		uint64_t length = 0;
		if (cache_range_read(slice_from(exact, size), sizes[i], &parts) != CACHE_RANGE_PARTS)
			continue;
		check(parts.count > 0 && parts.count <= CACHE_PARTS_MAX);
		for (uint32_t j = 0; j < parts.count; j++) {
			const struct cache_part *part = &parts.parts[j];
			check(part->length > 0 && part->from < sizes[i] && part->length <= sizes[i] - part->from);
			length += part->length;
		}
		check(length <= sizes[i]);
	}
	free(exact);
	return 0;
}
