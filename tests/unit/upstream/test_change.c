// What holds servers back, priorities, bounds, and what the operator changes meanwhile.
#include "fail_alloc.h"
#include "fake_kernel.h"
#include "support.h"
#include "upstream/pool_change.h"

#include <errno.h>

static struct fake_kernel fake;
static struct loop *loop;
static struct test_pools pools, later;
static struct pool_config *config;
static struct timer far;

static void never_due(struct timer *timer)
{
}

static int begin(void **state)
{
	loop = fake_loop_new(&fake);
	assert_non_null(loop);
	assert_int_equal(upstream_thread_start(), 0);
	timer_init(&far, never_due);
	timer_start(&far, loop_now() + 1000000 * SECOND_NS);
	return 0;
}

static int end(void **state)
{
	timer_stop(&far);
	test_pools_free(&pools);
	test_pools_free(&later);
	loop_turn(loop, 0);
	upstream_thread_stop();
	loop_turn(loop, 0);
	loop_free(loop);
	return 0;
}

static void make_pool(const char *servers)
{
	config = test_pool_add(&pools, "p", &balance_round_robin, servers);
	test_pools_activate(&pools);
}

static struct server *server(size_t index)
{
	return pool_server(config->pool, index);
}

static struct server *pick_with(struct pick *pick)
{
	struct server *picked = pool_pick(config->pool, pick);
	if (picked)
		server_end(picked, SERVER_ABANDONED, FAULT_NONE);
	return picked;
}

static struct server *pick_one(void)
{
	struct pick pick;
	pick_init(&pick);
	return pick_with(&pick);
}

// How many of `picks` each server gets: the first at "a".
static void count(unsigned picks, unsigned counts[8])
{
	memset(counts, 0, 8 * sizeof(*counts));
	for (unsigned i = 0; i < picks; i++) {
		const struct server *picked = pick_one();
		for (size_t j = 0; picked && j < pool_server_count(config->pool); j++)
			counts[j] += picked == server(j);
	}
}

static void expect(unsigned picks, unsigned first, unsigned second, unsigned third)
{
	unsigned counts[8];
	count(picks, counts);
	assert_int_equal(counts[0], first);
	assert_int_equal(counts[1], second);
	assert_int_equal(counts[2], third);
}

static void tries_priorities_in_turn(void **state)
{
	config = test_pool_add(&pools, "p", &balance_round_robin, "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80!");
	((struct server_config *)config->servers.items)[1].priority = 1;
	test_pools_activate(&pools);
	expect(10, 10, 0, 0);
	server_hold(server(0), HOLD_DISABLED);
	expect(10, 0, 10, 0);
	server_hold(server(1), HOLD_DISABLED);
	expect(10, 0, 0, 10);
	server_release(server(1), HOLD_DISABLED);
	expect(10, 0, 10, 0);
}

static void holds_back(void **state)
{
	static const uint32_t all[] = {HOLD_DRAINING, HOLD_DISABLED, HOLD_SLOW};
	make_pool("10.0.0.1:80 10.0.0.2:80");
	for (size_t i = 0; i < COUNT(all); i++) {
		server_hold(server(0), all[i]);
		expect(10, 0, 10, 0);
		server_release(server(0), all[i]);
		expect(10, 5, 5, 0);
	}
	server_hold(server(0), HOLD_DRAINING);
	server_hold(server(1), HOLD_DISABLED);
	assert_null(pick_one());
	struct pick pick;
	pick_init(&pick);
	pick.sticks = true;
	assert_ptr_equal(pick_with(&pick), server(0));
}

static void asks_only_for_the_checks_that_matter(void **state)
{
	make_pool("10.0.0.1:80 10.0.0.2:80");
	atomic_store(&server(0)->ill, 2);
	server_hold(server(0), HOLD_ILL);
	expect(10, 0, 10, 0);
	unsigned of_first = 0;
	for (unsigned i = 0; i < 10; i++) {
		struct pick pick;
		pick_init(&pick);
		pick.checks = 1;
		of_first += pick_with(&pick) == server(0);
	}
	assert_int_equal(of_first, 5);
	atomic_store(&server(1)->ill, 2);
	server_hold(server(1), HOLD_ILL);
	struct pick pick;
	pick_init(&pick);
	assert_null(pick_with(&pick));
	assert_int_equal(pick.fault, FAULT_NO_SERVER);
}

static void prefers_proven_servers(void **state)
{
	make_pool("10.0.0.1:80 10.0.0.2:80 10.0.0.3:80");
	for (size_t i = 0; i < 3; i++) {
		atomic_store(&server(i)->unproven, 1);
		server_hold(server(i), HOLD_UNPROVEN);
	}
	expect(30, 10, 10, 10);
	atomic_store(&server(1)->unproven, 0);
	server_release(server(1), HOLD_UNPROVEN);
	expect(30, 0, 30, 0);
	// A crowd at the proven one is no reason.
	atomic_store(&server(1)->max_requests, 1);
	struct pick first, second;
	pick_init(&first);
	pick_init(&second);
	struct server *held = pool_pick(config->pool, &first);
	assert_ptr_equal(held, server(1));
	assert_null(pool_pick(config->pool, &second));
	assert_true(second.full);
	server_end(held, SERVER_ANSWERED, FAULT_NONE);
}

