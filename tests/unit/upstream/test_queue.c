// Waiting for a server, by the fibers of several threads: bounds hold, places are given on, and those who
// leave leave nothing behind. Runs under ThreadSanitizer as well.
#include "base/log.h"
#include "fiber/kernel.h"
#include "support.h"
#include "upstream/pool_change.h"
#include "upstream/pool_queue.h"

#include <pthread.h>
#include <stdlib.h>

enum { THREADS = 3, FIBERS = 40, REQUESTS = 30, BOUND = 2 };

static struct test_pools pools;
static struct pool *pool;
static _Atomic unsigned in_use[2], most[2], served, refused;
static _Atomic bool done;

static void make_pool(unsigned queue_requests, int64_t queue_ns)
{
	struct pool_config *config = test_pool_add(&pools, "p", &balance_least_requests, "10.0.0.1:1 10.0.0.2:1");
	struct server_config *servers = config->servers.items;
	servers[0].max_requests = servers[1].max_requests = BOUND;
	config->queue = (struct pool_queue_config){.requests = queue_requests, .timeout_ns = queue_ns};
	test_pools_activate(&pools);
	pool = config->pool;
}

static int end(void **state)
{
	test_pools_free(&pools);
	return 0;
}

static struct server *pick_or_wait(struct pick *pick, int64_t deadline_ns)
{
	pick_init(pick);
	struct server *server = pool_pick(pool, pick);
	return server || !pick->full ? server : pool_wait(pool, pick, deadline_ns);
}

static void use(struct server *server)
{
	unsigned index = server == pool_server(pool, 0) ? 0 : 1;
	unsigned now = atomic_fetch_add(&in_use[index], 1) + 1, before = atomic_load(&most[index]);
	while (now > before && !atomic_compare_exchange_weak(&most[index], &before, now))
		;
	fiber_yield();
	atomic_fetch_sub(&in_use[index], 1);
}

static void request_again_and_again(void *argument)
{
	bool is_impatient = argument != NULL;
	for (unsigned i = 0; i < REQUESTS; i++) {
		struct pick pick;
		int64_t patience_ns = is_impatient ? MILLISECOND_NS / 2 : 100 * SECOND_NS;
		struct server *server = pick_or_wait(&pick, loop_now() + patience_ns);
		if (!server) {
			atomic_fetch_add(&refused, 1);
			continue;
		}
		use(server);
		atomic_fetch_add(&served, 1);
		server_answered(server, 200, 1);
		server_end(server, SERVER_ANSWERED, FAULT_NONE);
	}
}

static void spawn_all(void *argument)
{
	for (uintptr_t i = 0; i < FIBERS; i++)
		check(fiber_spawn("request", request_again_and_again, i % 4 == 0 ? argument : NULL));
}

static void *run_thread(void *argument)
{
	struct kernel *kernel = kernel_linux_new();
	struct loop *loop = loop_new(kernel);
	check(upstream_thread_start() == 0);
	spawn_all(argument);
	while (fiber_count() > 0)
		(void)loop_turn(loop, MILLISECOND_NS);
	upstream_thread_stop();
	loop_free(loop);
	kernel_linux_free(kernel);
	return NULL;
}

// What the operator does meanwhile makes all that wait look again.
static void *disturb(void *argument)
{
	struct slice second = server_name(pool_server(pool, 1));
	while (!atomic_load(&done)) {
		(void)pool_set_weight(SLICE("p"), second, 2);
		(void)pool_set_state(SLICE("p"), second, SERVER_DRAINING);
		(void)pool_set_state(SLICE("p"), second, SERVER_READY);
		(void)pool_set_weight(SLICE("p"), second, 1);
	}
	return NULL;
}

static void run_threads(void *impatient, bool disturbed)
{
	pthread_t threads[THREADS], disturber;
	atomic_store(&done, false);
	for (unsigned i = 0; i < 2; i++)
		atomic_store(&most[i], 0);
	atomic_store(&served, 0);
	atomic_store(&refused, 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_thread, impatient), 0);
	if (disturbed)
		assert_int_equal(pthread_create(&disturber, NULL, disturb, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&done, true);
	if (disturbed)
		pthread_join(disturber, NULL);
	for (unsigned i = 0; i < 2; i++) {
		assert_in_range(most[i], 1, BOUND);
		assert_int_equal(test_status(pool_server(pool, i)).in_flight, 0);
	}
	struct pool_status status;
	pool_read_status(pool, &status);
	assert_int_equal(status.in_flight, 0);
	assert_int_equal(status.waiting, 0);
	assert_int_equal(status.requests, served);
}

static void nobody_is_lost(void **state)
{
	make_pool(THREADS * FIBERS, 100 * SECOND_NS);
	run_threads(NULL, false);
	assert_int_equal(served, THREADS * FIBERS * REQUESTS);
}

static void who_leaves_leaves_nothing_behind(void **state)
{
	make_pool(THREADS * FIBERS, 100 * SECOND_NS);
	run_threads(&done, false);
	assert_int_equal(served + refused, THREADS * FIBERS * REQUESTS);
	assert_true(served >= THREADS * FIBERS * REQUESTS * 3 / 4);
}

static void changes_of_the_pool_lose_nobody(void **state)
{
	make_pool(THREADS * FIBERS, 100 * SECOND_NS);
	run_threads(NULL, true);
	assert_int_equal(served, THREADS * FIBERS * REQUESTS);
}

// --- One thread

static void too_many(void *argument)
{
	struct pick picks[4], more;
	struct server *servers[4];
	for (unsigned i = 0; i < 4; i++) {
		pick_init(&picks[i]);
		servers[i] = pool_pick(pool, &picks[i]);
		check(servers[i]);
	}
	check(!pick_or_wait(&more, loop_now() + SECOND_NS));
	*(struct pick *)argument = more;
	for (unsigned i = 0; i < 4; i++)
		server_end(servers[i], SERVER_ABANDONED, FAULT_NONE);
}

static void names_the_key_that_refuses(void **state)
{
	struct pick pick;
	make_pool(0, SECOND_NS);
	test_run_upstream(too_many, &pick);
	assert_int_equal(pick.fault, FAULT_OVERLOADED);
	assert_string_equal(pick.setting, "queue.requests");
	assert_int_equal(pick.retry_after_ns, SECOND_NS);
	end(NULL);
	make_pool(10, MILLISECOND_NS);
	test_run_upstream(too_many, &pick);
	assert_int_equal(pick.fault, FAULT_OVERLOADED);
	assert_string_equal(pick.setting, "queue.timeout");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(nobody_is_lost, end),
		cmocka_unit_test_teardown(who_leaves_leaves_nothing_behind, end),
		cmocka_unit_test_teardown(changes_of_the_pool_lose_nobody, end),
		cmocka_unit_test_teardown(names_the_key_that_refuses, end),
	};
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
