// A roster: the servers that a pool chooses from at one moment, in tiers by priority.
//
// Never changes: whoever changes membership or weights makes another one and puts it in its
// place. The old one lives until all threads have come round (local.h). For the files of
// this folder.
#ifndef USHER_UPSTREAM_ROSTER_H
#define USHER_UPSTREAM_ROSTER_H

#include "upstream/balancer.h"
#include "upstream/pool.h"
#include "upstream/thread_round.h"

#include <stdint.h>

// Priorities are 0, which is tried first, to ROSTER_PRIORITIES - 1, that of backups.
enum { ROSTER_PRIORITIES = 17, ROSTER_BACKUP = ROSTER_PRIORITIES - 1 };

struct roster {
	const struct balancer_type *balancer;
	struct pool_member *members; // holds references
	uint32_t count;
	struct tier *tiers; // those with members, by priority
	uint32_t tier_count;
	struct thread_round round; // until it may go
	struct roster *next;	   // among others that are to go
};

// A roster of these members, in this order; takes references of its own. NULL when memory is
// out.
struct roster *roster_new(const struct balancer_type *balancer, const struct balance_settings *settings,
			  const struct pool_member *members, uint32_t count);

// At once: nobody may choose from it any more. NULL is allowed. Not with the registry's lock
// held.
void roster_free(struct roster *roster);

// The same once all threads have come round.
void roster_retire(struct roster *roster);

#endif
