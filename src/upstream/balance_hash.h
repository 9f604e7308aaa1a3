// Consistent hashing: requests with the same key meet the same server, and when a server comes
// or goes only its own share of the keys moves. For the files of this folder.
//
// What differs between the two methods is a row of servers for each key: the first that takes
// it is chosen.
#ifndef USHER_UPSTREAM_BALANCE_HASH_H
#define USHER_UPSTREAM_BALANCE_HASH_H

#include "upstream/balancer.h"

#include <stdint.h>

enum hash_method { HASH_MAGLEV, HASH_RING };

// A place for each hash: the index of a member.
struct hash_table {
	uint16_t *places;
	uint32_t place_count;
	// Of a ring: where each of its points stands, sorted, and where to begin to look.
	uint64_t *points;
	uint32_t *starts;
	unsigned start_bits;
};

// Fills in the table for the members: 0 or -ENOMEM. For maglev the one of Eisenbud et al.,
// "Maglev: A Fast and Reliable Software Network Load Balancer" (2016), section 3.4.
int hash_maglev_build(struct hash_table *table, const struct tier *tier);
// For ring the one of Karger et al., "Consistent Hashing and Random Trees" (1997).
int hash_ring_build(struct hash_table *table, const struct tier *tier);

// The place of a hash on the ring; places behind it follow, around the ring.
uint32_t hash_ring_place(const struct hash_table *table, uint64_t hash);

#endif
