// A pool: servers that can stand in for each other, and the choice among them.
//
// Pools come from a frozen configuration (pool_config.h) and live as long as their
// snapshot; what must outlive a reload (servers and their state) is found again in a
// registry by the names of pool and server. A pool whose servers, weights and balancer did
// not change stays the very same one.
//
//	struct pick pick;
//	pick_init(&pick);
//	while ((server = pool_pick(pool, &pick)) != NULL) {
//		... server_connect(), send, receive; server_answered() ...
//		server_end(server, outcome, kind);
//		if (done or not to be repeated) break;
//	}
#ifndef USHER_UPSTREAM_POOL_H
#define USHER_UPSTREAM_POOL_H

#include "base/fault.h"
#include "base/slice.h"
#include "fiber/loop.h"
#include "upstream/pool_config.h"
#include "upstream/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct balancer_type;
struct pool;

// --- Picking. On the hot path: no locks, no allocation, does not suspend.

enum { PICK_TRIES_MAX = 16 }; // servers that one request may try

// How often a request is tried although all servers rest.
#define POOL_LAST_RESORT_NS (100 * MILLISECOND_NS)

// One request's way through the servers of a pool.
struct pick {
	uint64_t hash;		// of what should meet the same server again; for balancers that hash
	uint64_t checks;	// bits of the checks that a server must pass; all by default
	uint64_t token;		// of the server that it should meet again (sticky.h); 0: any
	bool refuses_others;	// when that one is there but does not take it
	struct server *stuck;	// that one, when it is there: also while it drains, or has the weight 0
	int64_t retry_after_ns; // when none was picked: when one may be usable again; 0: not known
	enum fault_kind fault;	// when none was picked: FAULT_NO_SERVER, FAULT_OVERLOADED or FAULT_DNS_FAILED
	bool full;		// some server, or the whole pool, has all the requests that it may have, and only that
				// kept this one from it
	bool all_rest;		// it is only that all rest: it will not be long until it is known whether one is back
	const char *setting;	// when it waited in vain (pool_queue.h): the key that says how long, or how many
	// While choosing.
	bool sticks;	     // a server that drains will do
	bool met_unproven;   // some server was passed over only since no check has come through
	bool takes_unproven; // such servers will do
	bool takes_cold;     // those in a slow start need no luck
	unsigned tries;
	struct server *tried[PICK_TRIES_MAX]; // [0..tries)
};

static inline void pick_init(struct pick *pick)
{
	pick->hash = 0;
	pick->checks = UINT64_MAX;
	pick->token = 0;
	pick->refuses_others = false;
	pick->stuck = NULL;
	pick->sticks = false;
	pick->full = pick->all_rest = false;
	pick->setting = NULL;
	pick->retry_after_ns = 0;
	pick->fault = FAULT_NONE;
	pick->tries = 0;
}

// The next server for this request, and counts the request as in flight there, so that
// other threads see it: each needs its server_end(). Never one that was tried before, nor
// one that rests, is held back (enum server_hold), has all the requests that it may have, or
// whose name has no address; those of a lower priority only when no other is left. Servers
// that no check has proven get requests only while there is none that is proven. When all
// rest, one request in each POOL_LAST_RESORT_NS is let through, to see whether they are back.
// The server that pick->token names comes first; while it is full, no other one will do.
// NULL: none is left; pick->fault says why.
struct server *pool_pick(struct pool *pool, struct pick *pick);

// --- Putting a configuration's pools to work; in the worker, from any one thread.

// Makes the runtime pools of a loaded configuration (pool_config.pool of each), before any
// exchange uses it. Never fails because of what is outside: names are resolved later, by
// discovery. 0, or -ENOMEM and nothing is changed.
int pools_activate(struct pool_set *set);

// New exchanges do not use the set any more: servers that no other active set names close
// their idle connections. Exchanges that hold it go on. Once for each pools_activate.
void pools_retire(struct pool_set *set);

// Nobody uses the set any more. Retires it if need be. Nothing, when it was not activated.
void pools_release(struct pool_set *set);

// --- What a pool tells.

struct slice pool_name(const struct pool *pool);
const struct balancer_type *pool_balancer(const struct pool *pool);

// Whether its choice depends on pick.hash.
bool pool_hashes(const struct pool *pool);

// The servers that it chooses from now: those configured, in their order, then those that
// came while running. They may change between two calls, but for a visitor of pools_visit
// and for tests. 0 <= index < count.
struct pool_member {
	struct server *server;
	uint32_t weight; // 0: no requests
	uint32_t priority;
};
size_t pool_server_count(const struct pool *pool);
struct server *pool_server(const struct pool *pool, size_t index);
struct pool_member pool_member(const struct pool *pool, size_t index);

struct pool_status {
	uint32_t in_flight;
	uint32_t max_requests; // SERVER_REQUESTS_UNBOUNDED: no bound
	uint32_t waiting;      // for a server that takes them
	uint64_t requests;     // that got a server
};
void pool_read_status(const struct pool *pool, struct pool_status *ret_status);

// Calls `visit` for each pool that is active, the newest of each name. Holds the registry's lock meanwhile.
typedef void pool_visitor(void *argument, const struct pool *pool);
void pools_visit(pool_visitor *visit, void *argument);

#endif
