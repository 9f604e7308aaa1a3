#include "base/histogram.h"
#include "cmocka_all.h"

static void buckets_are_in_order_and_hold_their_middle(void **state)
{
	unsigned before = 0;
	for (int64_t time = 0; time < INT64_C(200000000000); time = time * 33 / 32 + 1) {
		unsigned bucket = histogram_bucket(time);
		assert_in_range(bucket, before, HISTOGRAM_BUCKETS - 1);
		before = bucket;
	}
	assert_int_equal(before, HISTOGRAM_BUCKETS - 1);
	for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++)
		assert_int_equal(histogram_bucket(histogram_middle_ns(bucket)), bucket);
	assert_int_equal(histogram_bucket(-1), 0);
	assert_int_equal(histogram_bucket(INT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void quantiles_are_off_by_less_than_an_eighth(void **state)
{
	uint64_t counts[HISTOGRAM_BUCKETS] = {0};
	assert_int_equal(histogram_quantile_ns(counts, 500), 0);
	for (int64_t ms = 1; ms <= 1000; ms++)
		counts[histogram_bucket(ms * 1000000)]++;
	static const unsigned wanted[] = {10, 500, 900, 990, 1000};
	for (unsigned i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		int64_t exact = wanted[i] * INT64_C(1000000), found = histogram_quantile_ns(counts, wanted[i]);
		assert_in_range(found, exact - exact / 8, exact + exact / 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_are_in_order_and_hold_their_middle),
		cmocka_unit_test(quantiles_are_off_by_less_than_an_eighth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
