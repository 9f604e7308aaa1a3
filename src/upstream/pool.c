#include "upstream/pool.h"

#include "base/check.h"
#include "fiber/loop.h"
#include "upstream/balancer.h"
#include "upstream/pool_build.h"
#include "upstream/pool_queue.h"
#include "upstream/registry.h"

// The request is in flight there, and keeps it until server_end. NULL when another thread took the
// last place that the pool had. Who tries again still has the place of the try before.
static struct server *picked(struct pick *pick, struct server *server)
{
	struct pool_family *family = server->family;
	uint32_t before = atomic_fetch_add_explicit(&family->in_flight, 1, memory_order_relaxed);
	server_ref(server);
	if (before >= atomic_load_explicit(&family->max_requests, memory_order_relaxed) && pick->tries == 0) {
		pick->full = true;
		pick->fault = FAULT_OVERLOADED;
		pool_queue_leave(server);
		return NULL;
	}
	if (pick->tries == 0)
		atomic_fetch_add_explicit(&server->family->requests, 1, memory_order_relaxed);
	pick->tried[pick->tries++] = server;
	return server;
}

// --- When no server takes requests

static bool may_wake(const struct server *server, const struct pick *pick)
{
	uint32_t holds = atomic_load_explicit(&server->holds, memory_order_relaxed);
	if (holds & (HOLD_DISABLED | HOLD_DRAINING | HOLD_SLOW))
		return false;
	for (unsigned i = 0; i < pick->tries; i++)
		if (pick->tried[i] == server)
			return false;
	return !(atomic_load_explicit(&server->ill, memory_order_relaxed) & pick->checks);
}

// The server whose rest ends first, NULL when none rests that would get requests otherwise.
static struct server *first_to_wake(const struct roster *roster, const struct pick *pick, int64_t *ret_until_ns)
{
	struct server *first = NULL;
	int64_t first_ns = INT64_MAX;
	for (uint32_t i = 0; i < roster->count; i++) {
		struct server *server = roster->members[i].server;
		int64_t until_ns = atomic_load_explicit(&server->rest_until_ns, memory_order_relaxed);
		if (roster->members[i].weight > 0 && until_ns != 0 && until_ns < first_ns && may_wake(server, pick)) {
			first = server;
			first_ns = until_ns;
		}
	}
	*ret_until_ns = first_ns;
	return first;
}

static bool all_unresolved(const struct roster *roster)
{
	uint32_t servers = 0;
	for (uint32_t i = 0; i < roster->count; i++) {
		const struct host_name *name = roster->members[i].server->name;
		if (roster->members[i].weight == 0)
			continue;
		servers++;
		if (!name || host_name_state(name) != HOST_NAME_FAILED)
			return false;
	}
	return servers > 0;
}

// Lets one request at a time through to the server that wakes first: when all servers had been
// restarted, visitors need not wait until the rests are over.
static struct server *try_last_resort(const struct pool *pool, struct server *server, int64_t until_ns, int64_t now_ns)
{
	_Atomic int64_t *next_ns = &pool->family->last_resort_ns;
	int64_t due_ns = atomic_load_explicit(next_ns, memory_order_relaxed);
	if (now_ns < due_ns || !atomic_compare_exchange_strong_explicit(next_ns, &due_ns, now_ns + POOL_LAST_RESORT_NS,
									memory_order_relaxed, memory_order_relaxed))
		return NULL;
	return server_take_resting(server, until_ns, now_ns) ? server : NULL;
}

static struct server *pick_none(const struct pool *pool, const struct roster *roster, struct pick *pick, int64_t now_ns)
{
	int64_t until_ns;
	struct server *first = first_to_wake(roster, pick, &until_ns);
	if (first) {
		struct server *server = try_last_resort(pool, first, until_ns, now_ns);
		if (server)
			return picked(pick, server);
	}
	int64_t due_ns = atomic_load_explicit(&pool->family->last_resort_ns, memory_order_relaxed);
	if (first)
		pick->retry_after_ns = (due_ns < until_ns ? due_ns : until_ns) - now_ns;
	if (pick->retry_after_ns < 0)
		pick->retry_after_ns = 0;
	pick->all_rest = first && !pick->full;
	pick->fault = pick->full ? FAULT_OVERLOADED : all_unresolved(roster) ? FAULT_DNS_FAILED : FAULT_NO_SERVER;
	return NULL;
}

