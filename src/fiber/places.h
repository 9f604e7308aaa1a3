// Places for what only so many may do at once, across threads; others wait in a line, first come, first served, and
// when that is full they are refused.
//
//	int error = places_take(places, "place to verify a password", deadline_ns);
//	if (error < 0)
//		...
//	...
//	places_give_back(places);
#ifndef USHER_FIBER_PLACES_H
#define USHER_FIBER_PLACES_H

#include "fiber/line.h"

#include <stdint.h>

struct places {
	struct line line;
	_Atomic unsigned taken;
	unsigned at_once, waiting_max;
};

void places_init(struct places *places, unsigned at_once, unsigned waiting_max);
void places_fini(struct places *places);

// Takes one: 0. -EAGAIN: too many wait already; -ETIMEDOUT: none became free by the deadline; -ECANCELED. Suspends.
int places_take(struct places *places, const char *what, int64_t deadline_ns);

void places_give_back(struct places *places);

#endif
