#include "net/rate.h"

#include "base/hash.h"

#include <pthread.h>

enum { SETS = 65536, WAYS = 4, LOCKS = 256 };

struct entry {
	uint64_t key;	// 0: free
	int64_t due_ns; // the theoretical arrival time
};

static struct {
	pthread_once_t once;
	struct hash_key key;
	pthread_mutex_t locks[LOCKS];
	struct entry sets[SETS][WAYS];
} table = {.once = PTHREAD_ONCE_INIT, .locks = {[0 ... LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER}};

static void make_key(void)
{
	hash_key_make(&table.key);
}

uint64_t rate_key(uint64_t rule, struct slice who)
{
	(void)pthread_once(&table.once, make_key);
	return hash_number(hash_keyed(&table.key, who) ^ hash_number(rule)) | 1;
}

// The entry, or the one to be taken for it: that which is due first says least.
static struct entry *find(struct entry set[WAYS], uint64_t key)
{
	struct entry *first = set;
	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].due_ns < first->due_ns)
			first = &set[i];
	}
	*first = (struct entry){.key = key};
	return first;
}

struct rate_result rate_take(const struct rate *rate, uint64_t key, int64_t now_ns)
{
	uint64_t set = hash_number(key) % SETS;
	pthread_mutex_t *lock = &table.locks[set % LOCKS];
	struct rate_result result = {0};
	pthread_mutex_lock(lock);
	struct entry *entry = find(table.sets[set], key);
	int64_t due_ns = entry->due_ns > now_ns ? entry->due_ns : now_ns;
	result.is_within = due_ns - now_ns <= rate->burst_ns;
	if (result.is_within)
		entry->due_ns = due_ns + rate->interval_ns;
	result.full_ns = entry->due_ns > now_ns ? entry->due_ns - now_ns : 0;
	pthread_mutex_unlock(lock);
	result.wait_ns = result.is_within ? due_ns - now_ns : due_ns - now_ns - rate->burst_ns;
	int64_t room_ns = rate->burst_ns + rate->interval_ns - result.full_ns;
	result.left = room_ns > 0 ? room_ns / rate->interval_ns : 0;
	return result;
}

int64_t rate_book_at(int64_t *due_ns, int64_t cost_ns, int64_t burst_ns, int64_t now_ns)
{
	*due_ns = (*due_ns > now_ns ? *due_ns : now_ns) + cost_ns;
	int64_t wait_ns = *due_ns - burst_ns - now_ns;
	return wait_ns > 0 ? wait_ns : 0;
}

int64_t rate_book(uint64_t key, int64_t cost_ns, int64_t burst_ns, int64_t now_ns)
{
	uint64_t set = hash_number(key) % SETS;
	pthread_mutex_t *lock = &table.locks[set % LOCKS];
	pthread_mutex_lock(lock);
	int64_t wait_ns = rate_book_at(&find(table.sets[set], key)->due_ns, cost_ns, burst_ns, now_ns);
	pthread_mutex_unlock(lock);
	return wait_ns;
}
