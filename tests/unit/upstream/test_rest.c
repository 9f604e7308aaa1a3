// Servers that fail: when they rest, how long, and how they come back.
#include "fake_kernel.h"
#include "support.h"
#include "upstream/outlier.h"

static struct fake_kernel fake;
static struct loop *loop;
static struct test_pools pools;
static struct pool *pool;

// Three failures, five seconds at first, twenty at most.
static void make_pool(const char *servers)
{
	struct pool_config *config = test_pool_add(&pools, "p", &balance_round_robin, servers);
	config->rest = (struct pool_rest_config){.after = 3, .for_ns = 5 * SECOND_NS, .max_ns = 20 * SECOND_NS};
	test_pools_activate(&pools);
	pool = config->pool;
}

// Only a loop that has something to wait for looks at its clock.
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
	upstream_thread_stop();
	loop_turn(loop, 0);
	loop_free(loop);
	return 0;
}

static void pass(int64_t duration_ns)
{
	fake.now_ns += duration_ns;
	loop_turn(loop, 0); // reads the clock,
	loop_turn(loop, 0); // and fires timers by it
}

static struct server *pick_first(struct pick *pick)
{
	pick_init(pick);
	return pool_pick(pool, pick);
}

// Picks until it is this server's turn, which is begun; false when it never is.
static bool begin_at(struct server *wanted)
{
	for (unsigned i = 0; i < 100; i++) {
		struct pick pick;
		struct server *server = pick_first(&pick);
		if (server == wanted)
			return true;
		if (server)
			server_end(server, SERVER_ABANDONED, FAULT_NONE);
	}
	return false;
}

static bool fail_at(struct server *server)
{
	if (!begin_at(server))
		return false;
	server_end(server, SERVER_FAILED, FAULT_CONNECT_REFUSED);
	return true;
}

static void send_to_rest(struct server *server)
{
	for (unsigned i = 0; i < 3; i++)
		assert_true(fail_at(server));
}

static void rests_after_failures_in_a_row(void **state)
{
	make_pool("10.0.0.1:1 10.0.0.2:1");
	struct server *server = pool_server(pool, 0);
	assert_true(fail_at(server));
	assert_true(fail_at(server));
	assert_true(begin_at(server)); // an answer starts the count anew
	server_answered(server, 200, 5);
	server_end(server, SERVER_ANSWERED, FAULT_NONE);
	assert_true(fail_at(server));
	assert_true(fail_at(server));
	assert_false(server_rests(server, loop_now()));
	assert_true(fail_at(server));
	assert_true(server_rests(server, loop_now()));
	assert_false(begin_at(server));

	struct server_status status = test_status(server);
	assert_int_equal(status.failures_in_row, 3);
	assert_int_equal(status.failures[FAULT_CONNECT_REFUSED], 5);
	assert_int_equal(status.answers, 1);
	assert_int_equal(status.answer_ns, 5);
	assert_int_equal(status.in_flight, 0);
	assert_int_equal(status.rest_until_ns, loop_now() + 5 * SECOND_NS);
}

// --- Servers that answer, but badly

static void answer_at(struct server *server, unsigned status, int64_t response_ns)
{
	assert_true(begin_at(server));
	server_answered(server, status, response_ns);
	server_end(server, SERVER_ANSWERED, FAULT_NONE);
}

static void make_pool_that_minds(const char *servers, int64_t latency)
{
	struct pool_config *config = test_pool_add(&pools, "p", &balance_round_robin, servers);
	config->rest = (struct pool_rest_config){.after = 3,
						 .for_ns = 5 * SECOND_NS,
						 .max_ns = 20 * SECOND_NS,
						 .share_percent = 50,
						 .latency = latency,
						 .bad_statuses = {[503 / 64] = UINT64_C(1) << 503 % 64}};
	test_pools_activate(&pools);
	pool = config->pool;
}

