// Fetches under way: who misses what another exchange is fetching already waits for that one, on whatever
// thread.
//
//	struct cache_fetch *fetch = cache_fetch_join(key, hash, &is_first);
//	if (is_first) { ... ask the server ...; cache_fetch_end(fetch, outcome); }
//	else if (cache_fetch_wait(fetch, deadline_ns, &outcome) == 0) ... look into the store ...
#ifndef USHER_CACHE_FETCH_H
#define USHER_CACHE_FETCH_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct cache_fetch;

enum cache_fetch_outcome {
	CACHE_FETCH_STORED,	// it is in the store
	CACHE_FETCH_NOT_STORED, // it cannot be: each has to ask for himself
	CACHE_FETCH_LEFT,	// who fetched it left before it was there: another one may
};

// The fetch of the key that is under way, or a new one, which is the caller's to make (*ret_is_first) and
// to end. With a reference. NULL when memory is out: as if nobody else asked.
struct cache_fetch *cache_fetch_join(struct slice key, uint64_t hash, bool *ret_is_first);

// Whoever waits goes on, all at once. Gives back the reference.
void cache_fetch_end(struct cache_fetch *fetch, enum cache_fetch_outcome outcome);

// Suspends until the fetch has ended: 0; or -ETIMEDOUT or -ECANCELED. Gives back the reference.
int cache_fetch_wait(struct cache_fetch *fetch, int64_t deadline_ns, enum cache_fetch_outcome *ret_outcome);

#endif
