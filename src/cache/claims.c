#include "cache/claims.h"

#include "base/check.h"

bool cache_claims_take(struct cache_claims *claims, uint64_t bytes, uint64_t most_bytes)
{
	uint64_t before = atomic_fetch_add_explicit(&claims->bytes, bytes, memory_order_relaxed);
	if (before <= most_bytes && bytes <= most_bytes - before)
		return true;
	cache_claims_give(claims, bytes);
	return false;
}

void cache_claims_give(struct cache_claims *claims, uint64_t bytes)
{
	check(atomic_fetch_sub_explicit(&claims->bytes, bytes, memory_order_relaxed) >= bytes);
}
