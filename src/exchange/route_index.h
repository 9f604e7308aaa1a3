// The paths of a site's routes: from a path to the routes that may take it, in the order in
// which they are written, without walking all of them.
//
// Exact paths and prefixes are a tree of path segments, whose edges are in one hash table.
// Going down it along a path meets every route whose path fits, at most one list of them a
// segment; these lists, that of the regular expressions and that of the routes without a
// path are merged on the fly.
#ifndef USHER_EXCHANGE_ROUTE_INDEX_H
#define USHER_EXCHANGE_ROUTE_INDEX_H

#include "base/arena.h"
#include "base/slice.h"
#include "exchange/route_match.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct route_index;

enum {
	ROUTE_PREFIXES_MAX = 32,		  // that lie one within the other
	ROUTE_LISTS_MAX = ROUTE_PREFIXES_MAX + 3, // exact, regular expressions, any
};

#define ROUTE_NONE UINT32_MAX

// Makes the index of paths[0..count), in the arena; *ret_too_deep is the number of a path
// with more than ROUTE_PREFIXES_MAX prefixes around it (there is no index then), else
// ROUTE_NONE. NULL when memory is out.
struct route_index *route_index_new(const struct route_path *const *paths, uint32_t count, struct arena *arena,
				    uint32_t *ret_too_deep);

// The routes that may take one path.
struct route_candidates {
	unsigned count;
	const uint32_t *lists[ROUTE_LISTS_MAX]; // each rises, and ends with ROUTE_NONE
};

void route_candidates_begin(struct route_candidates *candidates, const struct route_index *index, struct slice path);

// The next one in the order written, or ROUTE_NONE. Those with a regular expression have yet
// to be matched; all others' paths fit.
static inline uint32_t route_candidates_next(struct route_candidates *candidates)
{
	uint32_t best = ROUTE_NONE;
	unsigned best_list = 0;
	for (unsigned i = 0; i < candidates->count; i++)
		if (*candidates->lists[i] < best) {
			best = *candidates->lists[i];
			best_list = i;
		}
	if (best != ROUTE_NONE)
		candidates->lists[best_list]++;
	return best;
}

#endif
