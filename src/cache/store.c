#include "cache/store.h"

#include "base/check.h"
#include "base/hash.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 64, FIRST_BUCKETS = 64, GHOSTS = 1024, HITS_MAX = 3, SMALL_SHARE = 10, SWEEP_STEP = 64, USES = 16384 };

struct queue {
	struct list_link objects; // newest first
	uint64_t bytes;
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct cache_object **buckets;
	uint32_t bucket_count, count; // of buckets a power of two
	struct queue small, main;
	uint64_t found, missed;
	uint64_t ghosts[GHOSTS]; // hashes of those that left the small queue unasked
};

struct cache_store {
	struct hash_key key;
	_Atomic uint64_t budget_bytes;
	struct cache_purges purges;
	_Atomic uint64_t uses[USES]; // a hash, but for its last byte, which counts
	struct shard shards[SHARDS];
};

static struct shard *shard_of(struct cache_store *store, uint64_t hash)
{
	return &store->shards[hash >> 58];
}

// --- Making

static bool shard_init(struct shard *shard)
{
	*shard = (struct shard){.bucket_count = FIRST_BUCKETS};
	pthread_mutex_init(&shard->lock, NULL);
	list_init(&shard->small.objects);
	list_init(&shard->main.objects);
	shard->buckets = calloc(FIRST_BUCKETS, sizeof(struct cache_object *));
	return shard->buckets != NULL;
}

struct cache_store *cache_store_new(uint64_t budget_bytes)
{
	_Static_assert(SHARDS == 1 << (64 - 58), "a shard for each of the first bits of a hash");
	struct cache_store *store = aligned_alloc(64, sizeof *store);
	if (!store)
		return NULL;
	hash_key_make(&store->key);
	atomic_init(&store->budget_bytes, budget_bytes);
	cache_purges_init(&store->purges);
	memset(store->uses, 0, sizeof store->uses);
	bool whole = true;
	for (unsigned i = 0; i < SHARDS; i++)
		whole = shard_init(&store->shards[i]) && whole;
	if (whole)
		return store;
	cache_store_free(store);
	return NULL;
}

static void queue_clear(struct queue *queue)
{
	for (struct list_link *link; (link = list_pop_front(&queue->objects));)
		cache_object_unref(LIST_ENTRY(link, struct cache_object, link));
}

void cache_store_free(struct cache_store *store)
{
	for (unsigned i = 0; i < SHARDS; i++) {
		struct shard *shard = &store->shards[i];
		queue_clear(&shard->small);
		queue_clear(&shard->main);
		pthread_mutex_destroy(&shard->lock);
		free(shard->buckets);
	}
	cache_purges_fini(&store->purges);
	free(store);
}

void cache_store_set_budget(struct cache_store *store, uint64_t budget_bytes)
{
	if (atomic_load_explicit(&store->budget_bytes, memory_order_relaxed) != budget_bytes)
		atomic_store_explicit(&store->budget_bytes, budget_bytes, memory_order_relaxed);
}

uint64_t cache_store_largest(const struct cache_store *store)
{
	return atomic_load_explicit(&store->budget_bytes, memory_order_relaxed) / SHARDS;
}

uint64_t cache_store_hash(const struct cache_store *store, struct slice key)
{
	return hash_keyed(&store->key, key);
}

// --- A shard's table; all with its lock held

static struct cache_object **bucket_of(struct shard *shard, uint64_t hash)
{
	return &shard->buckets[hash & (shard->bucket_count - 1)];
}

// Without memory for more buckets, chains grow.
static void grow(struct shard *shard)
{
	uint32_t count = shard->bucket_count * 2;
	struct cache_object **buckets = calloc(count, sizeof(struct cache_object *));
	if (!buckets)
		return;
	for (uint32_t i = 0; i < shard->bucket_count; i++) {
		struct cache_object *next;
		for (struct cache_object *object = shard->buckets[i]; object; object = next) {
			next = object->next;
			object->next = buckets[object->hash & (count - 1)];
			buckets[object->hash & (count - 1)] = object;
		}
	}
	free(shard->buckets);
	shard->buckets = buckets;
	shard->bucket_count = count;
}

static void enqueue(struct shard *shard, struct cache_object *object, bool main)
{
	struct queue *queue = main ? &shard->main : &shard->small;
	object->is_main = main;
	list_push_front(&queue->objects, &object->link);
	queue->bytes += object->size_bytes;
}

static void dequeue(struct shard *shard, struct cache_object *object)
{
	struct queue *queue = object->is_main ? &shard->main : &shard->small;
	list_remove(&object->link);
	queue->bytes -= object->size_bytes;
}

