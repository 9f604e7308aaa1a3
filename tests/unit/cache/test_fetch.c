// Fetches: one at a time for each key, over several threads; also under ThreadSanitizer.
#include "base/check.h"
#include "cache/fetch.h"
#include "cmocka_all.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 3, FIBERS = 30, ROUNDS = 40, KEYS = 3 };

static const struct slice keys[KEYS] = {{"http://a/", 9}, {"http://a/b", 10}, {"http://b/", 9}};
static _Atomic unsigned fetching[KEYS], fetches, waits, failures;

static void fetch(unsigned index, struct cache_fetch *mine, unsigned round)
{
	if (atomic_fetch_add(&fetching[index], 1) != 0)
		atomic_fetch_add(&failures, 1); // two at once
	for (unsigned i = 0; i < 3; i++)
		fiber_yield();
	atomic_fetch_sub(&fetching[index], 1);
	atomic_fetch_add(&fetches, 1);
	cache_fetch_end(mine, round % 2 ? CACHE_FETCH_STORED : CACHE_FETCH_NOT_STORED);
}

static void visit(void *argument)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned index = round % KEYS;
		bool is_first;
		enum cache_fetch_outcome outcome;
		// Two keys with the same hash are two keys.
		struct cache_fetch *found = cache_fetch_join(keys[index], index / 2, &is_first);
		check(found);
		if (is_first) {
			fetch(index, found, round);
			continue;
		}
		int error = cache_fetch_wait(found, loop_now() + 100 * SECOND_NS, &outcome);
		if (error || (outcome != CACHE_FETCH_STORED && outcome != CACHE_FETCH_NOT_STORED))
			atomic_fetch_add(&failures, 1);
		atomic_fetch_add(&waits, 1);
	}
}

static void *run_thread(void *argument)
{
	struct kernel *kernel = kernel_linux_new();
	struct loop *loop = loop_new(kernel);
	for (unsigned i = 0; i < FIBERS; i++)
		check(fiber_spawn("visitor", visit, NULL));
	loop_run(loop);
	loop_free(loop);
	kernel_linux_free(kernel);
	return NULL;
}

static void one_fetches_at_a_time(void **state)
{
	pthread_t threads[THREADS];
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_thread, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(failures, 0);
	assert_int_equal(fetches + waits, THREADS * FIBERS * ROUNDS);
	assert_true(waits > fetches);
}

// --- Who does not wait to the end

static int outcomes[2];

static void impatient(void *argument)
{
	bool is_first;
	enum cache_fetch_outcome outcome;
	struct cache_fetch *found = cache_fetch_join(keys[0], 7, &is_first);
	check(found && !is_first);
	int64_t until_ns = loop_now() + (argument ? 100 * SECOND_NS : 5 * MILLISECOND_NS);
	outcomes[argument != NULL] = cache_fetch_wait(found, until_ns, &outcome);
}

static void fetch_slowly(void *argument)
{
	bool is_first;
	struct cache_fetch *mine = cache_fetch_join(keys[0], 7, &is_first);
	check(mine && is_first);
	struct fiber *cancelled = fiber_spawn("cancelled", impatient, outcomes);
	check(cancelled && fiber_spawn("impatient", impatient, NULL));
	(void)fiber_sleep("test", loop_now() + MILLISECOND_NS);
	fiber_cancel(cancelled);
	while (outcomes[0] == 0 || outcomes[1] == 0)
		(void)fiber_sleep("test", loop_now() + MILLISECOND_NS);
	cache_fetch_end(mine, CACHE_FETCH_LEFT);
}

static void who_leaves_leaves_nothing_behind(void **state)
{
	struct kernel *kernel = kernel_linux_new();
	struct loop *loop = loop_new(kernel);
	check(fiber_spawn("fetch", fetch_slowly, NULL));
	loop_run(loop);
	loop_free(loop);
	kernel_linux_free(kernel);
	assert_int_equal(outcomes[0], -ETIMEDOUT);
	assert_int_equal(outcomes[1], -ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_fetches_at_a_time),
		cmocka_unit_test(who_leaves_leaves_nothing_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
