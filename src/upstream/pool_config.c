#include "upstream/pool_config.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/text.h"
#include "http/syntax.h"
#include "upstream/check.h"
#include "upstream/pool.h"
#include "upstream/pool_keys.h"
#include "upstream/registry.h"
#include "upstream/server_file.h"

#include <stdlib.h>

// --- Names

// A word without a colon or slash is meant to be the name of a pool.
static bool is_name(struct slice text)
{
	return slice_find(text, ':') == text.length && slice_find(text, '/') == text.length;
}

// --- A set of pools

static size_t slot_of(const struct pool_set *set, struct slice name)
{
	size_t slot = hash_fast(name) & (set->index_size - 1);
	while (set->index[slot] != 0 && !slice_equal(set->pools[set->index[slot] - 1]->name.text, name))
		slot = (slot + 1) & (set->index_size - 1);
	return slot;
}

struct pool_config *pool_set_find(const struct pool_set *set, struct slice name)
{
	uint32_t found = set->index[slot_of(set, name)];
	return found ? set->pools[found - 1] : NULL;
}

// Room for `capacity` pools: what was there before is left to the configuration's arena.
static bool set_reserve(struct config_load *load, struct pool_set *set, size_t capacity)
{
	struct pool_set larger = {.capacity = capacity, .index_size = 8};
	while (larger.index_size < 2 * capacity)
		larger.index_size *= 2;
	larger.pools = config_alloc(load, capacity * sizeof(*larger.pools));
	larger.index = config_alloc(load, larger.index_size * sizeof(*larger.index));
	if (!larger.pools || !larger.index)
		return false;
	for (size_t i = 0; i < set->count; i++) {
		larger.pools[i] = set->pools[i];
		larger.index[slot_of(&larger, set->pools[i]->name.text)] = (uint32_t)++larger.count;
	}
	*set = larger;
	return true;
}

static bool set_add(struct config_load *load, struct pool_set *set, struct pool_config *pool)
{
	if (set->count == set->capacity && !set_reserve(load, set, 2 * set->capacity))
		return false;
	size_t slot = slot_of(set, pool->name.text);
	check(set->index[slot] == 0);
	set->pools[set->count] = pool;
	set->index[slot] = (uint32_t)++set->count;
	return true;
}

struct pool_set *pool_set_new(struct config_load *load, const struct config_list *pools)
{
	size_t count = pools ? pools->count : 0;
	struct pool_set *set = config_alloc(load, sizeof(*set));
	if (!set || !set_reserve(load, set, count + 8))
		return NULL;
	for (size_t i = 0; i < count; i++) {
		struct pool_config *pool = (struct pool_config *)pools->items + i;
		if (!is_name(pool->name.text))
			config_error(load, pool->name.place,
				     "a pool's name has no colon and no slash, so that it is not taken for an address");
		if (!set_add(load, set, pool))
			return NULL;
	}
	return set;
}

// --- Checks

static struct server_config *server_at(const struct pool_config *pool, size_t index)
{
	return (struct server_config *)pool->servers.items + index;
}

static int compare_names(const void *a, const void *b)
{
	const struct server_config *first = *(struct server_config *const *)a;
	const struct server_config *second = *(struct server_config *const *)b;
	if (first->name.length != second->name.length)
		return first->name.length < second->name.length ? -1 : 1;
	int order = memcmp(first->name.data, second->name.data, first->name.length);
	if (order != 0)
		return order;
	return first < second ? -1 : 1; // in the order written
}

static bool check_repeated(struct config_load *load, const struct pool_config *pool)
{
	struct server_config *sorted[POOL_SERVERS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < pool->servers.count; i++)
		if (server_at(pool, i)->name.data)
			sorted[count++] = server_at(pool, i);
	qsort(sorted, count, sizeof(sorted[0]), compare_names);
	bool good = true;
	for (size_t i = 1; i < count; i++) {
		if (!slice_equal(sorted[i - 1]->name, sorted[i]->name))
			continue;
		config_error(load, sorted[i]->address.place,
			     "the server %.*s stands twice in this pool; give it a larger weight instead",
			     SLICE_ARGUMENTS(sorted[i]->name));
		good = false;
	}
	return good;
}

