#include "upstream/pool_change.h"

#include "base/log.h"
#include "upstream/health.h"
#include "upstream/local.h"
#include "upstream/pool_added.h"
#include "upstream/pool_build.h"
#include "upstream/registry.h"
#include "upstream/sticky.h"

#include <errno.h>
#include <stdlib.h>

// --- Finding

// With the lock held. NULL when there is no such pool, or it is not in use.
static struct pool *find_pool(struct slice name)
{
	struct pool_family *family = family_find(name);
	return family ? family_active_pool(family) : NULL;
}

static const struct pool_member *find_member(const struct pool *pool, struct slice name)
{
	const struct roster *roster = atomic_load(&pool->roster);
	for (uint32_t i = 0; i < roster->count; i++)
		if (slice_equal(server_name(roster->members[i].server), name))
			return &roster->members[i];
	return NULL;
}

// With the lock held: 0, -ENOENT or -ESRCH.
static int find(struct slice pool_name, struct slice server_name, struct pool **ret_pool,
		const struct pool_member **ret_member)
{
	*ret_pool = find_pool(pool_name);
	if (!*ret_pool)
		return -ENOENT;
	*ret_member = find_member(*ret_pool, server_name);
	return *ret_member ? 0 : -ESRCH;
}

// --- State

static const char *const state_words[] = {
	[SERVER_READY] = "gets requests", [SERVER_DRAINING] = "drains", [SERVER_DISABLED] = "is disabled"};

static enum server_state state_of(uint32_t holds)
{
	return holds & HOLD_DISABLED ? SERVER_DISABLED : holds & HOLD_DRAINING ? SERVER_DRAINING : SERVER_READY;
}

static uint32_t hold_of(enum server_state state)
{
	switch (state) {
	case SERVER_READY:
		return 0;
	case SERVER_DRAINING:
		return HOLD_DRAINING;
	case SERVER_DISABLED:
		return HOLD_DISABLED;
	}
	return 0;
}

int pool_set_state(struct slice pool_name, struct slice server_name, enum server_state state)
{
	struct pool *pool;
	const struct pool_member *member;
	registry_lock();
	int failed = find(pool_name, server_name, &pool, &member);
	if (!failed) {
		struct server *server = member->server;
		enum server_state before = state_of(atomic_load(&server->holds));
		server_release(server, (HOLD_DRAINING | HOLD_DISABLED) & ~hold_of(state));
		server_hold(server, hold_of(state));
		if (before != state && state == SERVER_READY)
			server_warm(server);
		log_info("pool %.*s: %.*s %s by the operator's word (before, it %s)", SLICE_ARGUMENTS(pool_name),
			 SLICE_ARGUMENTS(server_name), state_words[state], state_words[before]);
	}
	registry_unlock();
	return failed;
}

// --- Weight

static int64_t configured_weight(const struct pool *pool, const struct server *server)
{
	for (uint32_t i = 0; i < pool->configured_count; i++)
		if (pool->configured[i].member.server == server)
			return pool->configured[i].member.weight;
	return -1;
}

static struct pool_addition *find_addition(const struct pool_family *family, const struct server *server)
{
	struct pool_addition *added = family->added;
	while (added && added->member.server != server)
		added = added->next;
	return added;
}

// One that was added has no weight but this one.
static int change_weight(struct pool *pool, struct server *server, uint32_t weight, struct roster **ret_old)
{
	struct pool_addition *added = find_addition(pool->family, server);
	int64_t own = server->own_weight, over = server->own_weight_over;
	uint32_t of_added = added ? added->member.weight : 0;
	server->own_weight = weight;
	server->own_weight_over = configured_weight(pool, server);
	if (added)
		added->member.weight = weight;
	int failed = family_renew(pool->family, ret_old);
	if (failed) {
		server->own_weight = own;
		server->own_weight_over = over;
		if (added)
			added->member.weight = of_added;
	}
	return failed;
}

int pool_set_weight(struct slice pool_name, struct slice server_name, uint32_t weight)
{
	struct roster *old = NULL;
	struct pool *pool;
	const struct pool_member *member;
	if (weight > POOL_WEIGHT_MAX)
		return -EINVAL;
	registry_lock();
	int failed = find(pool_name, server_name, &pool, &member);
	uint32_t before = failed ? 0 : member->weight;
	if (!failed)
		failed = change_weight(pool, member->server, weight, &old);
	registry_unlock();
	rosters_retire(old);
	if (!failed)
		log_info("pool %.*s: %.*s has the weight %u by the operator's word (before, %u)",
			 SLICE_ARGUMENTS(pool_name), SLICE_ARGUMENTS(server_name), weight, before);
	return failed;
}

