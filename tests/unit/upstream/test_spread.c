// How well balancers spread, as numbers: against what theory says, and against round robin in
// a simulated queue.
#include "base/hash.h"
#include "base/random.h"
#include "fake_kernel.h"
#include "support.h"
#include "upstream/balance_hash.h"
#include "upstream/pool_change.h"

#include <stdio.h>
#include <stdlib.h>

static struct fake_kernel fake;
static struct loop *loop;
static struct test_pools pools;
static struct timer far;

enum { KEYS = 20000 };

static void never_due(struct timer *timer)
{
}

static int begin(void **state)
{
	loop = fake_loop_new(&fake);
	assert_non_null(loop);
	assert_int_equal(upstream_thread_start(), 0);
	timer_init(&far, never_due);
	timer_start(&far, loop_now() + 10000000 * SECOND_NS);
	return 0;
}

static int end(void **state)
{
	timer_stop(&far);
	test_pools_free(&pools);
	loop_turn(loop, 0);
	upstream_thread_stop();
	loop_turn(loop, 0);
	loop_free(loop);
	return 0;
}

// Servers 10.0.X.Y:80; weights 1, 2, 3, 1, ... where asked for.
static char *servers_text(unsigned count, bool weighted)
{
	char *data;
	size_t length;
	FILE *text = open_memstream(&data, &length);
	assert_non_null(text);
	for (unsigned i = 0; i < count; i++)
		fprintf(text, "%s10.0.%u.%u:80*%u", i ? " " : "", i / 250, i % 250 + 1, weighted ? 1 + i % 3 : 1);
	fclose(text);
	return data;
}

static struct pool_config *make_pool(const struct balancer_type *balancer, unsigned count, bool weighted,
				     enum hash_method method, unsigned bound_percent)
{
	char *text = servers_text(count, weighted);
	struct pool_config *config = test_pool_add(&pools, "p", balancer, text);
	free(text);
	config->hash.method = (int)method;
	config->hash.bound_percent = bound_percent;
	test_pools_activate(&pools);
	return config;
}

static struct server *take(struct pool *pool, uint64_t hash)
{
	struct pick pick;
	pick_init(&pick);
	pick.hash = hash;
	struct server *server = pool_pick(pool, &pick);
	assert_non_null(server);
	return server;
}

static struct server *pick_of(struct pool *pool, uint64_t hash)
{
	struct server *server = take(pool, hash);
	server_end(server, SERVER_ANSWERED, FAULT_NONE);
	return server;
}

// Of all keys only those of the server that leaves move, and 2% more at most.
static void check_moves(enum hash_method method, unsigned count, bool weighted)
{
	struct server **before = calloc(KEYS, sizeof(*before));
	assert_non_null(before);
	struct pool_config *config = make_pool(&balance_hash, count, weighted, method, 0);
	struct server *leaving = pool_server(config->pool, count / 2);
	unsigned of_leaving = 0, moved = 0;
	for (unsigned i = 0; i < KEYS; i++) {
		before[i] = pick_of(config->pool, hash_number(i));
		of_leaving += before[i] == leaving;
	}
	// By a roster without it, not only by passing it over.
	assert_int_equal(pool_remove_server(SLICE("p"), server_name(leaving)), 0);
	for (unsigned i = 0; i < KEYS; i++) {
		struct server *now = pick_of(config->pool, hash_number(i));
		assert_ptr_not_equal(now, leaving);
		moved += now != before[i];
	}
	assert_true(moved >= of_leaving);
	print_message("%s of %u: %u keys were the leaving server's, %u moved\n",
		      method == HASH_RING ? "ring" : "maglev", count, of_leaving, moved);
	assert_true(moved - of_leaving <= KEYS / 50);
	free(before);
	test_pools_free(&pools);
	pools = (struct test_pools){0};
	loop_turn(loop, 0);
}

static void hash_moves_little(void **state)
{
	static const unsigned counts[] = {2, 3, 10, 100};
	for (size_t i = 0; i < COUNT(counts); i++)
		for (unsigned weighted = 0; weighted < 2; weighted++) {
			check_moves(HASH_MAGLEV, counts[i], weighted);
			check_moves(HASH_RING, counts[i], weighted);
		}
}

// Each gets its share: within 3% of all with maglev, 30% of its own with a ring.
static void hash_shares(void **state)
{
	for (unsigned method = HASH_MAGLEV; method <= HASH_RING; method++) {
		struct pool_config *config = make_pool(&balance_hash, 9, true, (enum hash_method)method, 0);
		unsigned counts[9] = {0};
		for (unsigned i = 0; i < KEYS; i++)
			for (size_t j = 0, found = 0; !found; j++)
				if ((found = pick_of(config->pool, hash_number(i)) == pool_server(config->pool, j)))
					counts[j]++;
		for (unsigned i = 0; i < 9; i++) {
			unsigned due = KEYS * (1 + i % 3) / 18;
			unsigned slack = method == HASH_MAGLEV ? due / 10 : due * 3 / 10;
			assert_in_range(counts[i], due - slack, due + slack);
		}
		test_pools_free(&pools);
		pools = (struct test_pools){0};
		loop_turn(loop, 0);
	}
}

