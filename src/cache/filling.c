#include "cache/filling.h"

#include "base/check.h"

#include <stdatomic.h>

static _Atomic uint64_t claimed_bytes;

bool cache_filling_claim(uint64_t bytes, uint64_t most_bytes)
{
	uint64_t before = atomic_fetch_add_explicit(&claimed_bytes, bytes, memory_order_relaxed);
	if (before <= most_bytes && bytes <= most_bytes - before)
		return true;
	cache_filling_release(bytes);
	return false;
}

void cache_filling_release(uint64_t bytes)
{
	check(atomic_fetch_sub_explicit(&claimed_bytes, bytes, memory_order_relaxed) >= bytes);
}
