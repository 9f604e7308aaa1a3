// Interim responses (1xx) that are kept for those who wait for the final one.
#ifndef USHER_CACHE_INTERIM_H
#define USHER_CACHE_INTERIM_H

#include "http/message.h"

enum { CACHE_INTERIMS_MAX = 4 };

struct cache_interims {
	uint32_t count;
	struct response *items[CACHE_INTERIMS_MAX];
};

// A copy of it, which stays until all are cleared. What is more than CACHE_INTERIMS_MAX is left out, as is what there
// is no memory for.
void cache_interims_add(struct cache_interims *interims, const struct response *interim);
void cache_interims_clear(struct cache_interims *interims);

#endif
