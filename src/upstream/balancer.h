// Balancers: how a server is chosen among those that take requests.
//
// Each is one file, balance_*.c, and one row in balancer.c. It chooses within a tier: the
// pool's servers of one priority. Several threads choose at once; there are no locks. A tier
// never changes; its servers' states do.
#ifndef USHER_UPSTREAM_BALANCER_H
#define USHER_UPSTREAM_BALANCER_H

#include "upstream/discovery.h"
#include "upstream/pool.h"
#include "upstream/server.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// Turns in a round; weights whose round would be longer are rounded.
enum { TIER_TURNS_MAX = 16384 };

struct member {
	struct server *server;
	uint32_t weight; // 1 or more: servers of weight 0 are in no tier
	uint64_t load;	 // of one request in flight: in inverse proportion to the weight
};

struct tier {
	struct member *members;
	uint32_t count;
	uint32_t turn_count; // of one round of weighted round robin,
	uint16_t *turns;     // as indexes of members
	void *state;	     // the balancer's own
	_Alignas(64) _Atomic uint32_t turn;
};

// What the configuration says beside the balancer's name.
struct balance_settings {
	uint32_t hash_method;	     // enum hash_method
	uint32_t hash_bound_percent; // 0: none
};

struct balancer_type {
	const char *name; // as configured
	// Makes and frees tier->state; NULL when it needs none. 0 or -ENOMEM, and then too fini
	// is called where there is a state.
	int (*init)(struct tier *tier, const struct balance_settings *settings);
	void (*fini)(struct tier *tier);
	// A server of the tier that is usable, taken for the request by server_take. NULL
	// when there is none. The tier has at least one member; now_ns is the loop's clock.
	struct server *(*choose)(struct tier *tier, struct pick *pick, int64_t now_ns);
};

// All that there are, and their names in the same order, for the table of keys. Both end
// with NULL.
extern const struct balancer_type *const balancer_types[];
extern const char *const balancer_names[];

extern const struct balancer_type balance_round_robin;
extern const struct balancer_type balance_least_requests;
extern const struct balancer_type balance_least_time;
extern const struct balancer_type balance_random;
extern const struct balancer_type balance_hash;
extern const struct balancer_type balance_first;

// --- For balancers.

// Whether a server with these holds may get the request all the same.
bool server_passes(const struct server *server, struct pick *pick, uint32_t holds, int64_t now_ns);

// Whether the request may be sent there but for the server's bound: not tried before, not resting (or
// its rest is over and a request may find out whether it is back), not held back, and with an
// address as far as is known.
static inline bool server_may_have(const struct server *server, struct pick *pick, int64_t now_ns)
{
	if (now_ns < atomic_load_explicit(&server->rest_until_ns, memory_order_relaxed))
		return false;
	for (unsigned i = 0; i < pick->tries; i++)
		if (pick->tried[i] == server)
			return false;
	uint32_t holds = atomic_load_explicit(&server->holds, memory_order_relaxed);
	if (holds != 0 && !server_passes(server, pick, holds, now_ns))
		return false;
	return !server->name || host_name_state(server->name) != HOST_NAME_FAILED;
}

// The same, and it is below its bound.
static inline bool server_usable(const struct server *server, struct pick *pick, int64_t now_ns)
{
	if (!server_may_have(server, pick, now_ns))
		return false;
	if (atomic_load_explicit(&server->in_flight, memory_order_relaxed) <
	    atomic_load_explicit(&server->max_requests, memory_order_relaxed))
		return true;
	pick->full = true;
	return false;
}

// Counts the request as in flight at a server that was found usable. False when, in
// between, another thread took the one trial that a server has when its rest is over, or the
// last request that it may have.
bool server_take(struct server *server, int64_t now_ns);

// As server_take, but only when exactly `expected` requests are in flight there.
bool server_take_at(struct server *server, uint32_t expected, int64_t now_ns);

// Takes a server although it rests, until until_ns, and lets the request find out whether it
// is back. False when another thread was quicker.
bool server_take_resting(struct server *server, int64_t until_ns, int64_t now_ns);

// The member whose turn it is in weighted round robin. Each call is a turn.
uint32_t tier_turn(struct tier *tier);

// A usable server by chance, as likely as its weight says, whether it is in a slow start or
// not; taken. NULL when there is none.
struct server *tier_any(struct tier *tier, struct pick *pick, int64_t now_ns);

// --- For pools.

// Makes a tier of the members (malloced), which are its own from now on. 0 or -ENOMEM;
// tier_fini is due in both cases.
int tier_init(struct tier *tier, struct member *members, uint32_t count);
void tier_fini(struct tier *tier);

#endif
