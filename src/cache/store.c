#include "cache/store.h"

#include "base/check.h"
#include "base/hash.h"
#include "cache/vary.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SHARD_BITS_MAX = 6, FIRST_SLOTS = 64, HITS_MAX = 3, SMALL_SHARE = 10, SWEEP_STEP = 64, USES = 16384 };

// A shard has so much, where there is so much, lest large objects find no room in any.
static const uint64_t shard_bytes = UINT64_C(16) * 1024 * 1024;

struct queue {
	struct list_link objects; // newest first
	uint64_t bytes;
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	uint64_t *slots;	    // an object each, with a tag; 0: empty
	uint64_t *ghosts;	    // behind them, as many: of those that left the small queue unasked
	uint64_t left;		    // how many did
	uint32_t slot_count, count; // of slots a power of two
	struct queue small, main;
	uint64_t found, missed;
};

struct cache_store {
	struct hash_key key;
	_Atomic uint64_t budget_bytes;
	struct cache_purges purges;
	_Atomic uint64_t uses[USES]; // a hash, but for its last byte, which counts
	unsigned shard_bits, shard_count;
	struct shard shards[1 << SHARD_BITS_MAX]; // the first shard_count are used
};

static struct shard *shard_of(struct cache_store *store, uint64_t hash)
{
	return &store->shards[hash >> (64 - store->shard_bits)];
}

// --- Making

static bool make_table(struct shard *shard, uint32_t slot_count)
{
	uint64_t *slots = calloc(slot_count, 2 * sizeof *slots);
	if (!slots)
		return false;
	shard->slots = slots;
	shard->ghosts = slots + slot_count;
	shard->slot_count = slot_count;
	shard->count = 0;
	return true;
}

static bool shard_init(struct shard *shard)
{
	*shard = (struct shard){0};
	pthread_mutex_init(&shard->lock, NULL);
	list_init(&shard->small.objects);
	list_init(&shard->main.objects);
	return make_table(shard, FIRST_SLOTS);
}

struct cache_store *cache_store_new(uint64_t budget_bytes)
{
	struct cache_store *store = aligned_alloc(64, sizeof *store);
	if (!store)
		return NULL;
	hash_key_make(&store->key);
	atomic_init(&store->budget_bytes, budget_bytes);
	cache_purges_init(&store->purges);
	memset(store->uses, 0, sizeof store->uses);
	store->shard_bits = 1;
	while (store->shard_bits < SHARD_BITS_MAX && budget_bytes >> (store->shard_bits + 1) >= shard_bytes)
		store->shard_bits++;
	store->shard_count = 1U << store->shard_bits;
	bool whole = true;
	for (unsigned i = 0; i < store->shard_count; i++)
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
	for (unsigned i = 0; i < store->shard_count; i++) {
		struct shard *shard = &store->shards[i];
		queue_clear(&shard->small);
		queue_clear(&shard->main);
		pthread_mutex_destroy(&shard->lock);
		free(shard->slots);
	}
	cache_purges_fini(&store->purges);
	free(store);
}

void cache_store_set_budget(struct cache_store *store, uint64_t budget_bytes)
{
	if (atomic_load_explicit(&store->budget_bytes, memory_order_relaxed) != budget_bytes)
		atomic_store_explicit(&store->budget_bytes, budget_bytes, memory_order_relaxed);
}

uint64_t cache_store_budget(const struct cache_store *store)
{
	return atomic_load_explicit(&store->budget_bytes, memory_order_relaxed);
}

static uint64_t shard_budget(const struct cache_store *store)
{
	return cache_store_budget(store) >> store->shard_bits;
}

uint64_t cache_store_largest(const struct cache_store *store)
{
	return shard_budget(store) / 2;
}

uint64_t cache_store_hash(const struct cache_store *store, struct slice key)
{
	return hash_keyed(&store->key, key);
}

// --- A shard's table; all with its lock held
//
// Open addressing, with the next slots for those whose own is taken. A slot has bits of the hash beside the pointer, so
// that objects which are not meant stay where they are: among a million, each one touched is a miss of the processor's
// caches.

enum { POINTER_BITS = 48 };

static struct cache_object *object_in(uint64_t slot)
{
	return (struct cache_object *)(uintptr_t)(slot & ((UINT64_C(1) << POINTER_BITS) - 1));
}

