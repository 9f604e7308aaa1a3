// How much memory something takes beside the store, whose budget counts what is stored: claimed before it is taken, up
// to a bound. From any thread.
#ifndef USHER_CACHE_CLAIMS_H
#define USHER_CACHE_CLAIMS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct cache_claims {
	_Atomic uint64_t bytes;
};

// Claims so many bytes, unless all would have more than `most_bytes` then.
bool cache_claims_take(struct cache_claims *claims, uint64_t bytes, uint64_t most_bytes);

void cache_claims_give(struct cache_claims *claims, uint64_t bytes);

#endif
