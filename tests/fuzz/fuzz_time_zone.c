// Time zones: whatever the bytes of a file or a text, one that has an offset at any time, or none.
#include "base/time_zone.h"
#include "support.h"

static void look(const struct time_zone *zone)
{
	static const int64_t times[] = {INT64_MIN / 2,	  -1,		0, 86399, 1700000000, 1720000000, 4102444800,
					INT64_C(1) << 39, INT64_MAX / 2};
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		int32_t offset_s = time_zone_offset_s(zone, times[i]);
		check(offset_s >= -89999 && offset_s <= 93599 + 3600);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice content = slice_from(data, size);
	struct time_zone zone;
	struct arena arena;
	arena_init(&arena, FUZZ_ARENA_BYTES);
	if (time_zone_read(content, &arena, &zone))
		look(&zone);
	if (time_zone_parse(content, &zone))
		look(&zone);
	arena_fini(&arena);
	return 0;
}
