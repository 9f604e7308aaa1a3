// The store: responses in memory, found by their keys, within a budget of bytes that counts all of each.
//
// Shared by all threads, in shards with a lock each that is held for a few instructions. What is to go
// is chosen as S3-FIFO does (Yang, Zhang, Qiu, Yue and Vigfusson, "FIFO Queues are All You Need for
// Cache Eviction", SOSP 2023): new ones pass through a small queue, of which only those that were asked
// for again reach the main one; so a scan pushes nothing out that is of use.
#ifndef USHER_CACHE_STORE_H
#define USHER_CACHE_STORE_H

#include "cache/object.h"
#include "cache/purge.h"

#include <stdint.h>

struct cache_store;

// In so many shards that each has 16 MiB, and at least two. NULL when memory is out.
struct cache_store *cache_store_new(uint64_t budget_bytes);

// Gives back its references; whoever still holds one goes on.
void cache_store_free(struct cache_store *store);

// What is too much goes with the next responses that come. The shards stay as many as they are.
void cache_store_set_budget(struct cache_store *store, uint64_t budget_bytes);

// What the hash of a key is here.
uint64_t cache_store_hash(const struct cache_store *store, struct slice key);

// The newest response with the key and the variant that matches the request's fields, fresh or not, with a reference;
// or NULL. From any thread.
struct cache_object *cache_store_find(struct cache_store *store, struct slice key, uint64_t hash, uint64_t variant,
				      const struct fields *request);

uint64_t cache_store_budget(const struct cache_store *store);

// No object of more bytes is stored: half of what a shard has, which is an eighth of 64 MiB.
uint64_t cache_store_largest(const struct cache_store *store);

// Puts one in, in the place of those that would have answered the same request (whose fields are
// given). Takes a reference of its own. One that is too large, or whose content is in a file, is not
// stored, but the others are gone: false; nor is what a purge since it was asked for means.
bool cache_store_put(struct cache_store *store, struct cache_object *object, const struct fields *request);

// Drops all responses with the key; how many there were.
unsigned cache_store_drop(struct cache_store *store, struct slice key, uint64_t hash);

// The same, but they stay, stale from now on.
unsigned cache_store_outdate(struct cache_store *store, struct slice key, uint64_t hash);

// What is asked for now has seen all purges to this one.
uint64_t cache_store_asked_after(const struct cache_store *store);

// Where purges are added: from then on nothing is found that they mean.
struct cache_purges *cache_store_purges(struct cache_store *store);

// Goes through all that is stored for what purges mean, with the shards' locks held for moments: how many responses
// they meant. Off the loop.
int64_t cache_store_sweep(struct cache_store *store);

// Calls for each stored response, with its shard's lock held: `visit` is short, and keeps only what it takes a
// reference of.
void cache_store_visit(struct cache_store *store, void (*visit)(struct cache_object *object, void *argument),
		       void *argument);

// Counts one more use of what is not stored: how many there were of late, this one too. An estimate: others may have
// taken the place, and it begins anew.
unsigned cache_store_count_use(struct cache_store *store, uint64_t hash);

struct cache_store_status {
	uint64_t objects, bytes, budget_bytes;
	uint64_t found, missed; // by cache_store_find
};
void cache_store_read_status(struct cache_store *store, struct cache_store_status *ret_status);

#endif
