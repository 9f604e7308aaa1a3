// Counters, gauges and latency histograms, counted by each thread for itself.
//
// Counting is a plain addition to memory that only the running thread writes; whoever
// reads sums over all threads with relaxed loads. A metric is registered by name (and
// labels) and found again by it, so that counts survive a reload. Metrics are never
// removed; what a thread that ended had counted stays in the sums.
#ifndef USHER_OBSERVE_METRICS_H
#define USHER_OBSERVE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	METRICS_CELLS_PER_CHUNK = 4096,
	METRICS_CHUNKS_MAX = 256, // a million cells of 8 bytes a thread; memory taken as needed
};

enum metric_kind {
	METRIC_COUNTER,	  // only grows
	METRIC_GAUGE,	  // a level: what each thread added and took away, summed
	METRIC_HISTOGRAM, // durations in nanoseconds
};

struct metric {
	const char *name;   // as Prometheus wants it: "usher_requests_total"
	const char *labels; // "pool=\"api\",server=\"10.0.0.1:80\"", or ""
	const char *help;   // one line
	enum metric_kind kind;
	uint32_t cell; // where its cells begin, in each thread
};

// Registers, or finds the metric of that name and those labels (its kind must be the same).
// The strings are copied. Never fails: when the bound of metrics or memory is reached, a
// metric that nobody reads is returned, and that is logged once. From any thread; not for
// the hot path.
struct metric *metric_register(enum metric_kind kind, const char *name, const char *labels, const char *help);

// The cells of the running thread.
struct metrics_thread {
	uint64_t *chunks[METRICS_CHUNKS_MAX];
	struct metrics_thread *next;
};

extern _Thread_local struct metrics_thread *metrics_here;

// Makes the running thread's chunk that holds `cell`. Returns cells to write to, always.
uint64_t *metrics_cells_new(uint32_t cell);

static inline uint64_t *metric_cells(uint32_t cell)
{
	struct metrics_thread *here = metrics_here;
	uint64_t *chunk = here ? here->chunks[cell / METRICS_CELLS_PER_CHUNK] : NULL;
	if (__builtin_expect(chunk == NULL, 0))
		return metrics_cells_new(cell);
	return chunk + cell % METRICS_CELLS_PER_CHUNK;
}

// Adds to a counter or a gauge. Only this thread writes the cell, so no locked addition is
// needed; the relaxed store keeps readers from seeing half of it.
static inline void metric_add(struct metric *metric, int64_t amount)
{
	uint64_t *cell = metric_cells(metric->cell);
	__atomic_store_n(cell, *cell + (uint64_t)amount, __ATOMIC_RELAXED);
}

static inline void metric_count(struct metric *metric)
{
	metric_add(metric, 1);
}

// The sum over all threads. Of a histogram: how many durations it has counted.
int64_t metric_read(const struct metric *metric);

// --- Histograms: log-linear, eight buckets to each doubling (an error of at most 12.5%),
// from a microsecond to half an hour; what is outside counts in the first or last bucket.

enum {
	HISTOGRAM_FIRST_OCTAVE = 10, // the first bucket ends at 2^10 ns
	HISTOGRAM_OCTAVES = 31,	     // the last begins at 2^41 ns
	HISTOGRAM_BUCKETS = 2 + HISTOGRAM_OCTAVES * 8,
	HISTOGRAM_CELLS = HISTOGRAM_BUCKETS + 1 // and the sum of all durations
};

// The bucket of a duration, and the first duration (ns) that is beyond a bucket
// (INT64_MAX for the last).
unsigned histogram_bucket(int64_t duration_ns);
int64_t histogram_bucket_end(unsigned bucket);

// Counts a duration; negative ones count as 0.
void metric_observe(struct metric *metric, int64_t duration_ns);

struct histogram {
	uint64_t buckets[HISTOGRAM_BUCKETS];
	uint64_t count;
	int64_t sum_ns;
};

// The sum over all threads.
void metric_read_histogram(const struct metric *metric, struct histogram *ret_histogram);

// The duration that `fraction` (0 to 1) of those counted do not exceed: the end of its
// bucket, in nanoseconds; 0 when nothing was counted.
int64_t histogram_quantile(const struct histogram *histogram, double fraction);

// --- For whoever writes them out.

// Calls `visit` for each metric, in the order of name and then of registration.
typedef void metric_visitor(void *argument, const struct metric *metric);
void metrics_visit(metric_visitor *visit, void *argument);

#endif
