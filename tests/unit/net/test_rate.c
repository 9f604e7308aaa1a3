// Rates under a clock of the test's own; several threads at once, exact over all of them.
#include "cmocka_all.h"
#include "net/rate.h"

#include <pthread.h>
#include <stdatomic.h>

#define SECOND INT64_C(1000000000)

enum { THREADS = 4, TRIES = 20000 };

static const struct rate ten = {SECOND / 10, 5 * SECOND / 10}; // ten a second, and five more at once

static void test_a_burst_and_the_steady_rate(void **state)
{
	uint64_t key = rate_key(1, SLICE("a"));
	int64_t now_ns = 1000 * SECOND;
	for (int i = 0; i < 6; i++) {
		struct rate_result result = rate_take(&ten, key, now_ns);
		assert_true(result.is_within);
		assert_int_equal(result.left, 5 - i);
		assert_int_equal(result.wait_ns, i * SECOND / 10); // its turn at the steady rate
	}
	struct rate_result result = rate_take(&ten, key, now_ns);
	assert_false(result.is_within);
	assert_int_equal(result.wait_ns, SECOND / 10);
	assert_false(rate_take(&ten, key, now_ns + SECOND / 10 - 1).is_within);
	assert_true(rate_take(&ten, key, now_ns + SECOND / 10).is_within);
	// After a rest, all of the burst is there again.
	now_ns += 100 * SECOND;
	for (int i = 0; i < 6; i++)
		assert_true(rate_take(&ten, key, now_ns).is_within);
	assert_false(rate_take(&ten, key, now_ns).is_within);
}

static void test_keys_are_apart(void **state)
{
	const struct rate one = {SECOND, 0};
	assert_true(rate_take(&one, rate_key(2, SLICE("a")), SECOND).is_within);
	assert_true(rate_take(&one, rate_key(2, SLICE("b")), SECOND).is_within);
	assert_true(rate_take(&one, rate_key(3, SLICE("a")), SECOND).is_within);
	assert_false(rate_take(&one, rate_key(2, SLICE("a")), SECOND).is_within);
}

static _Atomic int64_t clock_ns;
static _Atomic unsigned within;

static void *take(void *argument)
{
	uint64_t key = rate_key(4, SLICE("shared"));
	for (unsigned i = 0; i < TRIES; i++) {
		int64_t now_ns = atomic_fetch_add(&clock_ns, SECOND / 1000) + 2000 * SECOND;
		atomic_fetch_add(&within, rate_take(&ten, key, now_ns).is_within);
	}
	return NULL;
}

// In 80 seconds of that clock, ten a second, and the burst.
static void test_it_is_exact_over_threads(void **state)
{
	pthread_t threads[THREADS];
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_in_range(atomic_load(&within), 790, 816);
}

// A flood from everywhere takes no memory, and costs nobody his turn.
static void test_a_flood_from_everywhere(void **state)
{
	const struct rate one = {SECOND, 0};
	int64_t now_ns = 5000 * SECOND;
	for (uint32_t i = 0; i < 1000000; i++)
		assert_true(rate_take(&one, rate_key(5, slice_from(&i, sizeof i)), now_ns).is_within);
	assert_true(rate_take(&one, rate_key(5, SLICE("last")), now_ns).is_within);
	assert_false(rate_take(&one, rate_key(5, SLICE("last")), now_ns).is_within);
}

// A thousand a second, by pieces of a hundred: nothing is refused, and what has come through by any moment is no more
// than the burst and what the time has brought.
static void test_what_is_booked_waits_for_its_turn(void **state)
{
	const int64_t cost_ns = SECOND / 10, burst_ns = 5 * SECOND / 10;
	int64_t now_ns = 3000 * SECOND, own_ns = 0;
	uint64_t key = rate_key(6, SLICE("a"));
	for (int i = 1; i <= 20; i++) {
		int64_t expected = i <= 5 ? 0 : (i - 5) * cost_ns;
		assert_int_equal(rate_book(key, cost_ns, burst_ns, now_ns), expected);
		assert_int_equal(rate_book_at(&own_ns, cost_ns, burst_ns, now_ns), expected);
	}
	assert_int_equal(rate_book(rate_key(6, SLICE("b")), cost_ns, burst_ns, now_ns), 0);
	assert_int_equal(rate_book(key, cost_ns, burst_ns, now_ns + SECOND), 6 * SECOND / 10);
	// After a rest there is the whole burst, and no more.
	now_ns += 100 * SECOND;
	assert_int_equal(rate_book(key, burst_ns, burst_ns, now_ns), 0);
	assert_int_equal(rate_book(key, cost_ns, burst_ns, now_ns), cost_ns);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_burst_and_the_steady_rate),
		cmocka_unit_test(test_keys_are_apart),
		cmocka_unit_test(test_it_is_exact_over_threads),
		cmocka_unit_test(test_a_flood_from_everywhere),
		cmocka_unit_test(test_what_is_booked_waits_for_its_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
