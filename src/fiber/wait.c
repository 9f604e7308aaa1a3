#include "fiber/wait.h"

#include "base/check.h"
#include "fiber/fiber.h"

#include <stdbool.h>

// Lies on the stack of the fiber that waits.
struct waiter {
	struct list_link link;
	struct fiber *fiber;
	bool called;
};

void wait_queue_init(struct wait_queue *queue)
{
	list_init(&queue->waiters);
}

int wait_queue_wait(struct wait_queue *queue, const char *what, int64_t deadline_ns)
{
	struct waiter waiter = {.fiber = fiber_current()};
	check(waiter.fiber != NULL);
	list_push_back(&queue->waiters, &waiter.link);
	int outcome = fiber_wait(what, deadline_ns);
	// One that was called but does not stay to see why passes the call on: it may have
	// been the only one.
	if (waiter.called && outcome != 0)
		wait_queue_wake_one(queue);
	if (!waiter.called)
		list_remove(&waiter.link);
	return outcome;
}

void wait_queue_wake_one(struct wait_queue *queue)
{
	struct list_link *link = list_pop_front(&queue->waiters);
	if (link == NULL)
		return;
	struct waiter *waiter = LIST_ENTRY(link, struct waiter, link);
	waiter->called = true;
	fiber_wake(waiter->fiber);
}

void wait_queue_wake_all(struct wait_queue *queue)
{
	while (!list_is_empty(&queue->waiters))
		wait_queue_wake_one(queue);
}
