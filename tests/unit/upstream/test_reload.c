// Reloads: what survives them, what ends with them, and what happens when memory is out.
#include "fail_alloc.h"
#include "fake_kernel.h"
#include "support.h"

#include <stdio.h>

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

static void keeps_a_pool_that_did_not_change(void **state)
{
	struct test_pools old = {0}, new = {0};
	struct pool_config *before = test_pool_add(&old, "api", &balance_round_robin, "10.0.0.1:1 10.0.0.2:1*2");
	struct pool_config *after = test_pool_add(&new, "api", &balance_round_robin, "10.0.0.1:1 10.0.0.2:1*2");
	after->rest.after = 7;
	after->idle.connections = 9;
	test_pools_activate(&old);
	test_pools_activate(&new);
	assert_ptr_equal(before->pool, after->pool);
	struct pool *pool = after->pool;
	assert_int_equal(pool_server(pool, 0)->settings.rest_after, 7);
	assert_int_equal(pool_server(pool, 0)->settings.idle_connections, 9);
	test_pools_free(&old);
	assert_false(test_status(pool_server(pool, 1)).retired);
	assert_ptr_equal(pool_balancer(pool), &balance_round_robin);
	assert_true(slice_equal(pool_name(pool), SLICE("api")));
	assert_true(slice_equal(server_pool_name(pool_server(pool, 0)), SLICE("api")));
	assert_true(slice_equal(server_name(pool_server(pool, 0)), SLICE("10.0.0.1:1")));
	test_pools_free(&new);
}

static void keeps_servers_of_a_pool_that_changed(void **state)
{
	struct test_pools old = {0}, new = {0};
	struct pool_config *before = test_pool_add(&old, "api", &balance_round_robin, "10.0.0.1:1 10.0.0.2:1");
	struct pool_config *after =
		test_pool_add(&new, "api", &balance_least_requests, "10.0.0.3:1 10.0.0.2:1*5 10.0.0.4:1!");
	test_pools_activate(&old);
	struct server *kept = pool_server(before->pool, 1), *gone = pool_server(before->pool, 0);
	struct pick pick;
	pick_init(&pick);
	assert_ptr_equal(pool_pick(before->pool, &pick), gone);
	atomic_store(&kept->failures, 2);

	test_pools_activate(&new);
	assert_ptr_not_equal(before->pool, after->pool);
	assert_ptr_equal(pool_server(after->pool, 1), kept);
	assert_int_equal(test_status(kept).failures_in_row, 2);
	assert_false(test_status(gone).retired);
	pools_retire(&old.set);
	assert_true(test_status(gone).retired);
	assert_false(test_status(kept).retired);

	// What is under way ends as ever, while its exchange holds the old configuration.
	assert_int_equal(test_status(gone).in_flight, 1);
	server_end(gone, SERVER_ANSWERED, FAULT_NONE);
	test_pools_free(&old);
	assert_int_equal(test_status(kept).failures_in_row, 2);
	test_pools_free(&new);
}

static void brings_a_retired_server_back(void **state)
{
	struct test_pools first = {0}, second = {0}, third = {0};
	struct pool_config *a = test_pool_add(&first, "api", &balance_round_robin, "10.0.0.1:1 10.0.0.2:1");
	test_pool_add(&second, "api", &balance_round_robin, "10.0.0.2:1");
	struct pool_config *c = test_pool_add(&third, "api", &balance_round_robin, "10.0.0.1:1 10.0.0.2:1");
	test_pools_activate(&first);
	struct server *server = pool_server(a->pool, 0);
	test_pools_activate(&second);
	pools_retire(&first.set);
	assert_true(test_status(server).retired);
	test_pools_activate(&third);
	pools_retire(&second.set);
	assert_ptr_equal(pool_server(c->pool, 0), server);
	assert_false(test_status(server).retired);
	test_pools_free(&first);
	test_pools_free(&second);
	test_pools_free(&third);
}

static void keeps_pools_of_the_same_servers_apart(void **state)
{
	struct test_pools pools = {0};
	struct pool_config *a = test_pool_add(&pools, "a", &balance_round_robin, "10.0.0.1:1");
	struct pool_config *b = test_pool_add(&pools, "b", &balance_round_robin, "10.0.0.1:1");
	test_pools_activate(&pools);
	assert_ptr_not_equal(pool_server(a->pool, 0), pool_server(b->pool, 0));
	test_pools_free(&pools);
}

struct visited {
	unsigned count;
	size_t servers;
};

