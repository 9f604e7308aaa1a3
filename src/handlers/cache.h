// What others may do with the cache that the handler `cache` fills.
#ifndef USHER_HANDLERS_CACHE_H
#define USHER_HANDLERS_CACHE_H

#include "base/slice.h"
#include "cache/store.h"

#include <stdbool.h>
#include <stdint.h>

// The store, made at first use. NULL when memory is out.
struct cache_store *cache_shared_store(void);

// The key that the handler stores a URL's answers by (http or https, whatever port it names; the scheme and the host in
// either case), in the room given. False for what is no such URL, or has no room.
bool cache_key_of_url(struct slice url, char *room, size_t size, struct slice *ret_key);

// What it holds, and how often something was found.
void cache_read_status(struct cache_store_status *ret_status);

// Forgets what is stored for a URL such as "https://example.com/page?x=1" (whatever port it names; the
// scheme and the host in either case): how many variants there were; -EINVAL for what is no such URL.
int cache_purge(struct slice url);

// Forgets everything; how many answers there were.
uint64_t cache_purge_all(void);

#endif
