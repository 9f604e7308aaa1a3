#include "upstream/pool_build.h"

#include "base/check.h"
#include "upstream/local.h"
#include "upstream/registry.h"

#include <errno.h>
#include <stdlib.h>

// --- One pool

static const struct server_config *server_config_at(const struct pool_config *config, size_t index)
{
	return (const struct server_config *)config->servers.items + index;
}

static int tier_build(struct pool *pool, enum pool_tier which)
{
	struct tier *tier = &pool->tiers[which];
	struct member *members = calloc(pool->server_count + 1, sizeof(*members));
	if (!members)
		return -ENOMEM;
	uint32_t count = 0;
	for (uint32_t i = 0; i < pool->server_count; i++) {
		const struct pool_server *server = &pool->servers[i];
		if (server->weight > 0 && server->backup == (which == POOL_BACKUP))
			members[count++] = (struct member){.server = server->server, .weight = server->weight};
	}
	// On failure too, the tier has the members: pool_free gives them back.
	int failed = tier_init(tier, members, count);
	if (!failed && count > 0 && pool->balancer->init)
		failed = pool->balancer->init(tier);
	return failed;
}

static int servers_build(struct pool *pool, const struct pool_config *config)
{
	for (size_t i = 0; i < config->servers.count; i++) {
		const struct server_config *server = server_config_at(config, i);
		pool->servers[i] = (struct pool_server){
			.server = family_server(pool->family, server, &config->dns),
			.weight = (uint32_t)server->weight,
			.backup = server->backup,
		};
		if (!pool->servers[i].server)
			return -ENOMEM;
		pool->server_count++;
	}
	for (unsigned i = 0; i < POOL_TIERS; i++) {
		int failed = tier_build(pool, i);
		if (failed)
			return failed;
	}
	return 0;
}

// Whether what makes it this pool is as configured: servers, weights, balancer.
static bool pool_matches(const struct pool *pool, const struct pool_config *config)
{
	if (pool->server_count != config->servers.count || pool->balancer != balancer_types[config->balance] ||
	    pool->tries != config->tries)
		return false;
	for (uint32_t i = 0; i < pool->server_count; i++) {
		const struct pool_server *server = &pool->servers[i];
		const struct server_config *wanted = server_config_at(config, i);
		if (!family_server_matches(server->server, wanted, &config->dns) || server->weight != wanted->weight ||
		    server->backup != wanted->backup)
			return false;
	}
	return true;
}

// With the lock held. *ret_begun is a pool that could not be finished, to be disposed of.
static struct pool *pool_new(struct pool_family *family, const struct pool_config *config, struct pool **ret_begun)
{
	// The tiers' turns have cache lines of their own.
	struct pool *pool = aligned_alloc(_Alignof(struct pool), sizeof(*pool));
	if (!pool)
		return NULL;
	*pool = (struct pool){
		.balancer = balancer_types[config->balance],
		.family = family,
		.tries = (uint32_t)config->tries,
		.references = 1,
	};
	family->references++;
	pool->servers = calloc(config->servers.count + 1, sizeof(*pool->servers));
	if (!pool->servers || servers_build(pool, config) != 0) {
		*ret_begun = pool;
		return NULL;
	}
	pool->next = family->pools;
	family->pools = pool;
	return pool;
}

// With the lock held: the pool that is there already and is the same, or a new one.
static struct pool *pool_take(const struct pool_config *config, struct pool **ret_begun)
{
	struct pool_family *family = family_take(config->name.text);
	if (!family)
		return NULL;
	struct pool *pool = family->pools;
	while (pool && !pool_matches(pool, config))
		pool = pool->next;
	if (pool)
		pool->references++;
	else
		pool = pool_new(family, config, ret_begun);
	family_release(family);
	return pool;
}

// Without the lock: servers that end with the pool take it themselves.
static void pool_dispose(struct pool *pool)
{
	for (unsigned i = 0; i < POOL_TIERS; i++) {
		if (pool->balancer->fini && pool->tiers[i].state)
			pool->balancer->fini(&pool->tiers[i]);
		tier_fini(&pool->tiers[i]);
	}
	for (uint32_t i = 0; i < pool->server_count; i++)
		server_unref(pool->servers[i].server);
	registry_lock();
	family_release(pool->family);
	registry_unlock();
	free(pool->servers);
	free(pool);
}

// --- All pools of a configuration

