// Balancers: how requests spread over servers, counted exactly.
#include "fake_kernel.h"
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static struct fake_kernel fake;
static struct loop *loop;

static int begin(void **state)
{
	loop = fake_loop_new(&fake);
	assert_non_null(loop);
	assert_int_equal(upstream_thread_start(), 0);
	return 0;
}

static int end(void **state)
{
	upstream_thread_stop();
	loop_turn(loop, 0);
	loop_free(loop);
	return 0;
}

// The index of the server that is picked next.
static size_t pick_index(struct pool *pool, struct pick *pick)
{
	struct server *server = pool_pick(pool, pick);
	for (size_t i = 0; i < pool_server_count(pool); i++)
		if (server && pool_server(pool, i) == server)
			return i;
	return SIZE_MAX;
}

static size_t pick_one(struct pool *pool)
{
	struct pick pick;
	pick_init(&pick);
	size_t index = pick_index(pool, &pick);
	if (index != SIZE_MAX)
		server_end(pool_server(pool, index), SERVER_ANSWERED, FAULT_NONE);
	return index;
}

// The order of picks as letters: server 0 is a.
static void expect_order(struct pool *pool, const char *order)
{
	for (size_t i = 0; order[i]; i++)
		assert_int_equal('a' + (int)pick_one(pool), order[i]);
}

static void expect_counts(struct pool *pool, unsigned picks, const unsigned *expected)
{
	unsigned counts[POOL_SERVERS_MAX] = {0};
	for (unsigned i = 0; i < picks; i++) {
		size_t index = pick_one(pool);
		assert_true(index != SIZE_MAX);
		counts[index]++;
	}
	for (size_t i = 0; i < pool_server_count(pool); i++)
		assert_int_equal(counts[i], expected[i]);
}

static void rest(struct pool *pool, size_t index)
{
	atomic_store(&pool_server(pool, index)->rest_until_ns, loop_now() + SECOND_NS);
}

static void takes_equal_servers_in_turn(void **state)
{
	struct test_pools pools = {0};
	struct pool_config *config =
		test_pool_add(&pools, "p", &balance_round_robin, "10.0.0.1:1 10.0.0.2:1 10.0.0.3:1");
	test_pools_activate(&pools);
	expect_order(config->pool, "abcabcabcabc");
	test_pools_free(&pools);
}

static void mixes_weights_smoothly(void **state)
{
	struct test_pools pools = {0};
	struct pool_config *config =
		test_pool_add(&pools, "p", &balance_round_robin, "10.0.0.1:1*5 10.0.0.2:1 10.0.0.3:1");
	test_pools_activate(&pools);
	expect_counts(config->pool, 7, (unsigned[]){5, 1, 1});
	expect_counts(config->pool, 700, (unsigned[]){500, 100, 100});
	// b and c never come together.
	size_t before = pick_one(config->pool);
	for (int i = 0; i < 70; i++) {
		size_t now = pick_one(config->pool);
		assert_true(before == 0 || now == 0);
		before = now;
	}
	test_pools_free(&pools);
}

static void gives_each_its_exact_share(void **state)
{
	struct test_pools pools = {0};
	struct pool_config *config = test_pool_add(&pools, "p", &balance_round_robin,
						   "10.0.0.1:1*1000 10.0.0.2:1*999 10.0.0.3:1*1 10.0.0.4:1*0");
	test_pools_activate(&pools);
	expect_counts(config->pool, 2000, (unsigned[]){1000, 999, 1, 0});
	expect_counts(config->pool, 6000, (unsigned[]){3000, 2997, 3, 0});
	test_pools_free(&pools);
}

static void divides_weights_by_what_they_share(void **state)
{
	struct test_pools pools = {0};
	struct pool_config *config = test_pool_add(&pools, "p", &balance_round_robin, "10.0.0.1:1*400 10.0.0.2:1*200");
	test_pools_activate(&pools);
	expect_order(config->pool, "aabaabaab");
	test_pools_free(&pools);
}

static char *many_servers(unsigned count, unsigned weight_of_odd)
{
	size_t size = count * 32;
	char *text = malloc(size);
	assert_non_null(text);
	size_t length = 0;
	for (unsigned i = 0; i < count; i++)
		length += (size_t)snprintf(text + length, size - length, "10.0.%u.%u:1*%u ", i / 250, i % 250,
					   i % 2 ? weight_of_odd : 1000);
	return text;
}

