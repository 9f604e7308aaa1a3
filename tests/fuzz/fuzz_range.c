// Range: whatever the bytes, a part lies within the content.
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
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		uint64_t from, length;
		if (cache_range_read(slice_from(exact, size), sizes[i], &from, &length) == CACHE_RANGE_PART)
			check(length > 0 && from < sizes[i] && length <= sizes[i] - from);
	}
	free(exact);
	return 0;
}
