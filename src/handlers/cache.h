// What others may do with the cache that the handler `cache` fills.
#ifndef USHER_HANDLERS_CACHE_H
#define USHER_HANDLERS_CACHE_H

#include "base/slice.h"
#include "cache/store.h"

#include <stdbool.h>
#include <stdint.h>

struct snapshot;

// The store, made at first use. NULL when memory is out.
struct cache_store *cache_shared_store(void);

// Before a configuration is put to work, and when it is: the store has the memory that it says. By one thread alone.
void cache_memory_prepare(const struct snapshot *snapshot);
void cache_memory_use(const struct snapshot *snapshot);

// Forgets what is stored for the key, in memory and on the disk, and what is being fetched; how many variants were
// stored. May suspend.
unsigned cache_forget(struct cache_store *store, struct slice key, uint64_t hash);

// The key that the handler stores a URL's answers by (http or https, whatever port it names; the scheme and the host in
// either case), in the room given. False for what is no such URL, or has no room.
bool cache_key_of_url(struct slice url, char *room, size_t size, struct slice *ret_key);

// What it holds, and how often something was found.
void cache_read_status(struct cache_store_status *ret_status);

// For the operator, off the loop: what is stored, with a reference of each, at most so many; how many there are.
// All that begin with a URL (SLICE_EMPTY: all; *ret_is_all: none is left out); those that were used most, in order; all
// variants of a URL. -EINVAL when it is no such URL.
// Those on the disk come without their content, of which the length is told (.data is NULL).
int cache_list(struct slice prefix, struct cache_object **ret_objects, unsigned most, bool *ret_is_all);
int cache_top(struct cache_object **ret_objects, unsigned most); // in a room of `most`, half as many
int cache_show(struct slice url, struct cache_object **ret_objects, unsigned most);

// What is purged is dropped, or, softly, stays for when it may be used though it is stale.
//
// Forgets what is stored for a URL such as "https://example.com/page?x=1" (whatever port it names; the
// scheme and the host in either case): how many variants there were; -EINVAL for what is no such URL.
int cache_purge(struct slice url, bool is_soft);

// Forgets what is stored for all URLs that begin so, such as "https://example.com/shop/": how many answers there were;
// -EINVAL as before, -ENOMEM. Off the loop, as those below.
int64_t cache_purge_prefix(struct slice url, bool is_soft);

// Forgets what has the tag in Surrogate-Key or Cache-Tag: -EINVAL when it is empty or holds blanks or commas.
int64_t cache_purge_tag(struct slice tag, bool is_soft);

// Forgets everything.
int64_t cache_purge_all(bool is_soft);

#endif