static void rounds_weights_of_huge_pools(void **state)
{
	struct test_pools pools = {0};
	char *servers = many_servers(POOL_SERVERS_MAX, 1);
	struct pool_config *config = test_pool_add(&pools, "p", &balance_round_robin, servers);
	test_pools_activate(&pools);
	unsigned counts[2] = {0};
	for (unsigned i = 0; i < 100000; i++)
		counts[pick_one(config->pool) % 2]++;
	// Each odd one has a turn in each round; the even ones share the rest.
	assert_true(counts[1] > 0);
	assert_true(counts[0] > 9 * counts[1]);
	test_pools_free(&pools);
	free(servers);
}

static void leaves_out_who_rests_and_keeps_the_shares(void **state)
{
	struct test_pools pools = {0};
	struct pool_config *config =
		test_pool_add(&pools, "p", &balance_round_robin, "10.0.0.1:1 10.0.0.2:1 10.0.0.3:1 10.0.0.4:1*2");
	test_pools_activate(&pools);
	rest(config->pool, 1);
	expect_counts(config->pool, 400, (unsigned[]){100, 0, 100, 200});
	test_pools_free(&pools);
}

static void copes_when_the_heaviest_rests(void **state)
{
	struct test_pools pools = {0};
	struct pool_config *config =
		test_pool_add(&pools, "p", &balance_round_robin, "10.0.0.1:1*1000 10.0.0.2:1*1 10.0.0.3:1*3");
	test_pools_activate(&pools);
	rest(config->pool, 0);
	unsigned counts[3] = {0};
	for (unsigned i = 0; i < 4000; i++)
		counts[pick_one(config->pool)]++;
	assert_int_equal(counts[0], 0);
	assert_in_range(counts[1], 700, 1300); // a quarter, by chance
	test_pools_free(&pools);
}

static void never_tries_a_server_twice(void **state)
{
	const struct balancer_type *const *type = balancer_types;
	for (; *type; type++) {
		struct test_pools pools = {0};
		struct pool_config *config = test_pool_add(
			&pools, "p", *type, "10.0.0.1:1*9 10.0.0.2:1 10.0.0.3:1 10.0.0.4:1! 10.0.0.5:1*0");
		test_pools_activate(&pools);
		for (unsigned round = 0; round < 50; round++) {
			struct pick pick;
			pick_init(&pick);
			bool tried[5] = {false};
			for (unsigned i = 0; i < 4; i++) {
				size_t index = pick_index(config->pool, &pick);
				assert_true(index < 4 && !tried[index]);
				assert_true(index != 3 || i == 3); // the backup is the last
				tried[index] = true;
				server_end(pool_server(config->pool, index), SERVER_ABANDONED, FAULT_NONE);
			}
			assert_int_equal(pick_index(config->pool, &pick), SIZE_MAX);
			assert_int_equal(pick.fault, FAULT_NO_SERVER);
		}
		test_pools_free(&pools);
	}
}

static void tries_no_more_servers_than_allowed(void **state)
{
	struct test_pools pools = {0};
	struct pool_config *config =
		test_pool_add(&pools, "p", &balance_round_robin, "10.0.0.1:1 10.0.0.2:1 10.0.0.3:1");
	config->tries = 2;
	test_pools_activate(&pools);
	struct pick pick;
	pick_init(&pick);
	for (unsigned i = 0; i < 2; i++)
		server_end(pool_pick(config->pool, &pick), SERVER_ABANDONED, FAULT_NONE);
	assert_null(pool_pick(config->pool, &pick));
	test_pools_free(&pools);
}

static void sends_to_backups_when_all_others_rest(void **state)
{
	struct test_pools pools = {0};
	struct pool_config *config =
		test_pool_add(&pools, "p", &balance_round_robin, "10.0.0.1:1 10.0.0.2:1! 10.0.0.3:1!");
	test_pools_activate(&pools);
	expect_order(config->pool, "aaaa");
	rest(config->pool, 0);
	expect_order(config->pool, "bcbc");
	test_pools_free(&pools);
}

static void finds_the_least_loaded(void **state)
{
	struct test_pools pools = {0};
	struct pool_config *config =
		test_pool_add(&pools, "p", &balance_least_requests, "10.0.0.1:1 10.0.0.2:1 10.0.0.3:1");
	test_pools_activate(&pools);
	struct pool *pool = config->pool;
	struct pick pick;
	size_t held[6];
	for (unsigned i = 0; i < 6; i++) {
		pick_init(&pick);
		held[i] = pick_index(pool, &pick);
	}
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(test_status(pool_server(pool, i)).in_flight, 2);
	// Who ends one is the next.
	for (unsigned i = 0; i < 6; i++) {
		server_end(pool_server(pool, held[i]), SERVER_ANSWERED, FAULT_NONE);
		pick_init(&pick);
		assert_int_equal(pick_index(pool, &pick), held[i]);
	}
	for (unsigned i = 0; i < 6; i++)
		server_end(pool_server(pool, held[i]), SERVER_ANSWERED, FAULT_NONE);
	test_pools_free(&pools);
}