static void count_pool(void *argument, const struct pool *pool)
{
	struct visited *visited = argument;
	visited->count++;
	visited->servers += pool_server_count(pool);
}

static void visits_the_active_ones(void **state)
{
	struct test_pools old = {0}, new = {0};
	test_pool_add(&old, "a", &balance_round_robin, "10.0.0.1:1");
	test_pool_add(&old, "b", &balance_round_robin, "10.0.0.1:1 10.0.0.2:1");
	test_pool_add(&new, "b", &balance_round_robin, "10.0.0.1:1 10.0.0.2:1 10.0.0.3:1");
	test_pools_activate(&old);
	test_pools_activate(&new);
	pools_retire(&old.set);
	struct visited visited = {0};
	pools_visit(count_pool, &visited);
	assert_int_equal(visited.count, 1);
	assert_int_equal(visited.servers, 3);
	test_pools_free(&old);
	test_pools_free(&new);
	visited = (struct visited){0};
	pools_visit(count_pool, &visited);
	assert_int_equal(visited.count, 0);
}

static void survives_many_reloads(void **state)
{
	struct test_pools sets[2] = {0};
	for (unsigned i = 0; i < 300; i++) {
		struct test_pools *set = &sets[i % 2];
		test_pools_free(set);
		char servers[128];
		snprintf(servers, sizeof(servers), "10.0.0.1:1 10.0.0.%u:1 10.0.0.%u:1*%u", 2 + i % 5, 10 + i % 7,
			 1 + i % 3);
		struct pool_config *config = test_pool_add(set, "api", balancer_types[i % 2], servers);
		test_pools_activate(set);
		pools_retire(&sets[(i + 1) % 2].set);
		struct pick pick;
		pick_init(&pick);
		struct server *server = pool_pick(config->pool, &pick);
		assert_non_null(server);
		server_end(server, SERVER_ANSWERED, FAULT_NONE);
		loop_turn(loop, 0);
	}
	test_pools_free(&sets[0]);
	test_pools_free(&sets[1]);
}

static void a_failed_activation_changes_nothing(void **state)
{
	struct test_pools old = {0};
	struct pool_config *before = test_pool_add(&old, "api", &balance_round_robin, "10.0.0.1:1 10.0.0.2:1");
	test_pools_activate(&old);
	struct pool *pool = before->pool;
	unsigned failures = 0;
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		fail_alloc_stop();
		struct test_pools new = {0};
		struct pool_config *changed =
			test_pool_add(&new, "api", &balance_least_requests, "10.0.0.2:1 10.0.0.3:1 app.internal:80");
		struct pool_config *added = test_pool_add(&new, "more", &balance_round_robin, "10.0.0.4:1 10.0.0.5:1!");
		changed->rest.after = 77;
		fail_alloc_after(n);
		int failed = pools_activate(&new.set);
		bool met = fail_alloc_stop();
		if (failed) {
			failures++;
			assert_int_equal(failed, -ENOMEM);
			assert_true(met);
			assert_null(changed->pool);
			assert_null(added->pool);
			assert_int_not_equal(pool_server(pool, 1)->settings.rest_after, 77);
			struct visited visited = {0};
			pools_visit(count_pool, &visited);
			assert_int_equal(visited.count, 1);
			assert_int_equal(visited.servers, 2);
		}
		test_pools_free(&new);
		if (!met)
			break;
	}
	assert_true(failures > 15);
	test_pools_free(&old);
}

static void counts_nothing_when_memory_is_out(void **state)
{
	struct test_pools pools = {0};
	struct pool_config *config = test_pool_add(&pools, "api", &balance_round_robin, "10.0.0.1:1");
	test_pools_activate(&pools);
	struct pick pick;
	pick_init(&pick);
	struct server *server = pool_pick(config->pool, &pick);
	fail_alloc_after(0);
	server_answered(server, 200, 1);
	assert_true(fail_alloc_stop());
	assert_int_equal(test_status(server).answers, 0);
	server_answered(server, 200, 1);
	server_end(server, SERVER_ANSWERED, FAULT_NONE);
	assert_int_equal(test_status(server).answers, 1);
	test_pools_free(&pools);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(keeps_a_pool_that_did_not_change),
		TEST(keeps_servers_of_a_pool_that_changed),
		TEST(brings_a_retired_server_back),
		TEST(keeps_pools_of_the_same_servers_apart),
		TEST(visits_the_active_ones),
		TEST(survives_many_reloads),
		TEST(a_failed_activation_changes_nothing),
		TEST(counts_nothing_when_memory_is_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