// All requests have one key, and none ends: no server has more than the bound allows.
static void hash_is_bounded(void **state)
{
	struct pool_config *config = make_pool(&balance_hash, 10, false, HASH_MAGLEV, 125);
	struct server *held[1000];
	for (unsigned i = 0; i < COUNT(held); i++) {
		held[i] = take(config->pool, 42);
		unsigned most = 0;
		for (size_t j = 0; j < 10; j++) {
			unsigned own = test_status(pool_server(config->pool, j)).in_flight;
			most = own > most ? own : most;
		}
		assert_true(most <= (i + 1) * 125 / 1000 + 1);
	}
	for (unsigned i = 0; i < COUNT(held); i++)
		server_end(held[i], SERVER_ANSWERED, FAULT_NONE);
}

// --- A queue in simulated time: requests come at a steady rate by chance, each server works
// on one at a time.

enum { SERVERS = 10, REQUESTS = 20000 };

struct queue {
	struct server *server;
	int64_t service_ns, free_at_ns;
};

struct ending {
	int64_t at_ns, began_ns;
	struct server *server;
};

static int compare_latencies(const void *a, const void *b)
{
	int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;
	return first < second ? -1 : first > second;
}

static void go_to(int64_t at_ns)
{
	if (at_ns <= fake.now_ns)
		return;
	fake.now_ns = at_ns;
	loop_turn(loop, 0);
}

// Ends what ends before `until_ns`, in order.
static void end_before(struct ending *endings, size_t *count, int64_t until_ns)
{
	for (;;) {
		size_t first = SIZE_MAX;
		for (size_t i = 0; i < *count; i++)
			if (endings[i].at_ns <= until_ns &&
			    (first == SIZE_MAX || endings[i].at_ns < endings[first].at_ns))
				first = i;
		if (first == SIZE_MAX)
			return;
		struct ending ending = endings[first];
		endings[first] = endings[--*count];
		go_to(ending.at_ns);
		server_answered(ending.server, 200, ending.at_ns - ending.began_ns);
		server_end(ending.server, SERVER_ANSWERED, FAULT_NONE);
	}
}

// The time within which 99 of 100 requests are answered, where the first server is ten times
// slower than the others.
static int64_t simulate_p99(const struct balancer_type *balancer)
{
	struct pool_config *config = make_pool(balancer, SERVERS, false, HASH_MAGLEV, 0);
	struct queue queues[SERVERS];
	struct ending *endings = calloc(REQUESTS, sizeof(*endings));
	int64_t *latencies = calloc(REQUESTS, sizeof(*latencies));
	assert_true(endings && latencies);
	size_t under_way = 0;
	for (size_t i = 0; i < SERVERS; i++)
		queues[i] = (struct queue){pool_server(config->pool, i), (i == 0 ? 10 : 1) * 10 * MILLISECOND_NS, 0};
	struct random random;
	random_seed(&random, 7);
	int64_t now_ns = fake.now_ns;
	for (size_t i = 0; i < REQUESTS; i++) {
		// So few that even the slow one can just keep up with a tenth of them.
		now_ns += (int64_t)random_below(&random, 24 * MILLISECOND_NS);
		end_before(endings, &under_way, now_ns);
		go_to(now_ns);
		struct server *server = take(config->pool, 0);
		for (size_t j = 0; j < SERVERS; j++) {
			struct queue *queue = &queues[j];
			if (queue->server != server)
				continue;
			queue->free_at_ns =
				(queue->free_at_ns > now_ns ? queue->free_at_ns : now_ns) + queue->service_ns;
			latencies[i] = queue->free_at_ns - now_ns;
			endings[under_way++] = (struct ending){queue->free_at_ns, now_ns, server};
		}
	}
	end_before(endings, &under_way, INT64_MAX);
	qsort(latencies, REQUESTS, sizeof(*latencies), compare_latencies);
	int64_t p99_ns = latencies[REQUESTS * 99 / 100];
	free(endings);
	free(latencies);
	test_pools_free(&pools);
	pools = (struct test_pools){0};
	loop_turn(loop, 0);
	return p99_ns;
}

