#include "upstream/pool_build.h"

#include "base/check.h"
#include "upstream/find_servers.h"
#include "upstream/health.h"
#include "upstream/local.h"
#include "upstream/pool_added.h"
#include "upstream/pool_queue.h"
#include "upstream/registry.h"
#include "upstream/sticky.h"
#include "upstream/sticky_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// --- What a pool is made of

static const struct server_config *server_config_at(const struct pool_config *config, size_t index)
{
	return (const struct server_config *)config->servers.items + index;
}

static uint32_t bound_of(int64_t most)
{
	return most > 0 ? (uint32_t)most : SERVER_REQUESTS_UNBOUNDED;
}

uint32_t configured_max_requests(const struct server_config *config)
{
	return bound_of(config->max_requests);
}

static uint32_t priority_of(const struct server_config *config)
{
	return config->backup ? ROSTER_BACKUP : (uint32_t)config->priority;
}

static bool configured_matches(const struct configured *configured, const struct server_config *wanted,
			       const struct pool_dns_config *dns)
{
	return family_server_matches(configured->member.server, wanted, dns) &&
	       configured->member.weight == wanted->weight && configured->member.priority == priority_of(wanted) &&
	       configured->max_requests == configured_max_requests(wanted);
}

static struct balance_settings balance_of(const struct pool_config *config)
{
	return (struct balance_settings){
		.hash_method = (uint32_t)config->hash.method,
		.hash_bound_percent = (uint32_t)config->hash.bound_percent,
	};
}

static bool balances_alike(const struct balance_settings *a, const struct balance_settings *b)
{
	return a->hash_method == b->hash_method && a->hash_bound_percent == b->hash_bound_percent;
}

// Whether what makes it this pool is as configured: servers, weights, balancer.
static bool pool_matches(const struct pool *pool, const struct pool_config *config)
{
	if (pool->configured_count != config->servers.count || pool->balancer != balancer_types[config->balance] ||
	    pool->tries != config->tries)
		return false;
	struct balance_settings balance = balance_of(config);
	if (!balances_alike(&pool->balance, &balance))
		return false;
	for (uint32_t i = 0; i < pool->configured_count; i++)
		if (!configured_matches(&pool->configured[i], server_config_at(config, i), &config->dns))
			return false;
	return true;
}

static int servers_take(struct pool *pool, const struct pool_config *config)
{
	for (size_t i = 0; i < config->servers.count; i++) {
		const struct server_config *wanted = server_config_at(config, i);
		struct server *server = family_server(pool->family, wanted, &config->dns);
		if (!server)
			return -ENOMEM;
		pool->configured[pool->configured_count++] = (struct configured){
			.member = {server, (uint32_t)wanted->weight, priority_of(wanted)},
			.max_requests = configured_max_requests(wanted),
		};
	}
	if (config->tls_client)
		pool->tls = tls_client_ref(config->tls_client);
	return 0;
}

// With the lock held. *ret_begun is a pool that could not be finished, to be disposed of.
static struct pool *pool_new(struct pool_family *family, const struct pool_config *config, struct pool **ret_begun)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	*pool = (struct pool){
		.balancer = balancer_types[config->balance],
		.balance = balance_of(config),
		.family = family,
		.tries = (uint32_t)config->tries,
		.protocol = (enum server_protocol)config->protocol,
		.dns = config->dns,
		.references = 1,
	};
	family->references++;
	pool->configured = calloc(config->servers.count + 1, sizeof(*pool->configured));
	if (!pool->configured || servers_take(pool, config) != 0) {
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
	roster_free(atomic_load(&pool->roster));
	for (uint32_t i = 0; i < pool->configured_count; i++)
		server_unref(pool->configured[i].member.server);
	if (pool->tls)
		tls_client_unref(pool->tls);
	check_set_unref(pool->checks);
	registry_lock();
	family_release(pool->family);
	registry_unlock();
	free(pool->configured);
	free(pool);
}

// --- Rosters

static bool is_among(const struct pool_member *members, uint32_t count, const struct server *server)
{
	for (uint32_t i = 0; i < count; i++)
		if (members[i].server == server)
			return true;
	return false;
}

// What the operator says of its weight holds as long as what it took the place of.
static uint32_t weight_of(const struct pool_member *member)
{
	const struct server *server = member->server;
	bool is_own = server->own_weight >= 0 && server->own_weight_over == member->weight;
	return is_own ? (uint32_t)server->own_weight : member->weight;
}

