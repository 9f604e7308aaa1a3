// The clock of processes that have no loop.
#ifndef USHER_CONTROL_CLOCK_H
#define USHER_CONTROL_CLOCK_H

#include "fiber/loop.h"

#include <stdint.h>
#include <time.h>

static inline int64_t clock_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND_NS + now.tv_nsec;
}

// The milliseconds that poll(2) should wait for the moment, rounded up: -1 for INT64_MAX.
static inline int clock_poll_ms(int64_t until_ns)
{
	if (until_ns == INT64_MAX)
		return -1;
	int64_t left_ns = until_ns - clock_now_ns();
	if (left_ns <= 0)
		return 0;
	const int64_t hour_ms = INT64_C(3600) * 1000;
	int64_t left_ms = (left_ns + MILLISECOND_NS - 1) / MILLISECOND_NS;
	return (int)(left_ms < hour_ms ? left_ms : hour_ms);
}

#endif