static void drop(struct shard *shard, struct cache_object *object)
{
	struct cache_object **at = bucket_of(shard, object->hash);
	while (*at != object)
		at = &(*at)->next;
	*at = object->next;
	shard->count--;
	dequeue(shard, object);
	cache_object_unref(object);
}

static bool is_for(const struct cache_object *object, struct slice key, uint64_t hash)
{
	return object->hash == hash && slice_equal(object->key, key);
}

static struct cache_object *find(struct shard *shard, struct slice key, uint64_t hash, uint64_t variant,
				 const struct fields *request)
{
	struct cache_object *object = *bucket_of(shard, hash);
	while (object &&
	       !(is_for(object, key, hash) && object->variant == variant && cache_object_matches(object, request)))
		object = object->next;
	return object;
}

// --- Eviction

static uint64_t *ghost_of(struct shard *shard, uint64_t hash)
{
	return &shard->ghosts[hash / FIRST_BUCKETS % GHOSTS];
}

static struct cache_object *oldest(struct queue *queue)
{
	return LIST_ENTRY(queue->objects.previous, struct cache_object, link);
}

// Asked for again while it was in the small queue, it is of use.
static void leave_small(struct shard *shard)
{
	struct cache_object *object = oldest(&shard->small);
	if (atomic_load_explicit(&object->hits, memory_order_relaxed) > 0) {
		dequeue(shard, object);
		atomic_store_explicit(&object->hits, 0, memory_order_relaxed);
		enqueue(shard, object, true);
		return;
	}
	*ghost_of(shard, object->hash) = object->hash;
	drop(shard, object);
}

// Each time that it was asked for is another round.
static void leave_main(struct shard *shard)
{
	struct cache_object *object = oldest(&shard->main);
	uint32_t hits = atomic_load_explicit(&object->hits, memory_order_relaxed);
	if (hits == 0) {
		drop(shard, object);
		return;
	}
	atomic_store_explicit(&object->hits, hits - 1, memory_order_relaxed);
	dequeue(shard, object);
	enqueue(shard, object, true);
}

// Ends: each step drops one, or uses up a hit.
static void make_room(struct shard *shard, uint64_t budget_bytes)
{
	while (shard->small.bytes + shard->main.bytes > budget_bytes) {
		bool small_is_full =
			shard->small.bytes > budget_bytes / SMALL_SHARE || list_is_empty(&shard->main.objects);
		if (small_is_full && !list_is_empty(&shard->small.objects))
			leave_small(shard);
		else
			leave_main(shard);
	}
}

// --- From outside

static void note_hit(struct cache_object *object)
{
	uint32_t uses = atomic_load_explicit(&object->uses, memory_order_relaxed);
	atomic_store_explicit(&object->uses, uses + (uses < UINT32_MAX), memory_order_relaxed);
	uint32_t hits = atomic_load_explicit(&object->hits, memory_order_relaxed);
	if (hits < HITS_MAX)
		atomic_store_explicit(&object->hits, hits + 1, memory_order_relaxed);
}

struct cache_object *cache_store_find(struct cache_store *store, struct slice key, uint64_t hash, uint64_t variant,
				      const struct fields *request)
{
	struct shard *shard = shard_of(store, hash);
	pthread_mutex_lock(&shard->lock);
	struct cache_object *object;
	while ((object = find(shard, key, hash, variant, request)) &&
	       !cache_purges_spare(&store->purges, object, &object->asked_after))
		drop(shard, object);
	if (object)
		cache_object_ref(object);
	*(object && object->status != CACHE_MARK ? &shard->found : &shard->missed) += 1;
	pthread_mutex_unlock(&shard->lock);
	if (object)
		note_hit(object);
	return object;
}

bool cache_store_put(struct cache_store *store, struct cache_object *object, const struct fields *request)
{
	struct shard *shard = shard_of(store, object->hash);
	uint64_t budget_bytes = cache_store_largest(store);
	struct cache_object *former;
	bool fits = !object->file && object->size_bytes <= budget_bytes;
	bool in_main = false;
	pthread_mutex_lock(&shard->lock);
	while ((former = find(shard, object->key, object->hash, object->variant, request))) {
		in_main |= former->is_main;
		drop(shard, former);
	}
	fits = fits && cache_purges_spare(&store->purges, object, &object->asked_after);
	if (fits) {
		uint64_t *ghost = ghost_of(shard, object->hash);
		in_main |= *ghost == object->hash;
		cache_object_ref(object);
		object->next = *bucket_of(shard, object->hash);
		*bucket_of(shard, object->hash) = object;
		enqueue(shard, object, in_main);
		if (++shard->count > shard->bucket_count)
			grow(shard);
	}
	make_room(shard, budget_bytes);
	pthread_mutex_unlock(&shard->lock);
	return fits;
}

