// A fetch as its two sides share it: the one who fetches (fetch.c), and those who read (fetch_read.c).
#ifndef USHER_CACHE_FETCH_LOCAL_H
#define USHER_CACHE_FETCH_LOCAL_H

#include "cache/fetch.h"
#include "cache/interim.h"
#include "fiber/line.h"

#include <pthread.h>
#include <stdatomic.h>

enum { CACHE_FETCH_DETAIL_BYTES = 160 };

struct cache_fetch {
	struct cache_fetch *next; // in its shard
	_Atomic uint32_t references;
	_Atomic bool is_forgotten;
	bool is_listed; // under the shard's lock
	bool is_shared; // others may join
	uint64_t hash, variant;
	struct slice key;
	struct line readers_line, fetcher_line;
	pthread_mutex_t lock; // for all below
	enum cache_fetch_state state;
	struct cache_object *object;	  // grows by being replaced; readers may hold former ones
	int64_t length;			  // of its content; -1: not known
	uint64_t filled;		  // of it
	uint64_t in_memory;		  // of that; the rest is in the file
	struct cache_file *file;	  // the spool's; NULL: all is in memory
	struct cache_fetch_bounds bounds; // the fetcher's, as the spool
	struct cache_spool *spool;
	uint64_t claimed; // the fetcher's: of the memory for all that is being filled
	uint32_t readers;
	// What is too much to be stored is lent to all readers, piece by piece.
	uint32_t piece_number;
	uint32_t pending; // readers who have not done with the piece
	struct slice piece;
	struct cache_interims interims;
	struct cache_outcome outcome;
	char detail[CACHE_FETCH_DETAIL_BYTES];
};

// Gives back a reference.
void cache_fetch_unref(struct cache_fetch *fetch);

// Suspends in the line until `holds` says so under the lock: 0, -ETIMEDOUT or -ECANCELED. Who changes what it
// looks at calls all in the line afterwards.
int cache_fetch_wait_until(struct cache_fetch *fetch, struct line *line, bool (*holds)(struct cache_fetch *, void *),
			   void *argument, const char *what, int64_t deadline_ns);

static inline void cache_fetch_call(struct line *line)
{
	if (!line_is_empty(line))
		line_call_all(line);
}

#endif
