// What the cache did, counted for each site and route; survives reloads. For the files of the handler `cache`, and
// whoever shows it.
#ifndef USHER_HANDLERS_CACHE_COUNTS_H
#define USHER_HANDLERS_CACHE_COUNTS_H

#include "observe/metrics.h"

#include <stdint.h>

enum cache_result {
	CACHE_HIT,
	CACHE_STALE, // used though it was stale: while it was fetched anew, or as the server was away
	CACHE_MISS,  // fetched, or validated
	CACHE_PASS,  // not for the cache
	CACHE_RESULTS
};

struct cache_counts {
	struct cache_counts *next;
	char *site, *route;
	struct metric *results[CACHE_RESULTS];
};

// Those of a site's route, which are found again by their names, and never freed. NULL when memory is out. From any
// thread; not for the hot path.
struct cache_counts *cache_counts_of(const char *site, const char *route);

static inline void cache_count(struct cache_counts *counts, enum cache_result result)
{
	metric_count(counts->results[result]);
}

// The first of all, the others behind it.
const struct cache_counts *cache_counts_first(void);

// As a person reads it: "hit".
const char *cache_result_word(enum cache_result result);

#endif