static void statuses_count_as_failures(void **state)
{
	make_pool_that_minds("10.0.0.1:1 10.0.0.2:1 10.0.0.3:1 10.0.0.4:1", 0);
	struct server *server = pool_server(pool, 0);
	answer_at(server, 503, 1);
	answer_at(server, 503, 1);
	answer_at(server, 500, 1); // an answer as good as any: it begins anew
	answer_at(server, 503, 1);
	answer_at(server, 503, 1);
	assert_false(server_rests(server, loop_now()));
	answer_at(server, 503, 1);
	assert_true(server_rests(server, loop_now()));
	pass(5 * SECOND_NS + MILLISECOND_NS);
	answer_at(server, 503, 1); // the trial
	assert_int_equal(test_status(server).rest_until_ns, loop_now() + 10 * SECOND_NS);
	pass(10 * SECOND_NS + MILLISECOND_NS);
	answer_at(server, 200, 1);
	assert_int_equal(test_status(server).rest_until_ns, 0);
}

static void only_a_share_rests_for_its_answers(void **state)
{
	make_pool_that_minds("10.0.0.1:1 10.0.0.2:1 10.0.0.3:1 10.0.0.4:1", 0);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned j = 0; j < 3; j++)
			answer_at(pool_server(pool, i), 503, 1);
	assert_true(server_rests(pool_server(pool, 0), loop_now()));
	assert_true(server_rests(pool_server(pool, 1), loop_now()));
	assert_false(server_rests(pool_server(pool, 2), loop_now()));
	assert_false(server_rests(pool_server(pool, 3), loop_now()));
	// One that does not answer is of no use whatever the share.
	assert_true(fail_at(pool_server(pool, 2)));
	assert_true(server_rests(pool_server(pool, 2), loop_now()));
}

static void answer_all(int64_t first_ns, int64_t others_ns)
{
	for (unsigned i = 0; i < pool_server_count(pool); i++)
		for (unsigned j = 0; j < 30; j++)
			if (!(test_status(pool_server(pool, i)).holds & HOLD_SLOW))
				answer_at(pool_server(pool, i), 200, i == 0 ? first_ns : others_ns);
}

// Behind the next look.
#define LOOKED_NS (10 * SECOND_NS + 5 * MILLISECOND_NS)

static void far_slower_servers_are_set_aside(void **state)
{
	make_pool_that_minds("10.0.0.1:1 10.0.0.2:1 10.0.0.3:1", 3);
	struct server *slow = pool_server(pool, 0);
	outliers_start();
	answer_all(29 * MILLISECOND_NS, 10 * MILLISECOND_NS);
	pass(LOOKED_NS);
	assert_int_equal(test_status(slow).holds, 0);
	answer_all(31 * MILLISECOND_NS, 10 * MILLISECOND_NS);
	pass(LOOKED_NS);
	assert_int_equal(test_status(slow).holds, HOLD_SLOW);
	assert_false(begin_at(slow));
	pass(LOOKED_NS); // its five seconds are over
	assert_int_equal(test_status(slow).holds, 0);
	assert_int_equal(test_status(slow).latency_ns, 0);
	answer_all(31 * MILLISECOND_NS, 10 * MILLISECOND_NS);
	pass(LOOKED_NS);
	assert_int_equal(test_status(slow).holds, HOLD_SLOW); // for ten seconds now
	pass(9 * SECOND_NS);
	assert_int_equal(test_status(slow).holds, HOLD_SLOW);
	pass(2 * SECOND_NS);
	assert_int_equal(test_status(slow).holds, 0);
	// All slow together: that is no server's fault.
	answer_all(310 * MILLISECOND_NS, 310 * MILLISECOND_NS);
	pass(LOOKED_NS);
	assert_int_equal(test_status(slow).holds, 0);
	outliers_stop();
}

static void comes_back_with_one_trial(void **state)
{
	make_pool("10.0.0.1:1 10.0.0.2:1");
	struct server *server = pool_server(pool, 0);
	send_to_rest(server);
	pass(5 * SECOND_NS - 1);
	assert_false(begin_at(server));
	pass(MILLISECOND_NS);
	assert_true(begin_at(server));
	assert_false(begin_at(server)); // until the trial ends
	server_answered(server, 200, 1);
	assert_true(begin_at(server)); // the head of an answer is enough
	assert_int_equal(test_status(server).rest_until_ns, 0);
	assert_int_equal(test_status(server).failures_in_row, 0);
	server_end(server, SERVER_ANSWERED, FAULT_NONE);
	server_end(server, SERVER_ANSWERED, FAULT_NONE);

	// Rests begin small again.
	send_to_rest(server);
	assert_int_equal(test_status(server).rest_until_ns, loop_now() + 5 * SECOND_NS);
}