static uint32_t gather_more(const struct pool_addition *more, bool anew, struct pool_member members[POOL_SERVERS_MAX],
			    uint32_t count)
{
	for (; more; more = more->next) {
		struct pool_member member = more->member;
		if (count == POOL_SERVERS_MAX || is_among(members, count, member.server) ||
		    (member.server->removed && !anew))
			continue;
		member.weight = weight_of(&member);
		members[count++] = member;
	}
	return count;
}

// The configured ones in their order, then those that were found, then what the operator added. With `anew` as if the
// operator had removed nothing, and with his weights only where they still hold.
static uint32_t gather(const struct pool *pool, bool anew, struct pool_member members[POOL_SERVERS_MAX])
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < pool->configured_count; i++) {
		struct pool_member member = pool->configured[i].member;
		if (member.server->removed && !anew)
			continue;
		member.weight = weight_of(&member);
		members[count++] = member;
	}
	// What was found is of use as long as it is asked for.
	if (anew ? pool->next_srv : pool->family->srv)
		count = gather_more(pool->family->found, anew, members, count);
	return gather_more(pool->family->added, anew, members, count);
}

static struct roster *gather_roster(const struct pool *pool, bool anew)
{
	struct pool_member *members = calloc(POOL_SERVERS_MAX, sizeof(*members));
	if (!members)
		return NULL;
	struct roster *roster = roster_new(pool->balancer, &pool->balance, members, gather(pool, anew, members));
	free(members);
	return roster;
}

static void apply_settings(const struct pool_settings *from, bool rests, struct server *server)
{
	struct server_settings *settings = &server->settings;
	atomic_store(&settings->rest_after, rests ? (uint32_t)from->rest.after : 0);
	atomic_store(&settings->rest_ns, from->rest.for_ns);
	atomic_store(&settings->rest_max_ns, from->rest.max_ns);
	for (unsigned i = 0; i < SERVER_STATUS_WORDS; i++)
		atomic_store(&settings->bad_statuses[i], from->rest.bad_statuses[i]);
	atomic_store(&settings->slow_start_ns, from->slow_start_ns);
	atomic_store(&settings->idle_connections, (uint32_t)from->idle.connections);
	atomic_store(&settings->idle_timeout_ns, from->idle.timeout_ns);
	atomic_store(&settings->idle_age_ns, from->idle.age_ns);
	atomic_store(&settings->h2_connections, (uint32_t)from->h2.connections);
	atomic_store(&settings->h2_streams, (uint32_t)from->h2.streams);
	atomic_store(&settings->h2_queue, (uint32_t)from->h2.queue);
	atomic_store(&settings->h2_window_bytes, (uint32_t)from->h2.window_bytes);
	atomic_store(&settings->h2_ping_ns, from->h2.ping_ns);
	atomic_store(&settings->h2_ping_timeout_ns, from->h2.ping_timeout_ns);
	if (!rests || from->rest.after == 0)
		atomic_store(&server->rest_until_ns, 0);
}

static uint32_t weighing_count(const struct roster *roster)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < roster->count; i++)
		count += roster->members[i].weight > 0;
	return count;
}

static void members_join(const struct pool *pool, const struct roster *roster)
{
	// With nobody to stand in for it, a server that fails is still the best there is.
	bool rests = weighing_count(roster) > 1;
	for (uint32_t i = 0; i < roster->count; i++) {
		struct server *server = roster->members[i].server;
		apply_settings(&pool->settings, rests, server);
		if (atomic_fetch_add(&server->sets, 1) > 0)
			continue;
		if (pool->checks && pool->checks->count > 0) {
			atomic_store(&server->unproven, UINT64_MAX >> (CHECKS_MAX - pool->checks->count));
			server_hold(server, HOLD_UNPROVEN);
		}
		if (pool->family->is_old)
			server_warm(server);
	}
}

// Whether some are in no roster any more.
static bool members_leave(const struct roster *roster)
{
	bool some_retired = false;
	for (uint32_t i = 0; i < roster->count; i++)
		some_retired |= atomic_fetch_sub(&roster->members[i].server->sets, 1) == 1;
	return some_retired;
}