// What may change while a pool stays the same.
static void apply_settings(struct pool *pool, const struct pool_config *config)
{
	// With nobody to stand in for it, a server that fails is still the best there is.
	bool rests = pool->tiers[POOL_ORDINARY].count + pool->tiers[POOL_BACKUP].count > 1;
	atomic_store(&pool->family->idle_connections, (uint32_t)config->idle.pool_connections);
	for (uint32_t i = 0; i < pool->server_count; i++) {
		struct server *server = pool->servers[i].server;
		struct server_settings *settings = &server->settings;
		atomic_store(&settings->rest_after, rests ? (uint32_t)config->rest.after : 0);
		atomic_store(&settings->rest_ns, config->rest.for_ns);
		atomic_store(&settings->rest_max_ns, config->rest.max_ns);
		atomic_store(&settings->idle_connections, (uint32_t)config->idle.connections);
		atomic_store(&settings->idle_timeout_ns, config->idle.timeout_ns);
		atomic_store(&settings->idle_age_ns, config->idle.age_ns);
		atomic_store(&settings->h2_connections, (uint32_t)config->h2.connections);
		atomic_store(&settings->h2_streams, (uint32_t)config->h2.streams);
		atomic_store(&settings->h2_queue, (uint32_t)config->h2.queue);
		atomic_store(&settings->h2_window_bytes, (uint32_t)config->h2.window_bytes);
		atomic_store(&settings->h2_ping_ns, config->h2.ping_ns);
		atomic_store(&settings->h2_ping_timeout_ns, config->h2.ping_timeout_ns);
		if (!rests || config->rest.after == 0)
			atomic_store(&server->rest_until_ns, 0);
	}
}

static void set_active(struct pool_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		struct pool *pool = set->pools[i]->pool;
		apply_settings(pool, set->pools[i]);
		pool->active++;
		for (uint32_t j = 0; j < pool->server_count; j++)
			atomic_fetch_add(&pool->servers[j].server->sets, 1);
	}
	set->active = true;
}

// With the lock held: the pools that nobody holds any more, as a list.
static struct pool *give_back(struct pool_set *set)
{
	struct pool *dead = NULL;
	for (size_t i = 0; i < set->count; i++) {
		struct pool *pool = set->pools[i]->pool;
		set->pools[i]->pool = NULL;
		if (!pool || --pool->references > 0)
			continue;
		struct pool **at = &pool->family->pools;
		while (*at != pool)
			at = &(*at)->next;
		*at = pool->next;
		pool->next = dead;
		dead = pool;
	}
	return dead;
}

static void dispose_all(struct pool *dead)
{
	while (dead) {
		struct pool *next = dead->next;
		pool_dispose(dead);
		dead = next;
	}
}

int pools_activate(struct pool_set *set)
{
	check(!set->used);
	struct pool *begun = NULL;
	struct pool *dead = NULL;
	bool whole = true;
	registry_lock();
	for (size_t i = 0; i < set->count && whole; i++) {
		set->pools[i]->pool = pool_take(set->pools[i], &begun);
		whole = set->pools[i]->pool != NULL;
	}
	if (whole) {
		set_active(set);
		set->used = true;
	} else {
		dead = give_back(set);
	}
	registry_unlock();
	if (begun)
		pool_dispose(begun);
	dispose_all(dead);
	return whole ? 0 : -ENOMEM;
}

void pools_retire(struct pool_set *set)
{
	if (!set->active)
		return;
	bool some_retired = false;
	registry_lock();
	for (size_t i = 0; i < set->count; i++) {
		struct pool *pool = set->pools[i]->pool;
		pool->active--;
		for (uint32_t j = 0; j < pool->server_count; j++)
			some_retired |= atomic_fetch_sub(&pool->servers[j].server->sets, 1) == 1;
	}
	set->active = false;
	registry_unlock();
	if (some_retired)
		upstream_threads_sweep();
}

void pools_release(struct pool_set *set)
{
	if (!set->used)
		return;
	pools_retire(set);
	registry_lock();
	struct pool *dead = give_back(set);
	set->used = false;
	registry_unlock();
	dispose_all(dead);
}

struct visit {
	pool_visitor *visit;
	void *argument;
};

static void visit_family(void *argument, struct pool_family *family)
{
	const struct visit *visit = argument;
	const struct pool *pool = family->pools;
	while (pool && pool->active == 0)
		pool = pool->next;
	if (pool)
		visit->visit(visit->argument, pool);
}

void pools_visit(pool_visitor *visit, void *argument)
{
	registry_lock();
	families_visit(visit_family, &(struct visit){visit, argument});
	registry_unlock();
}
