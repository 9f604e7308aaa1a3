#include "access/concurrent.h"

#include "base/check.h"
#include "base/hash.h"

#include <pthread.h>
#include <stddef.h>

// Room for the connections of a large server: of 100,000 keys, one in several millions finds its set full.
enum { SETS = 32768, WAYS = 16, LOCKS = 256 };

struct concurrent {
	uint64_t key;
	uint32_t count; // 0: free
};

static struct {
	pthread_mutex_t locks[LOCKS];
	struct concurrent sets[SETS][WAYS];
} table = {.locks = {[0 ... LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER}};

// That of the key, or a free one; NULL when there is neither.
static struct concurrent *find(struct concurrent set[WAYS], uint64_t key)
{
	struct concurrent *free = NULL;
	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].count == 0)
			free = &set[i];
		else if (set[i].key == key)
			return &set[i];
	}
	return free;
}

enum concurrent_result concurrent_take(uint64_t key, uint32_t limit, struct concurrent **ret_place)
{
	size_t set = hash_number(key) % SETS;
	enum concurrent_result result = CONCURRENT_UNCOUNTED;
	pthread_mutex_lock(&table.locks[set % LOCKS]);
	struct concurrent *place = find(table.sets[set], key);
	if (place && place->count >= limit) {
		result = CONCURRENT_FULL;
	} else if (place) {
		*place = (struct concurrent){.key = key, .count = place->count + 1};
		*ret_place = place;
		result = CONCURRENT_TAKEN;
	}
	pthread_mutex_unlock(&table.locks[set % LOCKS]);
	return result;
}

void concurrent_give(struct concurrent *place)
{
	size_t set = (size_t)(place - table.sets[0]) / WAYS;
	pthread_mutex_t *lock = &table.locks[set % LOCKS];
	pthread_mutex_lock(lock);
	check(place->count > 0);
	place->count--;
	pthread_mutex_unlock(lock);
}