static void rests_longer_each_time_up_to_a_bound(void **state)
{
	make_pool("10.0.0.1:1 10.0.0.2:1");
	struct server *server = pool_server(pool, 0);
	send_to_rest(server);
	const int64_t rests[] = {5, 10, 20, 20, 20};
	for (unsigned i = 0; i < COUNT(rests); i++) {
		assert_int_equal(test_status(server).rest_until_ns, loop_now() + rests[i] * SECOND_NS);
		pass(rests[i] * SECOND_NS);
		assert_true(fail_at(server));
	}
}

static void gives_another_trial_when_one_takes_too_long(void **state)
{
	make_pool("10.0.0.1:1 10.0.0.2:1");
	struct server *server = pool_server(pool, 0);
	send_to_rest(server);
	pass(5 * SECOND_NS);
	assert_true(begin_at(server));
	pass(4 * SECOND_NS);
	assert_false(begin_at(server));
	pass(SECOND_NS);
	assert_true(begin_at(server));
	server_end(server, SERVER_ABANDONED, FAULT_NONE);
	server_end(server, SERVER_ABANDONED, FAULT_NONE);
}

static void late_failures_do_not_lengthen_a_rest(void **state)
{
	make_pool("10.0.0.1:1 10.0.0.2:1");
	struct server *server = pool_server(pool, 0);
	for (unsigned i = 0; i < 10; i++)
		assert_true(begin_at(server));
	for (unsigned i = 0; i < 10; i++) {
		server_end(server, SERVER_FAILED, FAULT_RESPONSE_TIMEOUT);
		pass(MILLISECOND_NS);
	}
	// The third one began it.
	assert_int_equal(test_status(server).rest_until_ns, loop_now() - 8 * MILLISECOND_NS + 5 * SECOND_NS);
	pass(6 * SECOND_NS);
	assert_true(fail_at(server)); // the trial
	assert_int_equal(test_status(server).rest_until_ns, loop_now() + 10 * SECOND_NS);
}

static void what_clients_do_is_no_failure(void **state)
{
	make_pool("10.0.0.1:1 10.0.0.2:1");
	struct server *server = pool_server(pool, 0);
	for (unsigned i = 0; i < 20; i++) {
		assert_true(begin_at(server));
		server_end(server, SERVER_ABANDONED, FAULT_CLIENT_GONE);
	}
	assert_true(begin_at(server));
	server_end(server, SERVER_ABANDONED, FAULT_NONE);
	assert_int_equal(test_status(server).failures[FAULT_CLIENT_GONE], 20);
	assert_int_equal(test_status(server).requests, 21);
}

static void the_only_server_never_rests(void **state)
{
	make_pool("10.0.0.1:1 10.0.0.2:1*0");
	for (unsigned i = 0; i < 20; i++)
		assert_true(fail_at(pool_server(pool, 0)));
}

static void a_backup_lets_the_only_one_rest(void **state)
{
	make_pool("10.0.0.1:1 10.0.0.2:1!");
	send_to_rest(pool_server(pool, 0));
	struct pick pick;
	assert_ptr_equal(pick_first(&pick), pool_server(pool, 1));
	server_end(pool_server(pool, 1), SERVER_ABANDONED, FAULT_NONE);
}

static void never_rests_when_told_so(void **state)
{
	struct pool_config *config = test_pool_add(&pools, "p", &balance_least_requests, "10.0.0.1:1 10.0.0.2:1");
	config->rest.after = 0;
	test_pools_activate(&pools);
	pool = config->pool;
	for (unsigned i = 0; i < 20; i++)
		assert_true(fail_at(pool_server(pool, 0)));
}

