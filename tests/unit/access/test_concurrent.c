// Places that are taken and given back, over several threads.
#include "access/concurrent.h"
#include "cmocka_all.h"
#include "net/rate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { THREADS = 4, TRIES = 20000, LIMIT = 3, MANY = 1000000 };

static void test_no_more_than_the_limit(void **state)
{
	uint64_t key = rate_key(1, SLICE("a"));
	struct concurrent *places[LIMIT], *other;
	for (int i = 0; i < LIMIT; i++)
		assert_int_equal(concurrent_take(key, LIMIT, &places[i]), CONCURRENT_TAKEN);
	assert_int_equal(concurrent_take(key, LIMIT, &other), CONCURRENT_FULL);
	assert_int_equal(concurrent_take(rate_key(1, SLICE("b")), LIMIT, &other), CONCURRENT_TAKEN);
	concurrent_give(other);
	concurrent_give(places[0]);
	assert_int_equal(concurrent_take(key, LIMIT, &places[0]), CONCURRENT_TAKEN);
	assert_int_equal(concurrent_take(key, LIMIT, &other), CONCURRENT_FULL);
	for (int i = 0; i < LIMIT; i++)
		concurrent_give(places[i]);
}

static _Atomic int under_way, most;

static void *take_and_give(void *argument)
{
	uint64_t key = rate_key(2, SLICE("shared"));
	for (unsigned i = 0; i < TRIES; i++) {
		struct concurrent *place;
		if (concurrent_take(key, 2, &place) != CONCURRENT_TAKEN)
			continue;
		int now = atomic_fetch_add(&under_way, 1) + 1;
		if (now > atomic_load(&most))
			atomic_store(&most, now);
		atomic_fetch_sub(&under_way, 1);
		concurrent_give(place);
	}
	return NULL;
}

static void test_it_is_exact_over_threads(void **state)
{
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_in_range(most, 1, 2);
	// All places were given back.
	struct concurrent *places[2];
	for (int i = 0; i < 2; i++)
		assert_int_equal(concurrent_take(rate_key(2, SLICE("shared")), 2, &places[i]), CONCURRENT_TAKEN);
	for (int i = 0; i < 2; i++)
		concurrent_give(places[i]);
}

// What has no room is not refused, and what was taken can be given back.
static void test_more_keys_than_room(void **state)
{
	struct concurrent **places = malloc(MANY * sizeof(struct concurrent *));
	assert_non_null(places);
	size_t taken = 0, uncounted = 0;
	for (uint64_t i = 0; i < MANY; i++) {
		enum concurrent_result result = concurrent_take(i * 2 + 1, 1, &places[taken]);
		assert_int_not_equal(result, CONCURRENT_FULL);
		if (result == CONCURRENT_TAKEN)
			taken++;
		else
			uncounted++;
	}
	assert_in_range(taken, MANY / 3, MANY);
	assert_true(uncounted > 0);
	for (size_t i = 0; i < taken; i++)
		concurrent_give(places[i]);
	assert_int_equal(concurrent_take(1, 1, &places[0]), CONCURRENT_TAKEN);
	concurrent_give(places[0]);
	free(places);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_more_than_the_limit),
		cmocka_unit_test(test_it_is_exact_over_threads),
		cmocka_unit_test(test_more_keys_than_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
