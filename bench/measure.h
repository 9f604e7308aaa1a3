// What the benchmarks of single functions share.
#ifndef USHER_BENCH_MEASURE_H
#define USHER_BENCH_MEASURE_H

#include <stdint.h>
#include <time.h>

static inline int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// The same sequence in each run (Marsaglia's xorshift); the state begins with anything but 0.
static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