static void weighs_requests_in_flight(void **state)
{
	struct test_pools pools = {0};
	struct pool_config *config = test_pool_add(&pools, "p", &balance_least_requests, "10.0.0.1:1*1 10.0.0.2:1*3");
	test_pools_activate(&pools);
	struct pick pick;
	for (unsigned i = 0; i < 40; i++) {
		pick_init(&pick);
		assert_non_null(pool_pick(config->pool, &pick));
	}
	unsigned light = test_status(pool_server(config->pool, 0)).in_flight;
	assert_int_equal(light, 10);
	assert_int_equal(test_status(pool_server(config->pool, 1)).in_flight, 30);
	for (unsigned i = 0; i < 40; i++)
		server_end(pool_server(config->pool, i >= light), SERVER_ANSWERED, FAULT_NONE);
	test_pools_free(&pools);
}

static void shares_among_idle_servers_by_weight(void **state)
{
	struct test_pools pools = {0};
	struct pool_config *config =
		test_pool_add(&pools, "p", &balance_least_requests, "10.0.0.1:1*1 10.0.0.2:1*3 10.0.0.3:1*2");
	test_pools_activate(&pools);
	expect_counts(config->pool, 600, (unsigned[]){100, 300, 200});
	test_pools_free(&pools);
}

// --- Threads

enum { THREADS = 4, PICKS = 3000 };

struct race {
	struct pool *pool;
	unsigned held[8];
	pthread_barrier_t barrier;
};

static void *pick_and_hold(void *argument)
{
	struct race *race = argument;
	struct fake_kernel own;
	struct loop *own_loop = fake_loop_new(&own);
	check(upstream_thread_start() == 0);
	unsigned held[8] = {0};
	pthread_barrier_wait(&race->barrier);
	for (unsigned i = 0; i < PICKS; i++) {
		struct pick pick;
		pick_init(&pick);
		size_t index = pick_index(race->pool, &pick);
		check(index < 8);
		held[index]++;
	}
	pthread_barrier_wait(&race->barrier);
	// The main thread looks now.
	pthread_barrier_wait(&race->barrier);
	for (unsigned i = 0; i < 8; i++)
		for (unsigned j = 0; j < held[i]; j++)
			server_end(pool_server(race->pool, i), SERVER_ANSWERED, FAULT_NONE);
	upstream_thread_stop();
	loop_turn(own_loop, 0);
	loop_free(own_loop);
	return NULL;
}

static void race(const struct balancer_type *type)
{
	struct test_pools pools = {0};
	struct pool_config *config = test_pool_add(
		&pools, "p", type,
		"10.0.0.1:1 10.0.0.2:1 10.0.0.3:1 10.0.0.4:1 10.0.0.5:1 10.0.0.6:1 10.0.0.7:1 10.0.0.8:1");
	test_pools_activate(&pools);
	struct race race = {.pool = config->pool};
	assert_int_equal(pthread_barrier_init(&race.barrier, NULL, THREADS + 1), 0);
	pthread_t threads[THREADS];
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, pick_and_hold, &race), 0);
	pthread_barrier_wait(&race.barrier);
	pthread_barrier_wait(&race.barrier);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(test_status(pool_server(race.pool, i)).in_flight, THREADS * PICKS / 8);
	pthread_barrier_wait(&race.barrier);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < 8; i++) {
		struct server_status status = test_status(pool_server(race.pool, i));
		assert_int_equal(status.in_flight, 0);
		assert_int_equal(status.requests, THREADS * PICKS / 8);
	}
	pthread_barrier_destroy(&race.barrier);
	test_pools_free(&pools);
}

static void is_exact_over_threads(void **state)
{
	race(&balance_round_robin);
	race(&balance_least_requests);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_equal_servers_in_turn),
		cmocka_unit_test(mixes_weights_smoothly),
		cmocka_unit_test(gives_each_its_exact_share),
		cmocka_unit_test(divides_weights_by_what_they_share),
		cmocka_unit_test(rounds_weights_of_huge_pools),
		cmocka_unit_test(leaves_out_who_rests_and_keeps_the_shares),
		cmocka_unit_test(copes_when_the_heaviest_rests),
		cmocka_unit_test(never_tries_a_server_twice),
		cmocka_unit_test(tries_no_more_servers_than_allowed),
		cmocka_unit_test(sends_to_backups_when_all_others_rest),
		cmocka_unit_test(finds_the_least_loaded),
		cmocka_unit_test(weighs_requests_in_flight),
		cmocka_unit_test(shares_among_idle_servers_by_weight),
		cmocka_unit_test(is_exact_over_threads),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
