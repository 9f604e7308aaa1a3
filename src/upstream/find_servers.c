#include "upstream/find_servers.h"

#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "base/random.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "upstream/pool_build.h"
#include "upstream/pool_found.h"
#include "upstream/registry.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_NS SECOND_NS
#define RETRY_MAX_NS (30 * SECOND_NS)

// Asks for the servers of one pool, again and again.
struct finder {
	struct list_link link;
	struct fiber *fiber;
	struct pool_dns_config dns;
	bool is_wanted;	  // while looking again
	int64_t retry_ns; // 0: the last look-up went well
	struct slice pool;
	char *srv;
};

static struct {
	pthread_mutex_t lock; // taken inside the registry's
	struct loop *loop;    // NULL while no thread finds
	struct loop_message *message;
	bool posted;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

// The finding thread's.
static struct {
	find_services *find;
	void *argument;
	struct list_link finders;
} own = {.finders = {&own.finders, &own.finders}};

static _Thread_local struct loop_message again_message;

// --- One finder

static void finder_free(struct finder *finder)
{
	free((char *)finder->pool.data);
	free(finder->srv);
	free(finder);
}

static struct finder *finder_new(const struct pool *pool)
{
	struct finder *finder = calloc(1, sizeof *finder);
	if (!finder)
		return NULL;
	list_init(&finder->link);
	finder->dns = pool->dns;
	finder->srv = strdup(pool->family->srv);
	finder->pool = slice_from(strndup(pool_name(pool).data, pool_name(pool).length), pool_name(pool).length);
	if (finder->srv && finder->pool.data)
		return finder;
	finder_free(finder);
	return NULL;
}

static bool is_for(const struct finder *finder, const struct pool *pool)
{
	const struct pool_dns_config *a = &finder->dns, *b = &pool->dns;
	return slice_equal(finder->pool, pool_name(pool)) && strcmp(finder->srv, pool->family->srv) == 0 &&
	       a->refresh_ns == b->refresh_ns && a->min_ns == b->min_ns && a->max_ns == b->max_ns &&
	       a->timeout_ns == b->timeout_ns;
}

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
	return value < min ? min : value > max ? max : value;
}

static int64_t note_found(struct finder *finder, struct services *found)
{
	int failed = pool_set_found(finder->pool, found);
	if (failed == -ENOMEM)
		log_warning("pool %.*s: no memory for what DNS names", SLICE_ARGUMENTS(finder->pool));
	finder->retry_ns = 0;
	if (finder->dns.refresh_ns > 0)
		return finder->dns.refresh_ns;
	return clamp((int64_t)found->ttl_s * SECOND_NS, finder->dns.min_ns, finder->dns.max_ns);
}

static int64_t note_not_found(struct finder *finder, int error)
{
	if (finder->retry_ns == 0)
		log_warning("pool %.*s: no servers are found by %s (%s); those that there are stay",
			    SLICE_ARGUMENTS(finder->pool), finder->srv,
			    error == -ENOENT ? "there is no such record" : strerror(-error));
	pool_found_nothing(finder->pool);
	finder->retry_ns = finder->retry_ns ? clamp(finder->retry_ns * 2, 0, RETRY_MAX_NS) : RETRY_FIRST_NS;
	return finder->retry_ns;
}

static void find_again_and_again(void *argument)
{
	struct finder *finder = argument;
	while (!fiber_is_cancelled(fiber_current())) {
		struct services *found = NULL;
		int failed = own.find(own.argument, finder->srv, loop_now() + finder->dns.timeout_ns, &found);
		if (failed == -ECANCELED)
			break;
		int64_t next_ns = failed ? note_not_found(finder, failed) : note_found(finder, found);
		free(found);
		// Up to a tenth less, so that many do not stay in step.
		next_ns -= (int64_t)random_number_below((uint64_t)next_ns / 10 + 1);
		if (fiber_sleep("servers to be found again", loop_now() + next_ns) < 0)
			break;
	}
	list_remove(&finder->link);
	finder_free(finder);
}

// --- Which pools want one

// With the registry's lock held.
static void want(void *argument, const struct pool *pool)
{
	if (!pool->family->srv)
		return;
	for (struct list_link *link = own.finders.next; link != &own.finders; link = link->next) {
		struct finder *finder = LIST_ENTRY(link, struct finder, link);
		if (!is_for(finder, pool) || fiber_is_cancelled(finder->fiber))
			continue;
		finder->is_wanted = true;
		return;
	}
	struct finder *finder = finder_new(pool);
	if (finder)
		finder->fiber = fiber_spawn("find servers", find_again_and_again, finder);
	if (finder && finder->fiber) {
		finder->is_wanted = true;
		list_push_back(&own.finders, &finder->link);
	} else {
		log_warning("pool %.*s: no memory to find its servers", SLICE_ARGUMENTS(pool_name(pool)));
		if (finder)
			finder_free(finder);
	}
}

static void look_again(struct loop_message *message)
{
	pthread_mutex_lock(&shared.lock);
	shared.posted = false;
	bool is_finding = shared.loop == loop_current();
	pthread_mutex_unlock(&shared.lock);
	if (!is_finding)
		return;
	for (struct list_link *link = own.finders.next; link != &own.finders; link = link->next)
		LIST_ENTRY(link, struct finder, link)->is_wanted = false;
	pools_visit(want, NULL);
	for (struct list_link *link = own.finders.next; link != &own.finders; link = link->next)
		if (!LIST_ENTRY(link, struct finder, link)->is_wanted)
			fiber_cancel(LIST_ENTRY(link, struct finder, link)->fiber);
}

void find_servers_again(void)
{
	pthread_mutex_lock(&shared.lock);
	if (shared.loop && !shared.posted) {
		shared.posted = true;
		loop_post(shared.loop, shared.message);
	}
	pthread_mutex_unlock(&shared.lock);
}

void find_servers_start(find_services *find, void *argument)
{
	pthread_mutex_lock(&shared.lock);
	check(!shared.loop);
	own.find = find;
	own.argument = argument;
	shared.loop = loop_current();
	shared.posted = false;
	shared.message = &again_message;
	again_message.run = look_again;
	pthread_mutex_unlock(&shared.lock);
	find_servers_again();
}

// Fibers that end free their finders.
void find_servers_stop(void)
{
	pthread_mutex_lock(&shared.lock);
	check(shared.loop == loop_current());
	shared.loop = NULL;
	pthread_mutex_unlock(&shared.lock);
	for (struct list_link *link = own.finders.next; link != &own.finders; link = link->next)
		fiber_cancel(LIST_ENTRY(link, struct finder, link)->fiber);
}
