// The buckets of durations: eight to each doubling, found by the highest bits.
#include "base/check.h"
#include "observe/metrics.h"

enum { SUB_BITS = 3 };

unsigned histogram_bucket(int64_t duration_ns)
{
	if (duration_ns < (INT64_C(1) << HISTOGRAM_FIRST_OCTAVE))
		return 0;
	unsigned octave = 63 - (unsigned)__builtin_clzll((uint64_t)duration_ns);
	if (octave >= HISTOGRAM_FIRST_OCTAVE + HISTOGRAM_OCTAVES)
		return HISTOGRAM_BUCKETS - 1;
	unsigned part = (unsigned)(duration_ns >> (octave - SUB_BITS)) & ((1 << SUB_BITS) - 1);
	return 1 + ((octave - HISTOGRAM_FIRST_OCTAVE) << SUB_BITS) + part;
}

int64_t histogram_bucket_end(unsigned bucket)
{
	check(bucket < HISTOGRAM_BUCKETS);
	if (bucket == HISTOGRAM_BUCKETS - 1)
		return INT64_MAX;
	unsigned octave = HISTOGRAM_FIRST_OCTAVE + (bucket >> SUB_BITS); // of the end, which is in the next bucket
	unsigned part = bucket & ((1 << SUB_BITS) - 1);
	return (INT64_C(1) << octave) + ((int64_t)part << (octave - SUB_BITS));
}

int64_t histogram_quantile(const struct histogram *histogram, double fraction)
{
	if (histogram->count == 0)
		return 0;
	fraction = fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
	double rank = fraction * (double)histogram->count;
	uint64_t wanted = (uint64_t)rank;
	wanted += (double)wanted < rank;
	uint64_t below = 0;
	for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
		below += histogram->buckets[bucket];
		if (below > 0 && below >= wanted)
			return histogram_bucket_end(bucket);
	}
	return histogram_bucket_end(HISTOGRAM_BUCKETS - 2); // where the last bucket begins
}
