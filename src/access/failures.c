#include "access/failures.h"

#include "base/hash.h"

#include <pthread.h>
#include <string.h>

// As the loop counts time.
#define SECOND UINT64_C(1000000000)

enum { SETS = 16384, WAYS = 4, FORGOTTEN_S = 15 * 60 };

struct entry {
	uint64_t key; // 0: free
	int64_t last_ns, locked_until_ns;
	unsigned count;
};

static struct {
	pthread_once_t once;
	pthread_mutex_t lock;
	struct hash_key key;
	struct entry sets[SETS][WAYS];
} table = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

// By what failures count, and when they begin to cost: that many are free, then each doubles the wait.
enum { BY_BOTH, BY_NETWORK, BY_USER, KINDS };

static const struct {
	unsigned free;
	int64_t longest_s;
} rules[KINDS] = {
	[BY_BOTH] = {5, 15 * 60}, [BY_NETWORK] = {20, 15 * 60}, [BY_USER] = {50, 60}, // so that nobody keeps a user out
										      // for long by guessing at him
};

static void make_key(void)
{
	hash_key_make(&table.key);
}

static uint64_t network_hash(const struct address *client)
{
	uint64_t key[2];
	(void)address_client_key(client, key); // by a UNIX socket all are one
	return hash_keyed(&table.key, slice_from(key, sizeof key));
}

static void keys_of(const struct failures_try *tried, uint64_t ret_keys[KINDS])
{
	(void)pthread_once(&table.once, make_key);
	uint64_t user = hash_number(hash_keyed(&table.key, tried->login)) ^ hash_keyed(&table.key, tried->user);
	uint64_t network = network_hash(tried->client);
	ret_keys[BY_BOTH] = hash_number(user ^ hash_number(network)) | 1;
	ret_keys[BY_NETWORK] = hash_number(network + BY_NETWORK) | 1;
	ret_keys[BY_USER] = hash_number(user + BY_USER) | 1;
}

// With the lock held. The entry, or the one to be taken for it.
static struct entry *find(uint64_t key)
{
	struct entry *set = table.sets[key / 2 % SETS], *oldest = set;
	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].last_ns < oldest->last_ns)
			oldest = &set[i];
	}
	return oldest;
}

int64_t failures_wait_ns(const struct failures_try *tried, int64_t now_ns)
{
	uint64_t keys[KINDS];
	int64_t wait_ns = 0;
	keys_of(tried, keys);
	pthread_mutex_lock(&table.lock);
	for (unsigned kind = 0; kind < KINDS; kind++) {
		const struct entry *entry = find(keys[kind]);
		if (entry->key == keys[kind] && entry->locked_until_ns - now_ns > wait_ns)
			wait_ns = entry->locked_until_ns - now_ns;
	}
	pthread_mutex_unlock(&table.lock);
	return wait_ns;
}

static unsigned note(uint64_t key, unsigned kind, int64_t now_ns)
{
	struct entry *entry = find(key);
	bool goes_on = entry->key == key && now_ns - entry->last_ns < (int64_t)(FORGOTTEN_S * SECOND);
	unsigned count = goes_on ? entry->count + (entry->count < 1000000) : 1;
	int64_t wait_s = 0;
	if (count > rules[kind].free) {
		unsigned doubled = count - rules[kind].free - 1;
		wait_s = doubled < 20 ? INT64_C(1) << doubled : rules[kind].longest_s;
	}
	wait_s = wait_s < rules[kind].longest_s ? wait_s : rules[kind].longest_s;
	*entry = (struct entry){key, now_ns, now_ns + wait_s * (int64_t)SECOND, count};
	return count;
}

void failures_note(const struct failures_try *tried, int64_t now_ns, unsigned *ret_count)
{
	uint64_t keys[KINDS];
	keys_of(tried, keys);
	pthread_mutex_lock(&table.lock);
	for (unsigned kind = KINDS; kind-- > 0;)
		*ret_count = note(keys[kind], kind, now_ns);
	pthread_mutex_unlock(&table.lock);
}

void failures_forgive(const struct failures_try *tried)
{
	uint64_t keys[KINDS];
	keys_of(tried, keys);
	pthread_mutex_lock(&table.lock);
	struct entry *entry = find(keys[BY_BOTH]);
	if (entry->key == keys[BY_BOTH])
		*entry = (struct entry){0};
	pthread_mutex_unlock(&table.lock);
}

void failures_forget_all(void)
{
	pthread_mutex_lock(&table.lock);
	memset(table.sets, 0, sizeof table.sets);
	pthread_mutex_unlock(&table.lock);
}