// --- Picking

static struct server *choose(const struct pool *pool, const struct roster *roster, struct pick *pick, int64_t now_ns)
{
	struct server *server = NULL;
	for (uint32_t i = 0; i < roster->tier_count && !server; i++)
		server = pool->balancer->choose(&roster->tiers[i], pick, now_ns);
	return server;
}

// The server that the request's token names, as long as it takes requests at all, new or old.
static struct server *pick_stuck(const struct roster *roster, struct pick *pick, int64_t now_ns)
{
	for (uint32_t i = 0; i < roster->count && !pick->stuck; i++)
		if (atomic_load_explicit(&roster->members[i].server->token, memory_order_relaxed) == pick->token)
			pick->stuck = roster->members[i].server;
	if (!pick->stuck)
		return NULL;
	pick->sticks = pick->takes_unproven = pick->takes_cold = true;
	bool taken = server_usable(pick->stuck, pick, now_ns) && server_take(pick->stuck, now_ns);
	pick->sticks = pick->takes_unproven = pick->takes_cold = false;
	return taken ? pick->stuck : NULL;
}

static bool is_at_bound(const struct pool_family *family)
{
	return atomic_load_explicit(&family->in_flight, memory_order_relaxed) >=
	       atomic_load_explicit(&family->max_requests, memory_order_relaxed);
}

struct server *pool_pick(struct pool *pool, struct pick *pick)
{
	int64_t now_ns = loop_now();
	pick->all_rest = false;
	pick->full = pick->tries == 0 && is_at_bound(pool->family);
	if (pick->full || pick->tries >= pool->tries) {
		pick->fault = pick->full ? FAULT_OVERLOADED : FAULT_NO_SERVER;
		return NULL;
	}
	const struct roster *roster = atomic_load_explicit(&pool->roster, memory_order_acquire);
	pick->met_unproven = pick->takes_unproven = pick->takes_cold = false;
	struct server *server = pick->token != 0 && pick->tries == 0 ? pick_stuck(roster, pick, now_ns) : NULL;
	if (!server && pick->stuck && (pick->full || pick->refuses_others)) {
		pick->fault = pick->full ? FAULT_OVERLOADED : FAULT_NO_SERVER;
		return NULL;
	}
	if (!server)
		server = choose(pool, roster, pick, now_ns);
	// Servers are just being found: who waits a moment gets one.
	if (!server && atomic_load_explicit(&pool->family->is_finding, memory_order_relaxed))
		pick->full = true;
	// A crowd at proven servers is no reason to try unproven ones.
	if (!server && pick->met_unproven && !pick->full) {
		pick->takes_unproven = true;
		server = choose(pool, roster, pick, now_ns);
	}
	return server ? picked(pick, server) : pick_none(pool, roster, pick, now_ns);
}

// --- What a pool tells

struct slice pool_name(const struct pool *pool)
{
	return pool->family->name;
}

size_t pool_server_count(const struct pool *pool)
{
	return atomic_load(&pool->roster)->count;
}

struct pool_member pool_member(const struct pool *pool, size_t index)
{
	const struct roster *roster = atomic_load(&pool->roster);
	check(index < roster->count);
	return roster->members[index];
}

struct server *pool_server(const struct pool *pool, size_t index)
{
	return pool_member(pool, index).server;
}

bool pool_hashes(const struct pool *pool)
{
	return pool->balancer == &balance_hash;
}

const struct balancer_type *pool_balancer(const struct pool *pool)
{
	return pool->balancer;
}

void pool_read_status(const struct pool *pool, struct pool_status *ret_status)
{
	const struct pool_family *family = pool->family;
	*ret_status = (struct pool_status){
		.in_flight = atomic_load_explicit(&family->in_flight, memory_order_relaxed),
		.max_requests = atomic_load_explicit(&family->max_requests, memory_order_relaxed),
		.waiting = atomic_load_explicit(&family->line.waiting, memory_order_relaxed),
		.requests = atomic_load_explicit(&family->requests, memory_order_relaxed),
	};
}