// --- Servers that are added

int pool_take_server(struct pool *pool, struct slice address, struct server **ret_server)
{
	char text[SERVER_NAME_MAX];
	struct server_config config = {.weight = 1};
	if (server_address_parse(address, &config.where) != NULL || !server_config_name(&config, pool->protocol, text))
		return -EINVAL;
	if (config.where.over_tls && !pool->tls)
		return -EPROTO;
	config.tls = config.where.over_tls ? pool->tls : NULL;
	struct server *server = family_server(pool->family, &config, &pool->dns);
	if (!server)
		return -ENOMEM;
	atomic_store(&server->token, pool->is_sticky ? sticky_token_of(&pool->sticky_key, server_name(server)) : 0);
	*ret_server = server;
	return 0;
}

// The same with what the operator said of it. -EEXIST when it is there already.
static int take_server(struct pool *pool, const struct server_addition *addition, struct pool_addition *added)
{
	int failed = pool_take_server(pool, addition->address, &added->member.server);
	if (failed)
		return failed;
	if (find_member(pool, server_name(added->member.server)))
		return -EEXIST;
	added->member.weight = addition->weight;
	added->member.priority = addition->priority;
	return 0;
}

// With the lock held. What a configured server was removed for is over.
static int add(struct pool *pool, const struct server_addition *addition, struct pool_addition *added,
	       struct roster **ret_old)
{
	const struct roster *roster = atomic_load(&pool->roster);
	if (roster->count >= POOL_SERVERS_MAX)
		return -ENOSPC;
	int failed = take_server(pool, addition, added);
	if (failed)
		return failed;
	struct server *server = added->member.server;
	server->removed = false;
	added->next = pool->family->added;
	pool->family->added = added;
	atomic_store(&server->max_requests,
		     addition->max_requests ? addition->max_requests : SERVER_REQUESTS_UNBOUNDED);
	failed = family_renew(pool->family, ret_old);
	if (failed)
		pool->family->added = added->next;
	return failed;
}

int pool_add_server(struct slice pool_name, const struct server_addition *addition)
{
	struct roster *old = NULL;
	if (addition->weight > POOL_WEIGHT_MAX || addition->priority > ROSTER_BACKUP)
		return -EINVAL;
	struct pool_addition *added = calloc(1, sizeof(*added));
	if (!added)
		return -ENOMEM;
	registry_lock();
	struct pool *pool = find_pool(pool_name);
	int failed = pool ? add(pool, addition, added, &old) : -ENOENT;
	registry_unlock();
	rosters_retire(old);
	health_look_again();
	if (failed) {
		pool_additions_free(added);
		return failed;
	}
	log_info("pool %.*s: %.*s was added by the operator, with the weight %u", SLICE_ARGUMENTS(pool_name),
		 SLICE_ARGUMENTS(addition->address), addition->weight);
	return 0;
}

static struct pool_addition *addition_unlink(struct pool_family *family, const struct server *server)
{
	struct pool_addition **at = &family->added;
	while (*at && (*at)->member.server != server)
		at = &(*at)->next;
	struct pool_addition *added = *at;
	if (added) {
		*at = added->next;
		added->next = NULL;
	}
	return added;
}

int pool_remove_server(struct slice pool_name, struct slice server_name)
{
	struct roster *old = NULL;
	struct pool_addition *added = NULL;
	struct pool *pool;
	const struct pool_member *member;
	registry_lock();
	int failed = find(pool_name, server_name, &pool, &member);
	if (!failed) {
		struct server *server = member->server;
		added = addition_unlink(pool->family, server);
		server->removed = true;
		failed = family_renew(pool->family, &old);
		if (failed) {
			server->removed = false;
			if (added) {
				added->next = pool->family->added;
				pool->family->added = added;
				added = NULL;
			}
		}
	}
	registry_unlock();
	rosters_retire(old);
	pool_additions_free(added);
	if (failed)
		return failed;
	health_look_again();
	upstream_threads_sweep();
	log_info("pool %.*s: %.*s was removed by the operator", SLICE_ARGUMENTS(pool_name),
		 SLICE_ARGUMENTS(server_name));
	return 0;
}

struct pool_addition *pool_additions_take(struct pool_family *family)
{
	struct pool_addition *first = family->added, **end = &first;
	while (*end)
		end = &(*end)->next;
	*end = family->found;
	family->added = family->found = NULL;
	return first;
}

void pool_additions_free(struct pool_addition *first)
{
	while (first) {
		struct pool_addition *next = first->next;
		if (first->member.server)
			server_unref(first->member.server);
		free(first);
		first = next;
	}
}