// The place of the key that was written, where one of two does not fit the other's default.
static struct config_place where_of(struct config_load *load, const void *section, const char *key, const char *other)
{
	return config_where(load, section, config_is_set(load, section, key) ? key : other);
}

static bool check_durations(struct config_load *load, const struct pool_config *pool)
{
	bool good = true;
	if (pool->rest.max_ns < pool->rest.for_ns) {
		config_error(load, where_of(load, &pool->rest, "max", "for"),
			     "the first rest (\"for\") is longer than the longest (\"max\", 1m by default)");
		good = false;
	}
	if (pool->dns.max_ns < pool->dns.min_ns) {
		config_error(load, where_of(load, &pool->dns, "max", "min"),
			     "the least time between look-ups (\"min\") is longer than the most (\"max\", 1h by "
			     "default)");
		good = false;
	}
	return good;
}

static bool check_priorities(struct config_load *load, const struct pool_config *pool)
{
	bool good = true;
	for (size_t i = 0; i < pool->servers.count; i++) {
		const struct server_config *server = server_at(pool, i);
		if (!server->backup || !config_is_set(load, server, "priority"))
			continue;
		config_error(load, config_where(load, server, "priority"),
			     "a backup has the last of the priorities: leave one of the two out");
		good = false;
	}
	return good;
}

static bool is_spoken_to_by_http2(const struct pool_config *pool)
{
	for (size_t i = 0; i < pool->servers.count; i++)
		if (server_at(pool, i)->protocol != SERVER_HTTP2)
			return false;
	return true;
}

static bool check_health(struct config_load *load, const struct pool_config *pool)
{
	const struct check_config *checks = pool->health.items;
	bool good = true;
	if (pool->health.count > CHECKS_MAX) {
		config_error(load, config_where(load, pool, "health"), "a pool has at most %d checks", CHECKS_MAX);
		return false;
	}
	for (size_t i = 0; i < pool->health.count; i++) {
		bool twice = false;
		for (size_t j = 0; j < i; j++)
			twice |= slice_equal(checks[j].name.text, checks[i].name.text);
		if (twice || (pool->health.count > 1 && !checks[i].name.text.data)) {
			config_error(load, checks[i].place, "each of several checks has a name of its own");
			good = false;
		}
		if (checks[i].type != CHECK_GRPC || is_spoken_to_by_http2(pool))
			continue;
		config_error(load, checks[i].place,
			     "a check of the type grpc needs servers that are written h2:// or h2c://");
		good = false;
	}
	return good;
}

bool percent_load(struct config_load *load, const struct config_text *text, uint32_t min, uint32_t max,
		  int64_t *ret_percent)
{
	uint64_t percent;
	struct slice digits = text->text;
	if (!digits.data || slice_equal(digits, SLICE("off")))
		return true;
	if (slice_ends_with(digits, SLICE("%")))
		digits.length--;
	if (digits.length == text->text.length || !slice_to_number(digits, &percent) || percent < min ||
	    percent > max) {
		config_error(load, text->place, "expected off, or a percentage from %u%% to %u%%", min, max);
		return false;
	}
	*ret_percent = (int64_t)percent;
	return true;
}

static void warn_of_useless(struct config_load *load, const struct pool_config *pool)
{
	bool some_ordinary = false, some_weight = false;
	for (size_t i = 0; i < pool->servers.count; i++) {
		some_ordinary |= !server_at(pool, i)->backup;
		some_weight |= server_at(pool, i)->weight > 0;
	}
	if (!some_weight)
		config_warning(load, pool->place, "all servers of this pool have the weight 0: requests get 503");
	else if (!some_ordinary)
		config_warning(load, pool->place, "all servers of this pool are backups: they get all requests");
}

// One whose address was wrong has none.
static bool has_address(const struct server_config *server)
{
	return server->where.endpoint.host.length > 0 || server->where.endpoint.path.length > 0;
}