// Calls for each response with the key; how many there were.
static unsigned for_each(struct cache_store *store, struct slice key, uint64_t hash,
			 void (*act)(struct shard *shard, struct cache_object *object))
{
	struct shard *shard = shard_of(store, hash);
	unsigned count = 0;
	pthread_mutex_lock(&shard->lock);
	struct cache_object *next;
	for (struct cache_object *object = *bucket_of(shard, hash); object; object = next) {
		next = object->next;
		if (!is_for(object, key, hash))
			continue;
		act(shard, object);
		count++;
	}
	pthread_mutex_unlock(&shard->lock);
	return count;
}

unsigned cache_store_drop(struct cache_store *store, struct slice key, uint64_t hash)
{
	return for_each(store, key, hash, drop);
}

static void outdate(struct shard *shard, struct cache_object *object)
{
	atomic_store_explicit(&object->is_outdated, true, memory_order_relaxed);
}

unsigned cache_store_outdate(struct cache_store *store, struct slice key, uint64_t hash)
{
	return for_each(store, key, hash, outdate);
}

// --- Purging

struct cache_purges *cache_store_purges(struct cache_store *store)
{
	return &store->purges;
}

uint64_t cache_store_asked_after(const struct cache_store *store)
{
	return cache_purges_last(&store->purges);
}

// With the shard's lock held. How many were meant.
static unsigned sweep_bucket(struct cache_store *store, struct shard *shard, uint32_t bucket)
{
	unsigned count = 0;
	struct cache_object *next;
	for (struct cache_object *object = shard->buckets[bucket]; object; object = next) {
		bool was_outdated = atomic_load_explicit(&object->is_outdated, memory_order_relaxed);
		next = object->next;
		if (!cache_purges_spare(&store->purges, object, &object->asked_after)) {
			drop(shard, object);
			count++;
		} else if (!was_outdated) {
			count += atomic_load_explicit(&object->is_outdated, memory_order_relaxed);
		}
	}
	return count;
}

// When the buckets grow meanwhile, some are looked at twice.
static unsigned sweep(struct cache_store *store, struct shard *shard)
{
	unsigned count = 0;
	uint32_t buckets = 0;
	for (uint32_t bucket = 0; bucket == 0 || bucket < buckets;) {
		pthread_mutex_lock(&shard->lock);
		bucket = buckets == shard->bucket_count ? bucket : 0;
		buckets = shard->bucket_count;
		for (uint32_t i = 0; i < SWEEP_STEP && bucket < buckets; i++)
			count += sweep_bucket(store, shard, bucket++);
		pthread_mutex_unlock(&shard->lock);
	}
	return count;
}

int64_t cache_store_sweep(struct cache_store *store)
{
	int64_t count = 0;
	for (unsigned i = 0; i < SHARDS; i++)
		count += sweep(store, &store->shards[i]);
	return count;
}

void cache_store_visit(struct cache_store *store, void (*visit)(struct cache_object *object, void *argument),
		       void *argument)
{
	for (unsigned i = 0; i < SHARDS; i++) {
		struct shard *shard = &store->shards[i];
		pthread_mutex_lock(&shard->lock);
		for (uint32_t bucket = 0; bucket < shard->bucket_count; bucket++)
			for (struct cache_object *object = shard->buckets[bucket]; object; object = object->next)
				visit(object, argument);
		pthread_mutex_unlock(&shard->lock);
	}
}

unsigned cache_store_count_use(struct cache_store *store, uint64_t hash)
{
	_Atomic uint64_t *place = &store->uses[hash / 256 % USES];
	uint64_t uses = atomic_load_explicit(place, memory_order_relaxed);
	uint64_t count = uses / 256 == hash / 256 ? uses % 256 : 0;
	count += count < 255;
	atomic_store_explicit(place, hash / 256 * 256 + count, memory_order_relaxed);
	return (unsigned)count;
}

void cache_store_read_status(struct cache_store *store, struct cache_store_status *ret_status)
{
	struct cache_store_status status = {.budget_bytes =
						    atomic_load_explicit(&store->budget_bytes, memory_order_relaxed)};
	for (unsigned i = 0; i < SHARDS; i++) {
		struct shard *shard = &store->shards[i];
		pthread_mutex_lock(&shard->lock);
		status.objects += shard->count;
		status.found += shard->found;
		status.missed += shard->missed;
		status.bytes += shard->small.bytes + shard->main.bytes;
		pthread_mutex_unlock(&shard->lock);
	}
	*ret_status = status;
}
