#include "upstream/registry.h"

#include "base/check.h"
#include "upstream/discovery.h"
#include "upstream/local.h"
#include "upstream/sticky_table.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// Small numbers, the lowest free one first.
struct numbers {
	uint64_t *used; // bits
	uint32_t words;
};

static struct {
	pthread_mutex_t lock;
	struct name_table families;
	struct numbers server_numbers, family_numbers;
	uint64_t last_id;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

void registry_lock(void)
{
	pthread_mutex_lock(&registry.lock);
}

void registry_unlock(void)
{
	pthread_mutex_unlock(&registry.lock);
}

static bool number_take(struct numbers *numbers, uint32_t *ret_number)
{
	uint32_t word = 0;
	while (word < numbers->words && numbers->used[word] == UINT64_MAX)
		word++;
	if (word == numbers->words) {
		uint32_t words = numbers->words ? numbers->words * 2 : 4;
		uint64_t *used = realloc(numbers->used, words * sizeof(*used));
		if (!used)
			return false;
		memset(used + numbers->words, 0, (words - numbers->words) * sizeof(*used));
		numbers->used = used;
		numbers->words = words;
	}
	uint32_t bit = (uint32_t)__builtin_ctzll(~numbers->used[word]);
	numbers->used[word] |= UINT64_C(1) << bit;
	*ret_number = word * 64 + bit;
	return true;
}

static void number_give(struct numbers *numbers, uint32_t number)
{
	numbers->used[number / 64] &= ~(UINT64_C(1) << number % 64);
	for (uint32_t word = 0; word < numbers->words; word++)
		if (numbers->used[word])
			return;
	free(numbers->used);
	*numbers = (struct numbers){0};
}

// --- Families

static struct pool_family *family_new(struct slice name)
{
	size_t size = sizeof(struct pool_family) + name.length;
	struct pool_family *family = aligned_alloc(_Alignof(struct pool_family), (size + 63) / 64 * 64);
	if (!family)
		return NULL;
	memset(family, 0, sizeof(*family));
	char *text = (char *)(family + 1);
	memcpy(text, name.data, name.length);
	family->name = slice_from(text, name.length);
	family->max_requests = SERVER_REQUESTS_UNBOUNDED;
	family->max_connections = SERVER_REQUESTS_UNBOUNDED;
	line_init(&family->line);
	line_init(&family->connection_line);
	if (!number_take(&registry.family_numbers, &family->number)) {
		free(family);
		return NULL;
	}
	if (!name_table_add(&registry.families, &family->entry, family->name)) {
		number_give(&registry.family_numbers, family->number);
		free(family);
		return NULL;
	}
	return family;
}

struct pool_family *family_find(struct slice name)
{
	return (struct pool_family *)name_table_find(&registry.families, name);
}

struct pool_family *family_take(struct slice name)
{
	struct pool_family *family = family_find(name);
	if (!family)
		family = family_new(name);
	if (family)
		family->references++;
	return family;
}

void family_release(struct pool_family *family)
{
	check(family->references > 0);
	if (--family->references > 0)
		return;
	check(!family->servers && !family->pools && !family->added && !family->found);
	name_table_remove(&registry.families, &family->entry);
	number_give(&registry.family_numbers, family->number);
	line_fini(&family->line);
	line_fini(&family->connection_line);
	sticky_table_free(family->sessions);
	free(family->srv);
	free(family);
}

void families_visit(void (*visit)(void *argument, struct pool_family *family), void *argument)
{
	for (size_t i = 0; i < registry.families.bucket_count; i++)
		for (struct name_entry *entry = registry.families.buckets[i]; entry; entry = entry->next)
			visit(argument, (struct pool_family *)entry);
}

// --- Servers

static struct discovery_settings discovery_of(const struct pool_dns_config *dns)
{
	return (struct discovery_settings){
		.refresh_ns = dns->refresh_ns,
		.min_ns = dns->min_ns,
		.max_ns = dns->max_ns,
		.timeout_ns = dns->timeout_ns,
	};
}

static bool locate(struct server *server, const struct endpoint *endpoint, const struct pool_dns_config *dns)
{
	if (endpoint_to_address(endpoint, &server->address))
		return true;
	struct discovery_settings settings = discovery_of(dns);
	server->port = endpoint->port;
	server->name = host_name_new(endpoint->host, &settings);
	return server->name != NULL;
}

static struct server *server_new(struct pool_family *family, const struct server_config *config,
				 const struct pool_dns_config *dns)
{
	struct slice text = config->name, tls_name = config->where.endpoint.host;
	if (config->tls && tls_client_name(config->tls).length > 0)
		tls_name = tls_client_name(config->tls);
	size_t size = sizeof(struct server) + text.length + tls_name.length;
	struct server *server = aligned_alloc(_Alignof(struct server), (size + 63) / 64 * 64);
	if (!server)
		return NULL;
	memset(server, 0, sizeof(*server));
	char *room = (char *)(server + 1);
	memcpy(room, text.data, text.length);
	if (tls_name.length > 0)
		memcpy(room + text.length, tls_name.data, tls_name.length);
	server->text = slice_from(room, text.length);
	server->authority = slice_after(server->text, text.length - config->authority.length);
	server->tls_name = slice_from(room + text.length, tls_name.length);
	if (!number_take(&registry.server_numbers, &server->number)) {
		free(server);
		return NULL;
	}
	if (!locate(server, &config->where.endpoint, dns)) {
		number_give(&registry.server_numbers, server->number);
		free(server);
		return NULL;
	}
	server->id = ++registry.last_id;
	server->references = 1;
	server->max_requests = SERVER_REQUESTS_UNBOUNDED;
	server->settings.max_connections = SERVER_REQUESTS_UNBOUNDED;
	server->own_weight = -1;
	server->protocol = config->protocol;
	server->tls = config->tls ? tls_client_ref(config->tls) : NULL;
	server->family = family;
	family->references++;
	server->next = family->servers;
	family->servers = server;
	return server;
}

// A server whose last reference is being given back may not be taken up again.
static bool ref_if_alive(struct server *server)
{
	uint32_t references = atomic_load_explicit(&server->references, memory_order_relaxed);
	while (references > 0)
		if (atomic_compare_exchange_weak_explicit(&server->references, &references, references + 1,
							  memory_order_acquire, memory_order_relaxed))
			return true;
	return false;
}

// With other authorities or another certificate it is another server: no connection that the
// old ones vouch for is used again.
static bool has_tls(const struct server *server, const struct tls_client *tls)
{
	if (!server->tls || !tls)
		return server->tls == tls;
	return tls_client_key(server->tls) == tls_client_key(tls);
}

bool family_server_matches(const struct server *server, const struct server_config *config,
			   const struct pool_dns_config *dns)
{
	if (!slice_equal(server->text, config->name) || server->protocol != config->protocol ||
	    !has_tls(server, config->tls))
		return false;
	struct discovery_settings settings = discovery_of(dns);
	return !server->name || host_name_has_settings(server->name, &settings);
}

struct server *family_server(struct pool_family *family, const struct server_config *config,
			     const struct pool_dns_config *dns)
{
	for (struct server *server = family->servers; server; server = server->next)
		if (family_server_matches(server, config, dns) && ref_if_alive(server))
			return server;
	return server_new(family, config, dns);
}

static void server_free(struct server *server)
{
	struct host_name *name = server->name;
	registry_lock();
	struct server **at = &server->family->servers;
	while (*at != server)
		at = &(*at)->next;
	*at = server->next;
	number_give(&registry.server_numbers, server->number);
	family_release(server->family);
	registry_unlock();

	if (name)
		host_name_unref(name);
	struct server_local *next;
	for (struct server_local *local = server->locals; local; local = next) {
		next = local->next;
		check(list_is_empty(&local->idle) && list_is_empty(&local->links));
		tls_sessions_free(local->sessions);
		free(local);
	}
	if (server->tls)
		tls_client_unref(server->tls);
	free(server);
}

void server_ref(struct server *server)
{
	atomic_fetch_add_explicit(&server->references, 1, memory_order_relaxed);
}

void server_unref(struct server *server)
{
	if (atomic_fetch_sub_explicit(&server->references, 1, memory_order_acq_rel) == 1)
		server_free(server);
}