static bool complete_servers(struct config_load *load, struct pool_config *pool)
{
	bool good = true;
	for (size_t i = 0; i < pool->servers.count; i++) {
		struct server_config *server = server_at(pool, i);
		good &= has_address(server) &&
			server_config_complete(load, server, (enum server_protocol)pool->protocol);
	}
	return good;
}

static const struct server_config *first_over_tls(const struct pool_config *pool)
{
	for (size_t i = 0; i < pool->servers.count; i++)
		if (server_at(pool, i)->where.over_tls)
			return server_at(pool, i);
	return NULL;
}

static bool set_tls(struct config_load *load, struct pool_config *pool, bool found_over_tls)
{
	const struct server_config *first = first_over_tls(pool);
	if (!first && !found_over_tls && pool->tls)
		config_error(
			load, config_where(load, pool, "tls"),
			"no server of this pool is spoken to over TLS: write its address https://HOST or h2://HOST, "
			"or leave out tls");
	if (!first && !found_over_tls)
		return !pool->tls;
	if (pool->tls && !config_is_whole(load, pool->tls))
		return false;
	struct config_place place = first ? first->address.place : pool->srv.place;
	struct tls_client *client = pool->tls_client = tls_client_load(load, pool->tls, place);
	for (size_t i = 0; i < pool->servers.count; i++)
		if (server_at(pool, i)->where.over_tls)
			server_at(pool, i)->tls = client;
	return client != NULL;
}

static bool set_rest(struct config_load *load, struct pool_config *pool)
{
	struct pool_rest_config *rest = &pool->rest;
	struct status_range ranges[SERVER_STATUS_WORDS];
	uint32_t count = 0;
	rest->share_percent = 50;
	if (!percent_load(load, &rest->share, 1, 100, &rest->share_percent) ||
	    !status_ranges_load(load, &rest->status_texts, 400, ranges, SERVER_STATUS_WORDS, &count))
		return false;
	for (unsigned status = 400; status < 600; status++)
		if (status_is_in(status, ranges, count))
			rest->bad_statuses[status / 64] |= UINT64_C(1) << status % 64;
	return true;
}

// "_http._tcp.app.internal", perhaps with a scheme in front.
static bool set_srv(struct config_load *load, struct pool_config *pool, bool *ret_over_tls)
{
	struct server_address where;
	struct slice name = pool->srv.text;
	*ret_over_tls = false;
	if (!name.data)
		return true;
	pool->srv_scheme = server_address_scheme(name, &where);
	*ret_over_tls = where.over_tls;
	pool->srv_name = name = slice_after(name, pool->srv_scheme.length);
	bool good = slice_starts_with(name, SLICE("_")) && name.length <= 253 && syntax_all(name, SYNTAX_UNRESERVED);
	if (!good)
		config_error(load, pool->srv.place,
			     "\"%.*s\" is not the name of SRV records: expected one such as _http._tcp.app.internal",
			     SLICE_ARGUMENTS(name));
	return good;
}

bool pool_config_check(struct config_load *load, struct pool_config *pool)
{
	bool found_over_tls;
	if (!server_file_load(load, pool) || !set_srv(load, pool, &found_over_tls))
		return false;
	if ((pool->servers.count == 0 && !pool->srv.text.data) || pool->servers.count > POOL_SERVERS_MAX) {
		config_error(load, config_where(load, pool, "servers"),
			     "a pool has 1 to %d servers (`servers`, `file`, or `srv`), this one has %zu",
			     POOL_SERVERS_MAX, pool->servers.count);
		return false;
	}
	if (config_error_count(load) == 0 && !pool->srv.text.data)
		warn_of_useless(load, pool);
	bool good = complete_servers(load, pool) && set_tls(load, pool, found_over_tls);
	good &= check_repeated(load, pool);
	good &= check_priorities(load, pool);
	good &= check_health(load, pool);
	good &= set_rest(load, pool);
	good &= hedge_load(load, &pool->hedge);
	pool->retry_percent = RETRY_UNBOUNDED;
	good &= percent_load(load, &pool->retry_budget, 1, 1000, &pool->retry_percent);
	return check_durations(load, pool) && good;
}

