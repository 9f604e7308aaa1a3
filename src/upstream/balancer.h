// Balancers: how a server is chosen among those that take requests.
//
// Each is one file, balance_*.c, and one row in balancer.c. It chooses within a tier: the
// pool's ordinary servers, or its backups. Several threads choose at once; there are no
// locks. A tier never changes; servers' states do.
#ifndef USHER_UPSTREAM_BALANCER_H
#define USHER_UPSTREAM_BALANCER_H

#include "upstream/pool.h"
#include "upstream/server.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct member {
	struct server *server;
	uint32_t weight; // 1 or more: servers of weight 0 are in no tier
};

struct tier {
	struct member *members;
	uint32_t count;
	bool weights_equal;
	uint64_t weights; // their sum
	// The turns of one round of weighted round robin, as indexes of members.
	uint16_t *turns;
	uint32_t turn_count;
	void *state; // the balancer's own
	_Alignas(64) _Atomic uint64_t turn;
};

struct balancer_type {
	const char *name; // as configured
	const char *help; // one line
	// Makes and frees tier->state; NULL when it needs none. 0 or -ENOMEM.
	int (*init)(struct tier *tier);
	void (*fini)(struct tier *tier);
	// A server of the tier that may be tried (member_usable), taken for the request by
	// server_take. NULL when there is none. now_ns is the loop's clock.
	struct server *(*choose)(struct tier *tier, const struct pick *pick, int64_t now_ns);
};

// All that there are, ends with NULL; and their names in the same order, for the key table.
extern const struct balancer_type *const balancer_types[];
extern const char *const balancer_names[];

extern const struct balancer_type balance_round_robin;
extern const struct balancer_type balance_least_requests;

// --- For balancers.

// Whether the request may be sent there: not tried before, not resting (or its rest is over
// and the request may be the one that finds out), and with an address as far as is known.
bool member_usable(const struct member *member, const struct pick *pick, int64_t now_ns);

// Counts the request as in flight at a usable server. False when, in between, another
// thread took the one trial that a server has when its rest is over.
bool server_take(struct server *server, int64_t now_ns);

// As server_take, but only while exactly `expected` requests are in flight there.
bool server_take_at(struct server *server, uint32_t expected, int64_t now_ns);

// The member whose turn it is.
uint32_t tier_turn(struct tier *tier);

#endif
