// Purges: the operator's word that stored responses of some kind are not to be used any more.
//
// A purge takes effect at once, whatever is stored: from then on, what was asked for before it is looked at when it is
// found (once for each purge), while a sweep drops the rest (cache/store.h). What is being fetched when the purge comes
// is looked at when it is stored.
#ifndef USHER_CACHE_PURGE_H
#define USHER_CACHE_PURGE_H

#include "cache/object.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { CACHE_PURGES_KEPT = 64 };

enum cache_purge_kind {
	CACHE_PURGE_PREFIX, // keys that begin so
	CACHE_PURGE_TAG,    // responses with the tag in Surrogate-Key or Cache-Tag
};

struct cache_purge {
	enum cache_purge_kind kind;
	struct slice text;
	bool is_soft; // not dropped, but stale from now on
};

// The last ones, by their numbers.
struct cache_purges {
	pthread_mutex_t lock;
	_Atomic uint64_t last; // number; 0: there was none
	struct cache_purge kept[CACHE_PURGES_KEPT];
};

void cache_purges_init(struct cache_purges *purges);
void cache_purges_fini(struct cache_purges *purges);

// Goes on after the purges of a former process: the last one's number, and the table. Copies the texts. False when
// memory is out.
bool cache_purges_restore(struct cache_purges *purges, uint64_t last, const struct cache_purge kept[CACHE_PURGES_KEPT]);

// The number of the last one: what is asked for now is as it is after that.
static inline uint64_t cache_purges_last(const struct cache_purges *purges)
{
	return atomic_load_explicit(&purges->last, memory_order_acquire);
}

// Copies the text. False when memory is out.
bool cache_purges_add(struct cache_purges *purges, const struct cache_purge *purge);

// Whether the object, which was asked for (or looked at last) after the purge of that number, may be kept: not when one
// of the purges since then means it, or when so many came since that it is not known. It may have become stale. The
// number is that of the last purge from now on; it is the caller's to guard.
bool cache_purges_spare(struct cache_purges *purges, struct cache_object *object, uint64_t *asked_after);

#endif