// --- Pools made of addresses

static struct slice joined_names(struct config_load *load, const struct pool_config *pool)
{
	size_t capacity = 0;
	for (size_t i = 0; i < pool->servers.count; i++)
		capacity += server_at(pool, i)->name.length + 2;
	char *room = config_alloc(load, capacity);
	if (!room)
		return SLICE_EMPTY;
	struct text text;
	text_init(&text, room, capacity);
	for (size_t i = 0; i < pool->servers.count; i++) {
		text_add_string(&text, i ? ", " : "");
		text_add(&text, server_at(pool, i)->name);
	}
	return text_slice(&text);
}

static bool set_target(struct config_load *load, const struct pool_set *set, struct server_config *server,
		       const struct config_text *target)
{
	if (!is_name(target->text) || !pool_set_find(set, target->text))
		return server_config_set_address(load, server, target);
	config_error(load, target->place, "\"%.*s\" is a pool: it cannot stand in a list of servers",
		     SLICE_ARGUMENTS(target->text));
	return false;
}

static struct pool_config *pool_of_addresses(struct config_load *load, const struct pool_set *set,
					     const struct config_texts *targets)
{
	struct pool_config *pool = config_alloc(load, sizeof(*pool));
	struct server_config *servers = config_alloc(load, targets->count * sizeof(*servers));
	if (!pool || !servers)
		return NULL;
	*pool = pool_config_standard;
	pool->place = targets->items[0].place;
	pool->servers = (struct config_list){servers, targets->count};
	bool good = true;
	for (size_t i = 0; i < targets->count; i++) {
		servers[i].place = targets->items[i].place;
		servers[i].weight = 1;
		good &= set_target(load, set, &servers[i], &targets->items[i]);
	}
	if (!good || !pool_config_check(load, pool))
		return NULL;
	pool->name = (struct config_text){joined_names(load, pool), pool->place};
	return pool->name.text.data ? pool : NULL;
}

static void report_unknown(struct config_load *load, const struct pool_set *set, const struct config_text *target)
{
	struct slice *names = config_alloc(load, (set->count + 1) * sizeof(*names));
	size_t count = 0;
	for (size_t i = 0; names && i < set->count; i++)
		if (is_name(set->pools[i]->name.text))
			names[count++] = set->pools[i]->name.text;
	const char *suggestion = names ? config_suggestion(load, target->text, names, count) : "";
	config_error(load, target->place, "there is no pool \"%.*s\"%s%s", SLICE_ARGUMENTS(target->text), suggestion,
		     *suggestion ? "" : "; a server is written host:port or http://host");
}

struct pool_config *pool_set_target(struct config_load *load, struct pool_set *set, const struct config_texts *targets)
{
	check(targets->count > 0);
	if (targets->count == 1) {
		struct pool_config *named = pool_set_find(set, targets->items[0].text);
		if (named)
			return named;
		if (is_name(targets->items[0].text)) {
			report_unknown(load, set, &targets->items[0]);
			return NULL;
		}
	}
	struct pool_config *pool = pool_of_addresses(load, set, targets);
	if (!pool)
		return NULL;
	struct pool_config *same = pool_set_find(set, pool->name.text);
	if (same)
		return same;
	return set_add(load, set, pool) ? pool : NULL;
}

// --- The section at the top level

static void release(void *set)
{
	pools_release(set);
}

static bool load_pools(struct config_load *load, struct snapshot *snapshot, void *value, void **ret_section)
{
	struct pool_set *set = pool_set_new(load, value);
	if (!set || !config_at_free(load, release, set))
		return false;
	*ret_section = set;
	return true;
}

const struct top_section_type pools_section = {
	.key =
		{
			.name = "pools",
			.kind = CONFIG_NAMED,
			.section = &pool_config_section,
			.help = "Servers that can stand in for each other, by name.",
		},
	.load = load_pools,
};