// Of bits that choose neither the shard nor, but for huge tables, the slot.
static uint64_t tag_of(uint64_t hash)
{
	return (hash >> 42) << POINTER_BITS;
}

static bool is_tagged(uint64_t slot, uint64_t hash)
{
	return (slot ^ tag_of(hash)) >> POINTER_BITS == 0;
}

static uint32_t home_of(const struct shard *shard, uint64_t hash)
{
	return (uint32_t)hash & (shard->slot_count - 1);
}

// Of one that left, a part of its hash is remembered, and when that was, until as many others have left as there are
// objects.

enum { GHOST_BITS = 40, GHOSTS_MIN = 16 };

static uint64_t ghost_from(uint64_t hash, uint64_t left)
{
	return left << GHOST_BITS | (hash & ((UINT64_C(1) << GHOST_BITS) - 1));
}

static uint64_t *ghost_of(struct shard *shard, uint64_t hash)
{
	return &shard->ghosts[home_of(shard, hash)];
}

static bool has_left_of_late(struct shard *shard, uint64_t hash)
{
	uint64_t ghost = *ghost_of(shard, hash);
	uint64_t since = (shard->left - (ghost >> GHOST_BITS)) & (UINT64_MAX >> GHOST_BITS);
	return ghost << (64 - GHOST_BITS) == hash << (64 - GHOST_BITS) &&
	       since <= (shard->count > GHOSTS_MIN ? shard->count : GHOSTS_MIN);
}

static uint32_t after(const struct shard *shard, uint32_t slot)
{
	return (slot + 1) & (shard->slot_count - 1);
}

static void insert(struct shard *shard, struct cache_object *object)
{
	uint32_t slot = home_of(shard, object->hash);
	while (shard->slots[slot])
		slot = after(shard, slot);
	shard->slots[slot] = (uint64_t)(uintptr_t)object | tag_of(object->hash);
	shard->count++;
}

// Those behind it that would not be found any more come forward.
static void empty_slot(struct shard *shard, uint32_t slot)
{
	uint32_t mask = shard->slot_count - 1;
	for (uint32_t next = after(shard, slot); shard->slots[next]; next = after(shard, next)) {
		uint32_t home = home_of(shard, object_in(shard->slots[next])->hash);
		if (((next - home) & mask) < ((next - slot) & mask))
			continue;
		shard->slots[slot] = shard->slots[next];
		slot = next;
	}
	shard->slots[slot] = 0;
	shard->count--;
}

// Room for one more: two thirds of the slots are taken at most, or all but one where memory is out. False then.
static bool make_slot(struct shard *shard)
{
	if (shard->count + 1 <= shard->slot_count / 3 * 2)
		return true;
	struct shard former = *shard;
	if (!make_table(shard, former.slot_count * 2))
		return former.count + 1 < former.slot_count;
	for (uint32_t slot = 0; slot < former.slot_count; slot++) {
		if (former.slots[slot])
			insert(shard, object_in(former.slots[slot]));
		if (former.ghosts[slot])
			*ghost_of(shard, former.ghosts[slot]) = former.ghosts[slot];
	}
	free(former.slots);
	return true;
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
	uint32_t slot = home_of(shard, object->hash);
	while (object_in(shard->slots[slot]) != object)
		slot = after(shard, slot);
	empty_slot(shard, slot);
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
	uint32_t slot = home_of(shard, hash);
	for (; shard->slots[slot]; slot = after(shard, slot)) {
		struct cache_object *object = object_in(shard->slots[slot]);
		if (is_tagged(shard->slots[slot], hash) && is_for(object, key, hash) && object->variant == variant &&
		    cache_object_matches(object, request))
			return object;
	}
	return NULL;
}

// A plain answer beside which there is the same with a content coding from now on.
static struct cache_object *find_outdone(const struct shard *shard, const struct cache_object *object)
{
	uint32_t slot = home_of(shard, object->hash);
	for (; shard->slots[slot]; slot = after(shard, slot)) {
		struct cache_object *other = object_in(shard->slots[slot]);
		if (is_tagged(shard->slots[slot], object->hash) && is_for(other, object->key, object->hash) &&
		    cache_object_outdoes(object, other))
			return other;
	}
	return NULL;
}

