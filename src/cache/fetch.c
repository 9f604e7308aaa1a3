#include "cache/fetch.h"

#include "base/check.h"
#include "fiber/line.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 64, WAITING_MAX = UINT16_MAX };

struct cache_fetch {
	struct cache_fetch *next; // in its shard
	_Atomic uint32_t references;
	uint64_t hash;
	struct slice key;
	struct line line;
	_Atomic bool is_over;
	enum cache_fetch_outcome outcome; // once it is
};

static struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct cache_fetch *first;
} shards[SHARDS] = {[0 ... SHARDS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

static struct shard *shard_of(uint64_t hash)
{
	return &shards[hash % SHARDS];
}

static struct cache_fetch *fetch_new(struct slice key, uint64_t hash)
{
	struct cache_fetch *fetch = calloc(1, sizeof *fetch + key.length);
	if (!fetch)
		return NULL;
	// One is who fetches, the other the shard's.
	atomic_init(&fetch->references, 2);
	fetch->hash = hash;
	memcpy(fetch + 1, key.data, key.length);
	fetch->key = slice_from(fetch + 1, key.length);
	line_init(&fetch->line);
	return fetch;
}

static void unref(struct cache_fetch *fetch)
{
	if (atomic_fetch_sub_explicit(&fetch->references, 1, memory_order_acq_rel) > 1)
		return;
	line_fini(&fetch->line);
	free(fetch);
}

struct cache_fetch *cache_fetch_join(struct slice key, uint64_t hash, bool *ret_is_first)
{
	struct shard *shard = shard_of(hash);
	pthread_mutex_lock(&shard->lock);
	struct cache_fetch *fetch = shard->first;
	while (fetch && !(fetch->hash == hash && slice_equal(fetch->key, key)))
		fetch = fetch->next;
	*ret_is_first = !fetch;
	if (fetch) {
		atomic_fetch_add_explicit(&fetch->references, 1, memory_order_relaxed);
	} else if ((fetch = fetch_new(key, hash))) {
		fetch->next = shard->first;
		shard->first = fetch;
	}
	pthread_mutex_unlock(&shard->lock);
	return fetch;
}

void cache_fetch_end(struct cache_fetch *fetch, enum cache_fetch_outcome outcome)
{
	struct shard *shard = shard_of(fetch->hash);
	pthread_mutex_lock(&shard->lock);
	struct cache_fetch **at = &shard->first;
	while (*at != fetch)
		at = &(*at)->next;
	*at = fetch->next;
	pthread_mutex_unlock(&shard->lock);
	fetch->outcome = outcome;
	atomic_store(&fetch->is_over, true);
	// Who has entered since sees that it is over, or is called.
	line_call_all(&fetch->line);
	unref(fetch);
	unref(fetch);
}

int cache_fetch_wait(struct cache_fetch *fetch, int64_t deadline_ns, enum cache_fetch_outcome *ret_outcome)
{
	struct line_place place = {0};
	int error = 0;
	bool waits = line_enter(&fetch->line, &place, WAITING_MAX);
	if (waits && atomic_load(&fetch->is_over))
		(void)line_leave(&fetch->line, &place);
	else if (waits)
		error = line_wait(&fetch->line, &place, "another's fetch", deadline_ns);
	// Too many wait already: this one asks for himself.
	if (error == 0)
		*ret_outcome = atomic_load(&fetch->is_over) ? fetch->outcome : CACHE_FETCH_NOT_STORED;
	unref(fetch);
	return error;
}
