#include "exchange/service.h"

#include "base/check.h"
#include "exchange/exchange.h"
#include "exchange/life.h"
#include "exchange/service_hold.h"
#include "exchange/snapshot.h"
#include "fiber/fiber.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
	// What one exchange may take: a head of 64 KiB, its copies on the way out, and room
	// for what handlers add.
	EXCHANGE_MEMORY_MAX = 1024 * 1024,
};

// A thread's hold of one snapshot: exchanges count here, without atomics; the thread has one
// reference for all of them.
struct exchange_hold {
	struct exchange_service *service;
	struct snapshot *snapshot;
	uint64_t exchanges;
};

struct exchange_service {
	struct http_service http; // first
	struct exchange_hold *current;
	uint64_t running;
	struct list_link fibers; // of struct service_fiber
};

static struct exchange_hold *hold_new(struct exchange_service *service, struct snapshot *snapshot)
{
	struct exchange_hold *hold = calloc(1, sizeof *hold);
	if (!hold)
		return NULL;
	hold->service = service;
	hold->snapshot = snapshot;
	snapshot_ref(snapshot);
	return hold;
}

static void hold_release_if_unused(struct exchange_hold *hold)
{
	if (hold->exchanges > 0 || hold->service->current == hold)
		return;
	snapshot_unref(hold->snapshot);
	free(hold);
}

struct exchange *service_take(struct exchange_hold *hold, size_t size)
{
	struct arena arena;
	arena_init(&arena, EXCHANGE_MEMORY_MAX);
	struct exchange *exchange = arena_alloc(&arena, size);
	if (!exchange) {
		arena_fini(&arena);
		return NULL;
	}
	// The trace, the last and largest member, is begun and not cleared.
	memset(exchange, 0, size > sizeof *exchange ? size : offsetof(struct exchange, trace));
	exchange->transaction.arena = arena;
	exchange->hold = hold;
	exchange->snapshot = hold->snapshot;
	hold->exchanges++;
	hold->service->running++;
	return exchange;
}

void service_release(struct exchange *exchange)
{
	struct exchange_hold *hold = exchange->hold;
	struct arena arena = exchange->transaction.arena;
	arena_fini(&arena);
	hold->service->running--;
	hold->exchanges--;
	hold_release_if_unused(hold);
}

void service_remember(struct exchange_hold *hold, struct service_fiber *fiber)
{
	list_push_back(&hold->service->fibers, &fiber->link);
}

void service_forget(struct service_fiber *fiber)
{
	list_remove(&fiber->link);
}

static struct transaction *service_begin(struct http_service *http, const struct client *client)
{
	struct exchange_service *service = (struct exchange_service *)http;
	struct exchange *exchange = service_take(service->current, sizeof *exchange);
	if (!exchange)
		return NULL;
	exchange_begin(exchange, client);
	return &exchange->transaction;
}

static void service_serve(struct transaction *transaction)
{
	exchange_serve((struct exchange *)transaction);
}

static void service_end(struct transaction *transaction)
{
	struct exchange *exchange = (struct exchange *)transaction;
	exchange_finish(exchange);
	service_release(exchange);
}

struct exchange_service *exchange_service_new(struct snapshot *snapshot)
{
	struct exchange_service *service = calloc(1, sizeof *service);
	if (!service)
		return NULL;
	list_init(&service->fibers);
	service->http = (struct http_service){.begin = service_begin, .serve = service_serve, .end = service_end};
	service->current = hold_new(service, snapshot);
	if (!service->current) {
		free(service);
		return NULL;
	}
	return service;
}

struct http_service *exchange_service_http(struct exchange_service *service)
{
	return &service->http;
}

bool exchange_service_set_snapshot(struct exchange_service *service, struct snapshot *snapshot)
{
	struct exchange_hold *before = service->current, *hold = hold_new(service, snapshot);
	if (!hold)
		return false;
	service->current = hold;
	hold_release_if_unused(before);
	return true;
}

uint64_t exchange_service_running(const struct exchange_service *service)
{
	return service->running;
}

void exchange_service_cancel(struct exchange_service *service)
{
	for (struct list_link *link = service->fibers.next; link != &service->fibers; link = link->next)
		fiber_cancel(LIST_ENTRY(link, struct service_fiber, link)->fiber);
}

void exchange_service_free(struct exchange_service *service)
{
	check(service->running == 0);
	struct exchange_hold *hold = service->current;
	service->current = NULL;
	hold_release_if_unused(hold);
	free(service);
}
