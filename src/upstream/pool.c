#include "upstream/pool.h"

#include "base/check.h"
#include "fiber/loop.h"
#include "upstream/balancer.h"
#include "upstream/pool_build.h"
#include "upstream/registry.h"

// How often a request is tried although all servers rest.
#define LAST_RESORT_NS SECOND_NS

static struct server *picked(struct pick *pick, struct server *server)
{
	pick->tried[pick->tries++] = server;
	return server;
}

// --- When no server takes requests

// The untried server whose rest ends first, NULL when a server does not rest (and so was
// tried, or has no address).
static struct server *first_to_wake(const struct pool *pool, int64_t *ret_until_ns)
{
	struct server *first = NULL;
	int64_t first_ns = INT64_MAX;
	for (unsigned i = 0; i < POOL_TIERS; i++) {
		const struct tier *tier = &pool->tiers[i];
		for (uint32_t j = 0; j < tier->count; j++) {
			struct server *server = tier->members[j].server;
			int64_t until_ns = atomic_load_explicit(&server->rest_until_ns, memory_order_relaxed);
			if (until_ns != 0 && until_ns < first_ns) {
				first = server;
				first_ns = until_ns;
			}
		}
	}
	*ret_until_ns = first_ns;
	return first;
}

static bool all_unresolved(const struct pool *pool)
{
	uint32_t servers = 0;
	for (unsigned i = 0; i < POOL_TIERS; i++) {
		const struct tier *tier = &pool->tiers[i];
		for (uint32_t j = 0; j < tier->count; j++, servers++) {
			const struct host_name *name = tier->members[j].server->name;
			if (!name || host_name_state(name) != HOST_NAME_FAILED)
				return false;
		}
	}
	return servers > 0;
}

// Lets one request a second through to the server that wakes first: when all servers had
// been restarted at once, visitors need not wait until the rests are over.
static struct server *try_last_resort(const struct pool *pool, struct server *server, int64_t until_ns, int64_t now_ns)
{
	_Atomic int64_t *next_ns = &pool->family->last_resort_ns;
	int64_t due_ns = atomic_load_explicit(next_ns, memory_order_relaxed);
	if (now_ns < due_ns || !atomic_compare_exchange_strong_explicit(next_ns, &due_ns, now_ns + LAST_RESORT_NS,
									memory_order_relaxed, memory_order_relaxed))
		return NULL;
	return server_take_resting(server, until_ns, now_ns) ? server : NULL;
}

static struct server *pick_none(const struct pool *pool, struct pick *pick, int64_t now_ns)
{
	int64_t until_ns;
	struct server *first = first_to_wake(pool, &until_ns);
	if (first && pick->tries == 0) {
		struct server *server = try_last_resort(pool, first, until_ns, now_ns);
		if (server)
			return picked(pick, server);
	}
	int64_t due_ns = atomic_load_explicit(&pool->family->last_resort_ns, memory_order_relaxed);
	if (first)
		pick->retry_after_ns = (due_ns < until_ns ? due_ns : until_ns) - now_ns;
	if (pick->retry_after_ns < 0)
		pick->retry_after_ns = 0;
	pick->fault = all_unresolved(pool) ? FAULT_DNS_FAILED : FAULT_NO_SERVER;
	return NULL;
}

// --- Picking

struct server *pool_pick(struct pool *pool, struct pick *pick)
{
	int64_t now_ns = loop_now();
	if (pick->tries >= pool->tries) {
		pick->fault = FAULT_NO_SERVER;
		return NULL;
	}
	for (unsigned i = 0; i < POOL_TIERS; i++) {
		struct tier *tier = &pool->tiers[i];
		struct server *server = tier->count > 0 ? pool->balancer->choose(tier, pick, now_ns) : NULL;
		if (server)
			return picked(pick, server);
	}
	return pick_none(pool, pick, now_ns);
}

// --- What a pool tells

struct slice pool_name(const struct pool *pool)
{
	return pool->family->name;
}

size_t pool_server_count(const struct pool *pool)
{
	return pool->server_count;
}

struct server *pool_server(const struct pool *pool, size_t index)
{
	check(index < pool->server_count);
	return pool->servers[index].server;
}

const struct balancer_type *pool_balancer(const struct pool *pool)
{
	return pool->balancer;
}