// --- Eviction

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
	*ghost_of(shard, object->hash) = ghost_from(object->hash, shard->left++);
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
	struct cache_object *former;
	bool fits = !object->file && object->size_bytes <= cache_store_largest(store);
	bool in_main = false;
	pthread_mutex_lock(&shard->lock);
	while ((former = find(shard, object->key, object->hash, object->variant, request)) ||
	       (former = find_outdone(shard, object))) {
		in_main |= former->is_main;
		drop(shard, former);
	}
	fits = fits && cache_purges_spare(&store->purges, object, &object->asked_after) && make_slot(shard);
	if (fits) {
		in_main |= has_left_of_late(shard, object->hash);
		cache_object_ref(object);
		insert(shard, object);
		enqueue(shard, object, in_main);
	}
	make_room(shard, shard_budget(store));
	pthread_mutex_unlock(&shard->lock);
	return fits;
}

// The first one with the key in or behind a slot; *slot is where. NULL.
static struct cache_object *find_any(const struct shard *shard, struct slice key, uint64_t hash, uint32_t *slot)
{
	for (; shard->slots[*slot]; *slot = after(shard, *slot))
		if (is_tagged(shard->slots[*slot], hash) && is_for(object_in(shard->slots[*slot]), key, hash))
			return object_in(shard->slots[*slot]);
	return NULL;
}

unsigned cache_store_drop(struct cache_store *store, struct slice key, uint64_t hash)
{
	struct shard *shard = shard_of(store, hash);
	struct cache_object *object;
	unsigned count = 0;
	pthread_mutex_lock(&shard->lock);
	// Each time from the start: those behind come forward.
	for (uint32_t slot; slot = home_of(shard, hash), (object = find_any(shard, key, hash, &slot)); count++)
		drop(shard, object);
	pthread_mutex_unlock(&shard->lock);
	return count;
}

unsigned cache_store_outdate(struct cache_store *store, struct slice key, uint64_t hash)
{
	struct shard *shard = shard_of(store, hash);
	struct cache_object *object;
	unsigned count = 0;
	pthread_mutex_lock(&shard->lock);
	for (uint32_t slot = home_of(shard, hash); (object = find_any(shard, key, hash, &slot)); count++) {
		atomic_store_explicit(&object->is_outdated, true, memory_order_relaxed);
		slot = after(shard, slot);
	}
	pthread_mutex_unlock(&shard->lock);
	return count;
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

// With the shard's lock held. How many were meant: those that come forward into the slot, too.
static unsigned sweep_slot(struct cache_store *store, struct shard *shard, uint32_t slot)
{
	unsigned count = 0;
	while (shard->slots[slot]) {
		struct cache_object *object = object_in(shard->slots[slot]);
		bool was_outdated = atomic_load_explicit(&object->is_outdated, memory_order_relaxed);
		if (cache_purges_spare(&store->purges, object, &object->asked_after))
			return count +
			       (!was_outdated && atomic_load_explicit(&object->is_outdated, memory_order_relaxed));
		drop(shard, object);
		count++;
	}
	return count;
}

// When the table grows meanwhile, some are looked at twice; one that comes forward past where this is is looked at when
// it is found.
static unsigned sweep(struct cache_store *store, struct shard *shard)
{
	unsigned count = 0;
	uint32_t slots = 0;
	for (uint32_t slot = 0; slot == 0 || slot < slots;) {
		pthread_mutex_lock(&shard->lock);
		slot = slots == shard->slot_count ? slot : 0;
		slots = shard->slot_count;
		for (uint32_t i = 0; i < SWEEP_STEP && slot < slots; i++)
			count += sweep_slot(store, shard, slot++);
		pthread_mutex_unlock(&shard->lock);
	}
	return count;
}

int64_t cache_store_sweep(struct cache_store *store)
{
	int64_t count = 0;
	for (unsigned i = 0; i < store->shard_count; i++)
		count += sweep(store, &store->shards[i]);
	return count;
}

void cache_store_visit(struct cache_store *store, void (*visit)(struct cache_object *object, void *argument),
		       void *argument)
{
	for (unsigned i = 0; i < store->shard_count; i++) {
		struct shard *shard = &store->shards[i];
		pthread_mutex_lock(&shard->lock);
		for (uint32_t slot = 0; slot < shard->slot_count; slot++)
			if (shard->slots[slot])
				visit(object_in(shard->slots[slot]), argument);
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
	for (unsigned i = 0; i < store->shard_count; i++) {
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