// When all rest, one request a second goes to the one that wakes first.
static void tries_the_first_to_wake_when_all_rest(void **state)
{
	make_pool("10.0.0.1:1 10.0.0.2:1");
	send_to_rest(pool_server(pool, 0));
	pass(SECOND_NS);
	struct pick pick;
	for (unsigned i = 0; i < 3; i++) {
		assert_ptr_equal(pick_first(&pick), pool_server(pool, 1));
		server_end(pool_server(pool, 1), SERVER_FAILED, FAULT_CONNECT_REFUSED);
	}
	assert_ptr_equal(pick_first(&pick), pool_server(pool, 0));
	struct pick second;
	assert_null(pick_first(&second));
	assert_int_equal(second.fault, FAULT_NO_SERVER);
	assert_int_equal(second.retry_after_ns, POOL_LAST_RESORT_NS);
	server_end(pool_server(pool, 0), SERVER_FAILED, FAULT_CONNECT_REFUSED);
	// This request has tried its server: it is not let through once more.
	assert_null(pool_pick(pool, &pick));

	pass(SECOND_NS);
	assert_ptr_equal(pick_first(&pick), pool_server(pool, 1));
	server_answered(pool_server(pool, 1), 200, 1);
	server_end(pool_server(pool, 1), SERVER_ANSWERED, FAULT_NONE);
	for (unsigned i = 0; i < 3; i++) {
		assert_ptr_equal(pick_first(&pick), pool_server(pool, 1));
		server_end(pool_server(pool, 1), SERVER_ANSWERED, FAULT_NONE);
	}
}

static void names_what_is_wrong_when_none_is_left(void **state)
{
	make_pool("10.0.0.1:1*0");
	struct pick pick;
	assert_null(pick_first(&pick));
	assert_int_equal(pick.fault, FAULT_NO_SERVER);
	assert_int_equal(pick.retry_after_ns, 0);
}

static void expect_outcome(enum fault_kind kind, int system_error, enum server_outcome outcome)
{
	struct fault fault = {.kind = kind, .system_error = system_error};
	assert_int_equal(server_outcome_of(&fault), outcome);
}

static void tells_whose_fault_it_was(void **state)
{
	expect_outcome(FAULT_NONE, 0, SERVER_ANSWERED);
	expect_outcome(FAULT_CONNECT_REFUSED, ECONNREFUSED, SERVER_FAILED);
	expect_outcome(FAULT_CONNECT_FAILED, EHOSTUNREACH, SERVER_FAILED);
	expect_outcome(FAULT_CONNECT_FAILED, EADDRNOTAVAIL, SERVER_ABANDONED);
	expect_outcome(FAULT_RESPONSE_TIMEOUT, 0, SERVER_FAILED);
	expect_outcome(FAULT_SERVER_CLOSED, 0, SERVER_FAILED);
	expect_outcome(FAULT_RESPONSE_BAD, 0, SERVER_FAILED);
	expect_outcome(FAULT_CLIENT_GONE, 0, SERVER_ABANDONED);
	expect_outcome(FAULT_BODY_TOO_LARGE, 0, SERVER_ABANDONED);
	expect_outcome(FAULT_TOO_MANY_CONNECTIONS, EMFILE, SERVER_ABANDONED);
	expect_outcome(FAULT_RESPONSE_HEADER_TOO_LARGE, 0, SERVER_ABANDONED);
	expect_outcome(FAULT_DNS_FAILED, 0, SERVER_ABANDONED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(rests_after_failures_in_a_row),
		TEST(statuses_count_as_failures),
		TEST(only_a_share_rests_for_its_answers),
		TEST(far_slower_servers_are_set_aside),
		TEST(comes_back_with_one_trial),
		TEST(rests_longer_each_time_up_to_a_bound),
		TEST(gives_another_trial_when_one_takes_too_long),
		TEST(late_failures_do_not_lengthen_a_rest),
		TEST(what_clients_do_is_no_failure),
		TEST(the_only_server_never_rests),
		TEST(a_backup_lets_the_only_one_rest),
		TEST(never_rests_when_told_so),
		TEST(tries_the_first_to_wake_when_all_rest),
		TEST(names_what_is_wrong_when_none_is_left),
		TEST(tells_whose_fault_it_was),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