// Puts the next roster in the place of the one that is there, which goes on the list.
static void roster_install(struct pool *pool, struct roster **old)
{
	struct roster *former = atomic_load(&pool->roster);
	if (pool->active > 0) {
		members_join(pool, pool->next_roster);
		if (former)
			(void)members_leave(former);
	}
	atomic_store_explicit(&pool->roster, pool->next_roster, memory_order_release);
	pool->next_roster = NULL;
	pool_queue_stir(pool->family);
	if (former) {
		former->next = *old;
		*old = former;
	}
}

static void rosters_free(struct roster *first)
{
	while (first) {
		struct roster *next = first->next;
		roster_free(first);
		first = next;
	}
}

void rosters_retire(struct roster *first)
{
	while (first) {
		struct roster *next = first->next;
		roster_retire(first);
		first = next;
	}
}

struct pool *family_active_pool(const struct pool_family *family)
{
	struct pool *pool = family->pools;
	while (pool && pool->active == 0)
		pool = pool->next;
	return pool;
}

int family_renew(struct pool_family *family, struct roster **ret_old)
{
	bool whole = true;
	*ret_old = NULL;
	for (struct pool *pool = family->pools; pool && whole; pool = pool->next)
		if (pool->active > 0)
			whole = (pool->next_roster = gather_roster(pool, false)) != NULL;
	for (struct pool *pool = family->pools; pool; pool = pool->next) {
		if (whole && pool->next_roster) {
			roster_install(pool, ret_old);
		} else if (pool->next_roster) {
			// Its servers have other references: nothing takes the lock anew.
			roster_free(pool->next_roster);
			pool->next_roster = NULL;
		}
	}
	return whole ? 0 : -ENOMEM;
}

// --- All pools of a configuration

// Who comes before the first look-up has ended waits for it.
static void adopt_srv(struct pool_family *family, const struct pool_config *config, char *srv)
{
	if (srv && !family->srv)
		atomic_store(&family->is_finding, true);
	free(family->srv);
	family->srv = srv;
	family->srv_scheme = config->srv_scheme;
}

// What was learnt of the answers goes on.
static void adopt_hedge(struct pool_family *family, const struct hedge_config *hedge)
{
	if (hedge->percent == 0 || atomic_load(&family->hedge_percent) == 0)
		atomic_store(&family->hedge_ns, hedge->after_ns);
	atomic_store(&family->hedge_percent, hedge->percent);
}

// What the operator did holds on where the configuration does not speak against it.
static void adopt(struct pool *pool, const struct pool_config *config)
{
	pool->settings = (struct pool_settings){
		.idle = config->idle, .rest = config->rest, .h2 = config->h2, .slow_start_ns = config->slow_start_ns};
	atomic_store(&pool->family->idle_connections, (uint32_t)config->idle.pool_connections);
	atomic_store(&pool->family->retry_percent, (uint32_t)config->retry_percent);
	atomic_store(&pool->family->max_requests, bound_of(config->max_requests));
	atomic_store(&pool->family->max_connections, bound_of(config->max_connections));
	adopt_hedge(pool->family, &config->hedge);
	atomic_store(&pool->family->queue_requests, (uint32_t)config->queue.requests);
	atomic_store(&pool->family->queue_ns, config->queue.timeout_ns);
	check_set_unref(pool->checks);
	pool->checks = pool->next_checks;
	pool->next_checks = NULL;
	adopt_srv(pool->family, config, pool->next_srv);
	pool->next_srv = NULL;
	pool->is_sticky = config->sticky != NULL;
	if (config->sticky)
		pool->sticky_key = config->sticky->key;
	for (uint32_t i = 0; i < pool->configured_count; i++) {
		struct server *server = pool->configured[i].member.server;
		server->removed = false;
		if (server->own_weight_over != pool->configured[i].member.weight)
			server->own_weight = -1;
		atomic_store(&server->max_requests, pool->configured[i].max_requests);
		const struct server_config *named = server_config_at(config, i);
		atomic_store(&server->settings.max_connections, bound_of(named->max_connections));
		atomic_store(&server->token, config->sticky ? sticky_token(config->sticky, named) : 0);
	}
}

