#include "upstream/pool_found.h"

#include "base/log.h"
#include "upstream/find_servers.h"
#include "upstream/health.h"
#include "upstream/local.h"
#include "upstream/pool_added.h"
#include "upstream/pool_build.h"
#include "upstream/pool_queue.h"
#include "upstream/registry.h"
#include "upstream/sticky.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

// --- What the records say

static int compare(const void *a, const void *b)
{
	const struct service *first = a, *second = b;
	if (first->priority != second->priority)
		return first->priority < second->priority ? -1 : 1;
	int order = strcmp(first->host, second->host);
	return order ? order : first->port - second->port;
}

// Their priorities in order are 0, 1, ...; the last of usher's own stands for all that are left.
static uint32_t rank_of(const struct services *found, unsigned index)
{
	uint32_t rank = 0;
	for (unsigned i = 1; i <= index; i++)
		rank += found->items[i].priority != found->items[i - 1].priority;
	return rank < SERVER_PRIORITY_MAX ? rank : SERVER_PRIORITY_MAX;
}

static uint32_t heaviest(const struct services *found)
{
	uint32_t most = 0;
	for (unsigned i = 0; i < found->count; i++)
		most = found->items[i].weight > most ? found->items[i].weight : most;
	return most;
}

// RFC 2782: weights to 65535, of which 0 is a very small chance where others have more.
static uint32_t weight_of(const struct service *service, uint32_t most)
{
	uint32_t weight = most > POOL_WEIGHT_MAX ? service->weight * POOL_WEIGHT_MAX / most : service->weight;
	return weight > 0 ? weight : 1;
}

// --- Taking them up, with the lock held

static struct pool_addition *addition_of(struct pool *pool, const struct services *found, unsigned index, uint32_t most)
{
	char address[DNS_NAME_MAX + 32];
	const struct service *service = &found->items[index];
	struct pool_addition *addition = calloc(1, sizeof(*addition));
	if (!addition)
		return NULL;
	(void)snprintf(address, sizeof address, "%.*s%s:%u", SLICE_ARGUMENTS(pool->family->srv_scheme), service->host,
		       service->port);
	addition->member.weight = weight_of(service, most);
	addition->member.priority = rank_of(found, index);
	if (pool_take_server(pool, slice_from_string(address), &addition->member.server) != 0) {
		free(addition);
		return NULL;
	}
	return addition;
}

// Records that differ in nothing but their weight name one server.
static bool is_repeated(const struct services *found, unsigned index)
{
	for (unsigned i = 0; i < index; i++)
		if (found->items[i].port == found->items[index].port &&
		    strcmp(found->items[i].host, found->items[index].host) == 0)
			return true;
	return false;
}

static int additions_of(struct pool *pool, struct services *found, struct pool_addition **ret_first)
{
	uint32_t most = heaviest(found);
	struct pool_addition **end = ret_first;
	qsort(found->items, found->count, sizeof found->items[0], compare);
	*ret_first = NULL;
	for (unsigned i = 0; i < found->count; i++) {
		if (is_repeated(found, i))
			continue;
		*end = addition_of(pool, found, i, most);
		if (!*end)
			return -ENOMEM;
		end = &(*end)->next;
	}
	return 0;
}

static bool are_alike(const struct pool_addition *a, const struct pool_addition *b)
{
	while (a && b && a->member.server == b->member.server && a->member.weight == b->member.weight &&
	       a->member.priority == b->member.priority) {
		a = a->next;
		b = b->next;
	}
	return !a && !b;
}

static unsigned count_of(const struct pool_addition *first)
{
	unsigned count = 0;
	for (; first; first = first->next)
		count++;
	return count;
}

// *ret_before is what is to be freed: the former ones, or, where nothing is changed, these.
static int replace(struct pool_family *family, struct pool_addition *next, struct pool_addition **ret_before,
		   struct roster **ret_old)
{
	bool is_first = atomic_exchange(&family->is_finding, false);
	*ret_before = next;
	if (are_alike(family->found, next) && !is_first)
		return 0;
	struct pool_addition *before = family->found;
	family->found = next;
	int failed = family_renew(family, ret_old);
	if (failed)
		family->found = before;
	else
		*ret_before = before;
	return failed;
}

int pool_set_found(struct slice name, struct services *found)
{
	struct pool_addition *next = NULL;
	struct roster *old = NULL;
	registry_lock();
	struct pool_family *family = family_find(name);
	struct pool *pool = family ? family_active_pool(family) : NULL;
	unsigned before = family ? count_of(family->found) : 0;
	int failed = pool ? additions_of(pool, found, &next) : -ENOENT;
	unsigned after = count_of(next);
	bool is_changed = false;
	if (!failed) {
		struct pool_addition *given = next;
		failed = replace(family, given, &next, &old);
		is_changed = !failed && next != given;
	}
	registry_unlock();
	rosters_retire(old);
	pool_additions_free(next);
	if (!is_changed)
		return failed;
	log_info("pool %.*s: DNS names %u servers (before, %u)", SLICE_ARGUMENTS(name), after, before);
	health_look_again();
	upstream_threads_sweep();
	return 0;
}

void pool_found_nothing(struct slice name)
{
	registry_lock();
	struct pool_family *family = family_find(name);
	if (family && atomic_exchange(&family->is_finding, false))
		pool_queue_stir(family);
	registry_unlock();
}
