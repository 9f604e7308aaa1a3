// Wait queues: fibers that wait for something that another fiber will bring.
#ifndef USHER_FIBER_WAIT_H
#define USHER_FIBER_WAIT_H

#include "base/list.h"

#include <stdint.h>

struct wait_queue {
	struct list_link waiters; // in the order in which they came
};

void wait_queue_init(struct wait_queue *queue);

// Suspends the running fiber until it is woken: 0, -ETIMEDOUT or -ECANCELED. The caller
// tests its condition again.
int wait_queue_wait(struct wait_queue *queue, const char *what, int64_t deadline_ns);

void wait_queue_wake_one(struct wait_queue *queue);
void wait_queue_wake_all(struct wait_queue *queue);

#endif
