// The hosts of a configuration: from a host to its site in the time of one or two lookups,
// however many sites there are.
#ifndef USHER_EXCHANGE_SITE_INDEX_H
#define USHER_EXCHANGE_SITE_INDEX_H

#include "base/arena.h"
#include "base/slice.h"
#include "config/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct site;
struct site_index;

struct site_host {
	uint64_t hash;
	struct slice host; // normal; of a wildcard what follows "*."
	bool wildcard;	   // every host below it, at any depth, but not itself
	const struct site *site;
	struct config_place place;
};

// An index with room for so many hosts, in the arena. NULL when memory is out.
struct site_index *site_index_new(struct arena *arena, size_t hosts);

// Adds a host (as uri_normal_host makes it, and without "*."), or finds that it is there
// already: returns the entry that stood before, or NULL when it was added.
const struct site_host *site_index_add(struct site_index *index, const struct site_host *host);

// The site of every host that no other has.
void site_index_set_default(struct site_index *index, const struct site *site);

// The exact host, else the longest wildcard, else the default, else NULL.
const struct site *site_index_find(const struct site_index *index, struct slice host);

// All entries, in the order added.
const struct site_host *site_index_hosts(const struct site_index *index, size_t *ret_count);

#endif
