// Each allocation fails in turn: an error or a lost line, and nothing left behind.
#include "base/log.h"
#include "fail_alloc.h"
#include "observe/access_log.h"
#include "observe/metrics.h"
#include "support.h"

#include <pthread.h>

static const char *const formats[] = {"combined", "json", "$client $path"};

static void logs_report_memory_that_is_out(void **state)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		unsigned opened = 0, failures = 0;
		uint64_t lost_before = access_log_lost(NULL);
		for (unsigned n = 0; fail_alloc_round(n); n++) {
			struct access_log *log;
			int failed = access_log_open("/dev/null", slice_from_string(formats[i]), &log);
			assert_true(failed == 0 || failed == -ENOMEM);
			failures += failed != 0;
			if (!failed) {
				struct access_record record = {.client = SLICE("::1"), .status = 200};
				for (int lines = 0; lines < 3; lines++)
					access_log_write(log, &record);
				opened++;
			}
			access_log_end_thread();
			access_log_stop(5000);
		}
		assert_true(opened > 0);
		assert_true(failures > 0);
		assert_true(access_log_lost(NULL) > lost_before);
	}
}

static void *count_once(void *argument)
{
	metric_count(argument);
	metric_observe(metric_register(METRIC_HISTOGRAM, "test_seconds", "", ""), 1000000);
	return NULL;
}

// A thread without memory counts nowhere; the others' counts stay right.
static void counting_goes_on_without_memory(void **state)
{
	struct metric *counter = metric_register(METRIC_COUNTER, "test_total", "", "");
	int64_t counted = 0;
	unsigned rounds = 0;
	for (unsigned n = 0; fail_alloc_round(n); n++, rounds++) {
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, count_once, counter), 0);
		pthread_join(thread, NULL);
		int64_t now = metric_read(counter);
		assert_true(now == counted || now == counted + 1);
		counted = now;
	}
	assert_true(counted > 0);
	assert_true(counted < rounds);
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		char labels[32];
		snprintf(labels, sizeof(labels), "n=\"%u\"", n);
		metric_count(metric_register(METRIC_COUNTER, "test_labelled_total", labels, ""));
	}
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logs_report_memory_that_is_out),
		cmocka_unit_test(counting_goes_on_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
