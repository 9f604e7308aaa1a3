#include "net/connection_count.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SHARDS = 64, BUCKETS = 256 };

// One client that has connections.
struct counted {
	struct counted *next;
	uint64_t key[2];
	uint32_t connections;
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct counted *buckets[BUCKETS];
};

static struct shard shards_[SHARDS];
static struct hash_key hash_key_;
static pthread_once_t once_ = PTHREAD_ONCE_INIT;
static _Atomic uint32_t all_;

static void begin(void)
{
	hash_key_make(&hash_key_);
	for (int i = 0; i < SHARDS; i++)
		pthread_mutex_init(&shards_[i].lock, NULL);
}

// The link that points to the client's entry, or the NULL at the end of its chain.
static struct counted **find(struct shard *shard, uint64_t hash, const uint64_t key[2])
{
	struct counted **at = &shard->buckets[hash / SHARDS % BUCKETS];
	while (*at && ((*at)->key[0] != key[0] || (*at)->key[1] != key[1]))
		at = &(*at)->next;
	return at;
}

static enum connection_verdict count_in(struct shard *shard, uint64_t hash, const uint64_t key[2], uint32_t limit)
{
	struct counted **at = find(shard, hash, key);
	if (!*at) {
		*at = calloc(1, sizeof **at);
		if (!*at)
			return CONNECTION_NO_MEMORY;
		(*at)->key[0] = key[0];
		(*at)->key[1] = key[1];
	}
	if (limit && (*at)->connections >= limit)
		return CONNECTION_TOO_MANY_FROM_CLIENT;
	(*at)->connections++;
	return CONNECTION_COUNTED;
}

static struct shard *lock_shard(const uint64_t key[2], uint64_t *ret_hash)
{
	pthread_once(&once_, begin);
	*ret_hash = hash_keyed(&hash_key_, slice_from(key, 2 * sizeof key[0]));
	struct shard *shard = &shards_[*ret_hash % SHARDS];
	pthread_mutex_lock(&shard->lock);
	return shard;
}

enum connection_verdict connection_count_add(const struct address *client, uint32_t limit, uint32_t limit_per_client)
{
	uint64_t key[2], hash;
	uint32_t before = atomic_fetch_add_explicit(&all_, 1, memory_order_relaxed);
	enum connection_verdict verdict = limit && before >= limit ? CONNECTION_TOO_MANY : CONNECTION_COUNTED;
	if (verdict == CONNECTION_COUNTED && address_client_key(client, key)) {
		struct shard *shard = lock_shard(key, &hash);
		verdict = count_in(shard, hash, key, limit_per_client);
		pthread_mutex_unlock(&shard->lock);
	}
	if (verdict != CONNECTION_COUNTED)
		atomic_fetch_sub_explicit(&all_, 1, memory_order_relaxed);
	return verdict;
}

bool connection_admit(const struct address *client, uint32_t limit, uint32_t limit_per_client)
{
	char buffer[ADDRESS_TEXT_MAX];
	struct slice text = address_format_ip(client, buffer);
	switch (connection_count_add(client, limit, limit_per_client)) {
	case CONNECTION_COUNTED:
		return true;
	case CONNECTION_TOO_MANY:
		log_warning("%u connections are open: refusing others (limits.connections)", limit);
		return false;
	case CONNECTION_TOO_MANY_FROM_CLIENT:
		log_warning("%.*s has %u connections open: refusing others (limits.connections_per_client)",
			    SLICE_ARGUMENTS(text), limit_per_client);
		return false;
	case CONNECTION_NO_MEMORY:
		return false;
	}
	return false;
}

void connection_count_remove(const struct address *client)
{
	uint64_t key[2], hash;
	atomic_fetch_sub_explicit(&all_, 1, memory_order_relaxed);
	if (!address_client_key(client, key))
		return;
	struct shard *shard = lock_shard(key, &hash);
	struct counted **at = find(shard, hash, key), *counted = *at;
	check(counted && counted->connections > 0);
	if (--counted->connections == 0) {
		*at = counted->next;
		free(counted);
	}
	pthread_mutex_unlock(&shard->lock);
}

uint32_t connection_count_all(void)
{
	return atomic_load_explicit(&all_, memory_order_relaxed);
}
