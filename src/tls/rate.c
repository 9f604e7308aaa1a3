#include "tls/rate.h"

#include "base/hash.h"
#include "fiber/loop.h"

#include <pthread.h>

enum { SHARDS = 64, SETS = 64, WAYS = 4 }; // 16,384 clients in 256 KiB

// A bucket is full again at full_ns, and each handshake moves that on (as the theoretical
// arrival time of the generic cell rate algorithm does): one number, and nothing to refill.
struct bucket {
	uint64_t client; // a keyed hash; 0: none
	int64_t full_ns;
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	_Alignas(64) struct bucket buckets[SETS][WAYS];
};

static struct shard shards_[SHARDS];
static struct hash_key hash_key_;
static pthread_once_t once_ = PTHREAD_ONCE_INIT;

static void begin(void)
{
	hash_key_make(&hash_key_);
	for (int i = 0; i < SHARDS; i++)
		pthread_mutex_init(&shards_[i].lock, NULL);
}

// The client's bucket; else the one that has been full for longest, made his.
static struct bucket *bucket_of(struct bucket set[WAYS], uint64_t client)
{
	struct bucket *oldest = set;
	for (int i = 0; i < WAYS; i++) {
		if (set[i].client == client)
			return &set[i];
		if (set[i].full_ns < oldest->full_ns)
			oldest = &set[i];
	}
	*oldest = (struct bucket){.client = client};
	return oldest;
}

static bool bucket_take(struct bucket *bucket, uint32_t rate, uint32_t burst, int64_t now_ns)
{
	int64_t each_ns = SECOND_NS / rate;
	int64_t full_ns = bucket->full_ns > now_ns ? bucket->full_ns : now_ns;
	if (full_ns - now_ns > each_ns * (int64_t)(burst - 1))
		return false;
	bucket->full_ns = full_ns + each_ns;
	return true;
}

bool tls_rate_take(const struct address *client, uint32_t rate, uint32_t burst, int64_t now_ns)
{
	uint64_t key[2];
	if (!address_client_key(client, key))
		return true;
	pthread_once(&once_, begin);
	uint64_t hash = hash_keyed(&hash_key_, slice_from(key, sizeof key));
	struct shard *shard = &shards_[hash % SHARDS];
	pthread_mutex_lock(&shard->lock);
	struct bucket *bucket = bucket_of(shard->buckets[hash / SHARDS % SETS], hash | 1);
	bool taken = bucket_take(bucket, rate, burst, now_ns);
	pthread_mutex_unlock(&shard->lock);
	return taken;
}