static void bounds_requests_in_flight(void **state)
{
	config = test_pool_add(&pools, "p", &balance_least_requests, "10.0.0.1:80 10.0.0.2:80");
	((struct server_config *)config->servers.items)[0].max_requests = 2;
	((struct server_config *)config->servers.items)[1].max_requests = 3;
	test_pools_activate(&pools);
	struct server *held[5];
	struct pick pick;
	for (size_t i = 0; i < 5; i++) {
		pick_init(&pick);
		held[i] = pool_pick(config->pool, &pick);
		assert_non_null(held[i]);
		assert_false(pick.tries == 0);
	}
	assert_int_equal(test_status(server(0)).in_flight, 2);
	assert_int_equal(test_status(server(1)).in_flight, 3);
	pick_init(&pick);
	assert_null(pool_pick(config->pool, &pick));
	assert_true(pick.full);
	struct server *freed = held[4];
	server_end(freed, SERVER_ANSWERED, FAULT_NONE);
	pick_init(&pick);
	held[4] = pool_pick(config->pool, &pick);
	assert_ptr_equal(held[4], freed);
	for (size_t i = 0; i < 5; i++)
		server_end(held[i], SERVER_ANSWERED, FAULT_NONE);
}

static void warms_up(void **state)
{
	config = test_pool_add(&pools, "p", &balance_round_robin, "10.0.0.1:80 10.0.0.2:80");
	config->slow_start_ns = 100 * SECOND_NS;
	test_pools_activate(&pools);
	expect(100, 50, 50, 0); // all are new: nobody waits for the others
	server_warm(server(0));
	unsigned counts[8];
	count(1000, counts);
	assert_in_range(counts[0], 40, 150); // half of a tenth, and the turns that are passed over
	fake.now_ns += 50 * SECOND_NS;
	loop_turn(loop, 0);
	count(1000, counts);
	assert_in_range(counts[0], 280, 390);
	fake.now_ns += 51 * SECOND_NS;
	loop_turn(loop, 0);
	expect(100, 50, 50, 0);
	assert_int_equal(test_status(server(0)).holds, 0);
	// Alone it needs no luck.
	server_warm(server(0));
	server_hold(server(1), HOLD_DISABLED);
	expect(100, 100, 0, 0);
	// So does one that is well again.
	server_release(server(1), HOLD_DISABLED);
	server_release(server(0), HOLD_WARMING);
	server_hold(server(0), HOLD_ILL);
	server_release(server(0), HOLD_ILL);
	assert_int_equal(test_status(server(0)).holds, HOLD_WARMING);
}

static void follows_the_operator(void **state)
{
	struct slice p = SLICE("p"), first = SLICE("10.0.0.1:80");
	make_pool("10.0.0.1:80 10.0.0.2:80");
	assert_int_equal(pool_set_state(p, first, SERVER_DRAINING), 0);
	expect(10, 0, 10, 0);
	assert_int_equal(pool_set_state(p, first, SERVER_READY), 0);
	assert_int_equal(pool_set_weight(p, first, 4), 0);
	expect(10, 8, 2, 0);
	assert_int_equal(pool_set_weight(p, first, 0), 0);
	expect(10, 0, 10, 0);
	struct server_addition third = {SLICE("http://10.0.0.3"), .weight = 1};
	assert_int_equal(pool_add_server(p, &third), 0);
	expect(10, 0, 5, 5);
	assert_int_equal(pool_set_weight(p, SLICE("10.0.0.3:80"), 4), 0);
	expect(10, 0, 2, 8);
	assert_int_equal(pool_remove_server(p, SLICE("10.0.0.2:80")), 0);
	expect(10, 0, 10, 0); // what is left is 10.0.0.1 and 10.0.0.3
	assert_int_equal(pool_server_count(config->pool), 2);

	assert_int_equal(pool_set_state(SLICE("q"), first, SERVER_READY), -ENOENT);
	assert_int_equal(pool_set_state(p, SLICE("10.0.0.2:80"), SERVER_READY), -ESRCH);
	assert_int_equal(pool_set_weight(p, first, POOL_WEIGHT_MAX + 1), -EINVAL);
	assert_int_equal(pool_add_server(p, &third), -EEXIST);
	assert_int_equal(pool_add_server(p, &(struct server_addition){SLICE("10.0.0.9"), .weight = 1}), -EINVAL);
	assert_int_equal(pool_add_server(p, &(struct server_addition){SLICE("https://a"), .weight = 1}), -EPROTO);
	assert_int_equal(pool_remove_server(p, SLICE("10.0.0.2:80")), -ESRCH);
}

