// A hierarchical timing wheel: timers are set and stopped in constant time.
//
// Level 0 has a slot for each of the next 64 ms, level 1 for each 64 of those, and so on;
// a timer lies in the lowest level whose slots tell it from now, and moves down as its time
// comes nearer: at most 7 times, mostly never, as most timers are stopped first.
#ifndef USHER_FIBER_TIMER_WHEEL_H
#define USHER_FIBER_TIMER_WHEEL_H

#include "base/list.h"
#include "fiber/loop.h"

#include <stddef.h>
#include <stdint.h>

enum {
	WHEEL_SLOT_BITS = 6,
	WHEEL_SLOTS = 1 << WHEEL_SLOT_BITS,
	WHEEL_LEVELS = 8, // 2^48 ms, more than an int64_t of nanoseconds holds
};

struct timer_wheel {
	int64_t tick;			 // the millisecond up to which timers have been found due
	size_t running;			 // timers in the wheel
	struct list_link due;		 // to fire at the next advance
	uint64_t occupied[WHEEL_LEVELS]; // a bit for each slot with timers
	struct list_link slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void timer_wheel_init(struct timer_wheel *wheel, int64_t now_ns);

void timer_wheel_start(struct timer_wheel *wheel, struct timer *timer, int64_t due_ns);
void timer_wheel_stop(struct timer_wheel *wheel, struct timer *timer);

// Fires what is due, in the order of milliseconds; each timer once, also those that are set
// again for now meanwhile.
void timer_wheel_advance(struct timer_wheel *wheel, int64_t now_ns);

// When to advance next: never after the next timer is due, but maybe before, when it lies
// in a higher level. INT64_MAX without timers.
int64_t timer_wheel_next(const struct timer_wheel *wheel);

#endif
