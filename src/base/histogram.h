// Buckets for times, from a microsecond to a minute: four for each power of two, so that what is
// read from them is off by less than an eighth.
#ifndef USHER_BASE_HISTOGRAM_H
#define USHER_BASE_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_SHIFT = 10, HISTOGRAM_BUCKETS = 25 * 4 + 1 };

// Below 4.1 us all are in the first ones, above 69 s in the last one.
static inline unsigned histogram_bucket(int64_t duration_ns)
{
	uint64_t units = duration_ns > 0 ? (uint64_t)duration_ns >> HISTOGRAM_SHIFT : 0;
	if (units < 4)
		return (unsigned)units;
	unsigned power = 63 - (unsigned)__builtin_clzll(units);
	unsigned bucket = (power - 1) * 4 + (unsigned)(units >> (power - 2) & 3);
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

// The middle of a bucket, in nanoseconds.
static inline int64_t histogram_middle_ns(unsigned bucket)
{
	if (bucket < 4)
		return ((int64_t)bucket * 2 + 1) << (HISTOGRAM_SHIFT - 1);
	unsigned power = bucket / 4 + 1;
	int64_t from = (int64_t)(4 + bucket % 4) << (power - 2), to = (int64_t)(5 + bucket % 4) << (power - 2);
	return (from + to) << (HISTOGRAM_SHIFT - 1);
}

// What `per_mille` of the counted times are below; 0 when none was counted.
static inline int64_t histogram_quantile_ns(const uint64_t counted[HISTOGRAM_BUCKETS], unsigned per_mille)
{
	uint64_t all = 0, below = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		all += counted[i];
	if (all == 0)
		return 0;
	uint64_t wanted = (all * per_mille + 999) / 1000;
	unsigned bucket = 0;
	while (bucket + 1 < HISTOGRAM_BUCKETS && (below += counted[bucket]) < wanted)
		bucket++;
	return histogram_middle_ns(bucket);
}

#endif