static void least_time_avoids_the_slow(void **state)
{
	int64_t by_turns = simulate_p99(&balance_round_robin), by_time = simulate_p99(&balance_least_time);
	int64_t by_chance = simulate_p99(&balance_random), by_requests = simulate_p99(&balance_least_requests);
	print_message("p99 with one of ten servers ten times slower: round_robin %lld ms, random %lld ms, "
		      "least_requests %lld ms, least_time %lld ms\n",
		      (long long)(by_turns / MILLISECOND_NS), (long long)(by_chance / MILLISECOND_NS),
		      (long long)(by_requests / MILLISECOND_NS), (long long)(by_time / MILLISECOND_NS));
	assert_true(by_time * 2 <= by_turns);
}

// None of the requests ends: with two choices the fullest server has little more than the mean
// (log log n / log 2 more).
static void random_spreads(void **state)
{
	enum { COUNT_OF_SERVERS = 100, HELD = 10000 };
	struct pool_config *config = make_pool(&balance_random, COUNT_OF_SERVERS, false, HASH_MAGLEV, 0);
	struct server **held = calloc(HELD, sizeof(*held));
	assert_non_null(held);
	for (unsigned i = 0; i < HELD; i++)
		held[i] = take(config->pool, 0);
	for (size_t i = 0; i < COUNT_OF_SERVERS; i++)
		assert_in_range(test_status(pool_server(config->pool, i)).in_flight, 90, 105);
	for (unsigned i = 0; i < HELD; i++)
		server_end(held[i], SERVER_ANSWERED, FAULT_NONE);
	free(held);
}

// More servers than are looked at for one request: still even.
static void least_requests_spreads_over_many(void **state)
{
	enum { COUNT_OF_SERVERS = 1000, HELD = 10000 };
	struct pool_config *config = make_pool(&balance_least_requests, COUNT_OF_SERVERS, false, HASH_MAGLEV, 0);
	struct server **held = calloc(HELD, sizeof(*held));
	assert_non_null(held);
	for (unsigned i = 0; i < HELD; i++)
		held[i] = take(config->pool, 0);
	for (size_t i = 0; i < COUNT_OF_SERVERS; i++)
		assert_in_range(test_status(pool_server(config->pool, i)).in_flight, 9, 11);
	for (unsigned i = 0; i < HELD; i++)
		server_end(held[i], SERVER_ANSWERED, FAULT_NONE);
	free(held);
}

static void first_fills_up(void **state)
{
	struct pool_config *config = test_pool_add(&pools, "p", &balance_first, "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80");
	for (size_t i = 0; i < 3; i++)
		((struct server_config *)config->servers.items)[i].max_requests = 2;
	test_pools_activate(&pools);
	struct server *held[6];
	for (size_t i = 0; i < COUNT(held); i++) {
		held[i] = take(config->pool, 0);
		assert_ptr_equal(held[i], pool_server(config->pool, i / 2));
	}
	server_end(held[0], SERVER_ANSWERED, FAULT_NONE);
	held[0] = take(config->pool, 0);
	assert_ptr_equal(held[0], pool_server(config->pool, 0));
	for (size_t i = 0; i < COUNT(held); i++)
		server_end(held[i], SERVER_ANSWERED, FAULT_NONE);
}

// Whatever the balancer: held back, tried and full servers get nothing.
static void all_keep_the_rules(void **state)
{
	for (size_t i = 0; balancer_types[i]; i++) {
		struct pool_config *config = make_pool(balancer_types[i], 4, true, HASH_RING, 0);
		server_hold(pool_server(config->pool, 0), HOLD_DISABLED);
		atomic_store(&pool_server(config->pool, 1)->max_requests, 0);
		for (unsigned j = 0; j < 200; j++) {
			struct pick pick;
			pick_init(&pick);
			pick.hash = hash_number(j);
			struct server *one = pool_pick(config->pool, &pick), *two = pool_pick(config->pool, &pick);
			assert_true(one && two && one != two);
			assert_ptr_not_equal(one, pool_server(config->pool, 0));
			assert_ptr_not_equal(two, pool_server(config->pool, 0));
			assert_ptr_not_equal(one, pool_server(config->pool, 1));
			assert_ptr_not_equal(two, pool_server(config->pool, 1));
			assert_null(pool_pick(config->pool, &pick));
			server_end(one, SERVER_ANSWERED, FAULT_NONE);
			server_end(two, SERVER_ANSWERED, FAULT_NONE);
		}
		server_release(pool_server(config->pool, 0), HOLD_DISABLED);
		test_pools_free(&pools);
		pools = (struct test_pools){0};
		loop_turn(loop, 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hash_moves_little), TEST(hash_shares),
		TEST(hash_is_bounded),	 TEST(least_time_avoids_the_slow),
		TEST(random_spreads),	 TEST(least_requests_spreads_over_many),
		TEST(first_fills_up),	 TEST(all_keep_the_rules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