static void set_active(struct pool_set *set, struct roster **old)
{
	for (size_t i = 0; i < set->count; i++) {
		struct pool *pool = set->pools[i]->pool;
		struct roster *former = atomic_load(&pool->roster);
		adopt(pool, set->pools[i]);
		// Not active before, its former members are counted nowhere.
		if (pool->active++ == 0 && former) {
			former->next = *old;
			*old = former;
			atomic_store(&pool->roster, NULL);
		}
		roster_install(pool, old);
	}
	for (size_t i = 0; i < set->count; i++)
		set->pools[i]->pool->family->is_old = true;
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

static bool prepare_checks(struct pool *pool, const struct pool_config *config)
{
	pool->next_checks = config->health.count > 0 ? check_set_new(&config->health) : NULL;
	return config->health.count == 0 || pool->next_checks;
}

static bool prepare_sessions(struct pool *pool, const struct pool_config *config)
{
	struct sticky_table *_Atomic *sessions = &pool->family->sessions;
	if (config->sticky && config->sticky->learn.text.length > 0 && !atomic_load(sessions))
		atomic_store(sessions, sticky_table_new());
	return !config->sticky || config->sticky->learn.text.length == 0 || atomic_load(sessions);
}

static bool prepare_srv(struct pool *pool, const struct pool_config *config)
{
	struct slice srv = config->srv_name;
	pool->next_srv = srv.length > 0 ? strndup(srv.data, srv.length) : NULL;
	return srv.length == 0 || pool->next_srv;
}

static bool take_all(struct pool_set *set, struct pool **ret_begun)
{
	for (size_t i = 0; i < set->count; i++) {
		struct pool *pool = set->pools[i]->pool = pool_take(set->pools[i], ret_begun);
		if (!pool)
			return false;
		if (!prepare_srv(pool, set->pools[i]) || !prepare_checks(pool, set->pools[i]) ||
		    !prepare_sessions(pool, set->pools[i]))
			return false;
		pool->next_roster = gather_roster(pool, true);
		if (!pool->next_roster)
			return false;
	}
	return true;
}

// With the lock held: the next rosters, as a list.
static struct roster *drop_next(struct pool_set *set)
{
	struct roster *first = NULL;
	for (size_t i = 0; i < set->count; i++) {
		struct pool *pool = set->pools[i]->pool;
		if (!pool)
			continue;
		check_set_unref(pool->next_checks);
		pool->next_checks = NULL;
		free(pool->next_srv);
		pool->next_srv = NULL;
		if (!pool->next_roster)
			continue;
		pool->next_roster->next = first;
		first = pool->next_roster;
		pool->next_roster = NULL;
	}
	return first;
}

int pools_activate(struct pool_set *set)
{
	check(!set->used);
	struct pool *begun = NULL, *dead = NULL;
	struct roster *old = NULL, *never_used = NULL;
	registry_lock();
	bool whole = take_all(set, &begun);
	if (whole) {
		set_active(set, &old);
		set->used = true;
	} else {
		never_used = drop_next(set);
		dead = give_back(set);
	}
	registry_unlock();
	health_look_again();
	find_servers_again();
	rosters_retire(old);
	rosters_free(never_used);
	if (begun)
		pool_dispose(begun);
	dispose_all(dead);
	return whole ? 0 : -ENOMEM;
}

static struct pool_addition *additions_join(struct pool_addition *first, struct pool_addition *others)
{
	struct pool_addition **end = &first;
	while (*end)
		end = &(*end)->next;
	*end = others;
	return first;
}

void pools_retire(struct pool_set *set)
{
	if (!set->active)
		return;
	bool some_retired = false;
	struct pool_addition *added = NULL;
	registry_lock();
	for (size_t i = 0; i < set->count; i++) {
		struct pool *pool = set->pools[i]->pool;
		if (--pool->active > 0)
			continue;
		some_retired |= members_leave(atomic_load(&pool->roster));
		if (!family_active_pool(pool->family))
			added = additions_join(pool_additions_take(pool->family), added);
	}
	set->active = false;
	registry_unlock();
	pool_additions_free(added);
	health_look_again();
	find_servers_again();
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
	const struct pool *pool = family_active_pool(family);
	if (pool)
		visit->visit(visit->argument, pool);
}

void pools_visit_locked(pool_visitor *visit, void *argument)
{
	families_visit(visit_family, &(struct visit){visit, argument});
}

void pools_visit(pool_visitor *visit, void *argument)
{
	registry_lock();
	pools_visit_locked(visit, argument);
	registry_unlock();
}
