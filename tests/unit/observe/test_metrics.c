#include "base/log.h"
#include "observe/metrics.h"
#include "support.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

static void counts(void **state)
{
	struct metric *requests = metric_register(METRIC_COUNTER, "test_requests_total", "", "Requests.");
	struct metric *level = metric_register(METRIC_GAUGE, "test_level", "pool=\"a\"", "A level.");
	assert_string_equal(requests->name, "test_requests_total");
	assert_string_equal(level->labels, "pool=\"a\"");
	assert_int_equal(metric_read(requests), 0);
	metric_count(requests);
	metric_add(requests, 41);
	metric_add(level, 3);
	metric_add(level, -5);
	assert_int_equal(metric_read(requests), 42);
	assert_int_equal(metric_read(level), -2);
	// The same name and labels are the same metric; other labels another.
	assert_ptr_equal(metric_register(METRIC_COUNTER, "test_requests_total", "", ""), requests);
	struct metric *other = metric_register(METRIC_GAUGE, "test_level", "pool=\"b\"", "A level.");
	assert_ptr_not_equal(other, level);
	assert_int_equal(metric_read(other), 0);
}

enum { THREADS = 4, ROUNDS = 20000 };

static struct metric *shared, *shared_times;
static atomic_bool reading;

static void *count_much(void *argument)
{
	for (int i = 0; i < ROUNDS; i++) {
		metric_count(shared);
		metric_observe(shared_times, i * 1000);
		if (i % 1000 == 0) // and new ones, while others read
			metric_count(metric_register(METRIC_COUNTER, "test_late_total", "", ""));
	}
	return NULL;
}

static void *read_much(void *argument)
{
	int64_t last = 0;
	while (atomic_load(&reading)) {
		int64_t now = metric_read(shared);
		assert_true(now >= last);
		last = now;
		assert_true(metric_read(shared_times) <= 2 * THREADS * ROUNDS);
		usleep(200);
	}
	return NULL;
}

// Nothing is lost, not even when the threads that counted are gone.
static void sums_over_threads(void **state)
{
	pthread_t threads[THREADS], reader;
	shared = metric_register(METRIC_COUNTER, "test_shared_total", "", "");
	shared_times = metric_register(METRIC_HISTOGRAM, "test_shared_seconds", "", "");
	atomic_store(&reading, true);
	assert_int_equal(pthread_create(&reader, NULL, read_much, NULL), 0);
	for (int round = 1; round <= 2; round++) {
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, count_much, NULL), 0);
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(metric_read(shared), round * THREADS * ROUNDS);
		assert_int_equal(metric_read(shared_times), round * THREADS * ROUNDS);
	}
	atomic_store(&reading, false);
	pthread_join(reader, NULL);
	struct histogram histogram;
	metric_read_histogram(shared_times, &histogram);
	assert_int_equal(histogram.sum_ns, 2 * THREADS * (INT64_C(1000) * ROUNDS * (ROUNDS - 1) / 2));
	assert_int_equal(metric_read(metric_register(METRIC_COUNTER, "test_late_total", "", "")),
			 2 * THREADS * (ROUNDS / 1000));
}

static void buckets_follow_each_other(void **state)
{
	for (unsigned bucket = 0; bucket + 1 < HISTOGRAM_BUCKETS; bucket++) {
		int64_t end = histogram_bucket_end(bucket);
		assert_int_equal(histogram_bucket(end - 1), bucket);
		assert_int_equal(histogram_bucket(end), bucket + 1);
		if (bucket > 0) {
			double width = (double)(end - histogram_bucket_end(bucket - 1));
			assert_true(width / (double)histogram_bucket_end(bucket - 1) <= 0.125);
		}
	}
	assert_int_equal(histogram_bucket(0), 0);
	assert_int_equal(histogram_bucket(INT64_MAX), HISTOGRAM_BUCKETS - 1);
	assert_true(histogram_bucket_end(HISTOGRAM_BUCKETS - 1) == INT64_MAX);
}

static void tells_quantiles(void **state)
{
	struct metric *times = metric_register(METRIC_HISTOGRAM, "test_times_seconds", "", "");
	struct histogram histogram;
	metric_read_histogram(times, &histogram);
	assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
	for (int64_t i = 1; i <= 1000; i++)
		metric_observe(times, i * 1000000);
	metric_read_histogram(times, &histogram);
	assert_int_equal(histogram.count, 1000);
	assert_int_equal(histogram.sum_ns, INT64_C(500500) * 1000000);
	static const double fractions[] = {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
	for (size_t i = 0; i < sizeof(fractions) / sizeof(fractions[0]); i++) {
		double exact = ceil(fractions[i] * 1000) * 1e6,
		       told = (double)histogram_quantile(&histogram, fractions[i]);
		assert_true(told >= exact && told <= exact * 1.126);
	}
	metric_observe(times, -5);
	metric_observe(times, INT64_MAX);
	metric_read_histogram(times, &histogram);
	assert_int_equal(histogram.buckets[0], 1);
	assert_int_equal(histogram.buckets[HISTOGRAM_BUCKETS - 1], 1);
	assert_int_equal(histogram_quantile(&histogram, 0), histogram_bucket_end(0));
	assert_int_equal(histogram_quantile(&histogram, 1), histogram_bucket_end(HISTOGRAM_BUCKETS - 2));
}

struct visited {
	unsigned count;
	char last[64];
	bool seen_level;
};

static void visit(void *argument, const struct metric *metric)
{
	struct visited *visited = argument;
	assert_true(strcmp(visited->last, metric->name) <= 0);
	snprintf(visited->last, sizeof(visited->last), "%s", metric->name);
	visited->count++;
	if (strcmp(metric->name, "test_level") == 0) {
		assert_string_equal(metric->labels, visited->seen_level ? "pool=\"b\"" : "pool=\"a\"");
		visited->seen_level = true;
	}
}

static void visits_by_name(void **state)
{
	struct visited visited = {0};
	metrics_visit(visit, &visited);
	assert_true(visited.count >= 6);
	assert_true(visited.seen_level);
}

// Beyond the bound, counting goes on and does no harm; last, as it fills the registry.
static void is_bounded(void **state)
{
	struct metric *first = metric_register(METRIC_COUNTER, "test_first", "", ""), *last = NULL, *before = NULL;
	metric_count(first);
	for (int i = 0; i < METRICS_CELLS_PER_CHUNK * METRICS_CHUNKS_MAX / 200 && (last == NULL || last != before);
	     i++) {
		char labels[32];
		snprintf(labels, sizeof(labels), "n=\"%d\"", i);
		before = last;
		last = metric_register(METRIC_HISTOGRAM, "test_many", labels, "");
		metric_observe(last, 1000000);
	}
	assert_ptr_equal(last, before);
	assert_int_equal(metric_read(last), 0);
	struct histogram histogram;
	metric_read_histogram(last, &histogram);
	assert_int_equal(histogram.count, 0);
	assert_int_equal(metric_read(first), 1);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts),
		cmocka_unit_test(sums_over_threads),
		cmocka_unit_test(buckets_follow_each_other),
		cmocka_unit_test(tells_quantiles),
		cmocka_unit_test(visits_by_name),
		cmocka_unit_test(is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