static void reload(const char *servers)
{
	config = test_pool_add(&later, "p", &balance_round_robin, servers);
	test_pools_activate(&later);
	pools_retire(&pools.set);
}

static void survives_a_reload(void **state)
{
	struct slice p = SLICE("p");
	make_pool("10.0.0.1:80 10.0.0.2:80 10.0.0.4:80");
	assert_int_equal(pool_set_state(p, SLICE("10.0.0.1:80"), SERVER_DISABLED), 0);
	assert_int_equal(pool_set_weight(p, SLICE("10.0.0.2:80"), 3), 0);
	assert_int_equal(pool_add_server(p, &(struct server_addition){SLICE("10.0.0.3:80"), .weight = 1}), 0);
	assert_int_equal(pool_remove_server(p, SLICE("10.0.0.4:80")), 0);
	reload("10.0.0.1:80 10.0.0.2:80");
	expect(8, 0, 6, 2);
}

static void gives_way_to_a_new_configuration(void **state)
{
	struct slice p = SLICE("p");
	make_pool("10.0.0.1:80 10.0.0.2:80");
	assert_int_equal(pool_set_weight(p, SLICE("10.0.0.1:80"), 5), 0);
	assert_int_equal(pool_remove_server(p, SLICE("10.0.0.2:80")), 0);
	expect(8, 8, 0, 0);
	reload("10.0.0.1:80*3 10.0.0.2:80");
	expect(8, 6, 2, 0);
}

// The request in flight keeps the server, and what the old roster held goes.
static void lets_requests_end_at_a_removed_server(void **state)
{
	struct slice p = SLICE("p");
	struct pick pick;
	make_pool("10.0.0.1:80 10.0.0.2:80");
	assert_int_equal(pool_add_server(p, &(struct server_addition){SLICE("10.0.0.3:80"), .weight = 1000}), 0);
	struct server *held = NULL;
	while (!held || held != server(2)) {
		if (held)
			server_end(held, SERVER_ABANDONED, FAULT_NONE);
		pick_init(&pick);
		held = pool_pick(config->pool, &pick);
	}
	assert_int_equal(pool_remove_server(p, SLICE("10.0.0.3:80")), 0);
	loop_turn(loop, 0);
	loop_turn(loop, 0);
	struct server_status status = test_status(held);
	assert_true(status.retired);
	assert_int_equal(status.in_flight, 1);
	server_answered(held, 200, 5);
	server_end(held, SERVER_ANSWERED, FAULT_NONE); // its end: AddressSanitizer sees to it
}

static void changes_nothing_without_memory(void **state)
{
	struct slice p = SLICE("p");
	make_pool("10.0.0.1:80 10.0.0.2:80");
	struct server_addition third = {SLICE("10.0.0.3:80"), .weight = 1};
	unsigned failures = 0;
	bool done = false;
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		int failed = done ? 0 : pool_add_server(p, &third);
		bool struck = fail_alloc_stop();
		done |= !failed;
		assert_true(done || struck);
		assert_true(done || failed == -ENOMEM);
		assert_int_equal(pool_server_count(config->pool), done ? 3 : 2);
		failures += failed != 0;
	}
	assert_true(done && failures > 4);
	done = false;
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		done |= !done && pool_set_weight(p, SLICE("10.0.0.3:80"), 7) == 0;
		(void)fail_alloc_stop();
		assert_int_equal(pool_member(config->pool, 2).weight, done ? 7 : 1);
	}
	assert_true(done);
	done = false;
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		done |= !done && pool_remove_server(p, SLICE("10.0.0.3:80")) == 0;
		(void)fail_alloc_stop();
		assert_int_equal(pool_server_count(config->pool), done ? 2 : 3);
	}
	assert_true(done);
	expect(10, 5, 5, 0);
}

static void forgets_slowness(void **state)
{
	make_pool("10.0.0.1:80");
	struct server *only = server(0);
	server_answered(only, 200, SECOND_NS);
	assert_int_equal(server_latency_ns(only, loop_now()), SECOND_NS);
	server_answered(only, 200, SECOND_NS / 5);
	assert_int_equal(server_latency_ns(only, loop_now()), SECOND_NS * 9 / 10);
	server_answered(only, 200, 2 * SECOND_NS);
	assert_int_equal(server_latency_ns(only, loop_now()), 2 * SECOND_NS);
	assert_int_equal(server_latency_ns(only, loop_now() + 20 * SECOND_NS), SECOND_NS / 2);
	assert_int_equal(server_latency_ns(only, loop_now() + 20000 * SECOND_NS), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tries_priorities_in_turn),
		TEST(holds_back),
		TEST(asks_only_for_the_checks_that_matter),
		TEST(prefers_proven_servers),
		TEST(bounds_requests_in_flight),
		TEST(warms_up),
		TEST(follows_the_operator),
		TEST(survives_a_reload),
		TEST(gives_way_to_a_new_configuration),
		TEST(lets_requests_end_at_a_removed_server),
		TEST(changes_nothing_without_memory),
		TEST(forgets_slowness),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
