// Connecting to servers when that fails: which fault is told, and what is left behind.
#include "fail_alloc.h"
#include "origin.h"

#include <stdio.h>
#include <sys/resource.h>

static struct fault expect_fault(struct server *server, int64_t timeout_ns, int error, enum fault_kind kind)
{
	struct upstream_connection *connection = NULL;
	struct fault fault = {0};
	assert_int_equal(server_connect(server, timeout_ns, false, &fault, &connection), error);
	assert_null(connection);
	assert_int_equal(fault.kind, kind);
	assert_true(fault.retry_safe);
	return fault;
}

static void meet_failures(void *argument)
{
	struct fixture fixture;
	struct address address;
	close(test_listen(1, &address)); // a port where nobody listens
	char text[ADDRESS_TEXT_MAX];
	struct slice refusing = address_format(&address, text);
	char servers[2 * ADDRESS_TEXT_MAX];
	snprintf(servers, sizeof(servers), "%.*s unix:/nonexistent/socket 255.255.255.255:80",
		 SLICE_ARGUMENTS(refusing));
	fixture_open(&fixture, servers);
	fixture_activate(&fixture);

	struct fault fault = expect_fault(fixture.server, PATIENCE_NS, -ECONNREFUSED, FAULT_CONNECT_REFUSED);
	assert_string_equal(fault.step, "connect");
	assert_int_equal(fault.system_error, ECONNREFUSED);
	fault = expect_fault(pool_server(fixture.config->pool, 1), PATIENCE_NS, -ENOENT, FAULT_CONNECT_FAILED);
	assert_string_equal(fault.detail, "there is no such socket");
	struct upstream_connection *connection;
	assert_int_not_equal(
		server_connect(pool_server(fixture.config->pool, 2), PATIENCE_NS, false, &fault, &connection), 0);
	assert_int_equal(fault.kind, FAULT_CONNECT_FAILED);
	assert_int_equal(test_status(fixture.server).connects, 0);
	test_pools_free(&fixture.pools);
}

static void names_failures(void **state)
{
	test_run_upstream(meet_failures, NULL);
}

static void wait_in_vain(void *argument)
{
	struct address address;
	int listening = test_listen(0, &address);
	int waiting[8];
	for (unsigned i = 0; i < COUNT(waiting); i++) {
		waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(waiting[i], &address.any, address.length);
	}
	char text[ADDRESS_TEXT_MAX];
	struct slice full = address_format(&address, text);
	text[full.length] = '\0';
	struct fixture fixture;
	fixture_open(&fixture, text);
	fixture_activate(&fixture);
	struct fault fault = expect_fault(fixture.server, 50 * MILLISECOND_NS, -ETIMEDOUT, FAULT_CONNECT_TIMEOUT);
	assert_string_equal(fault.setting, "timeouts.connect");
	assert_true(fault.after_ns >= 50 * MILLISECOND_NS);
	test_pools_free(&fixture.pools);
	for (unsigned i = 0; i < COUNT(waiting); i++)
		close(waiting[i]);
	close(listening);
}

static void gives_up_at_the_deadline(void **state)
{
	test_run_upstream(wait_in_vain, NULL);
}

static void run_out_of_descriptors(void *argument)
{
	struct origin origin;
	struct fixture fixture;
	origin_open(&origin);
	fixture_open(&fixture, origin.text);
	fixture_activate(&fixture);
	struct rlimit before;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, before.rlim_max}), 0);
	struct fault fault = expect_fault(fixture.server, PATIENCE_NS, -EMFILE, FAULT_TOO_MANY_CONNECTIONS);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_string_equal(fault.detail, "no file descriptor is free");
	assert_int_equal(server_outcome_of(&fault), SERVER_ABANDONED);
	upstream_connection_close(connect_or_fail(fixture.server, false));
	test_pools_free(&fixture.pools);
	origin_close(&origin);
}

static void tells_when_descriptors_are_out(void **state)
{
	test_run_upstream(run_out_of_descriptors, NULL);
}

enum { DESCRIPTORS = 64 };

static void give_way(void *argument)
{
	struct origin origin;
	struct fixture fixture;
	origin_open(&origin);
	char servers[2 * ADDRESS_TEXT_MAX];
	snprintf(servers, sizeof(servers), "%s 127.0.0.1:1", origin.text);
	fixture_open(&fixture, servers);
	fixture_activate(&fixture);
	upstream_connection_keep(connect_or_fail(fixture.server, true));
	struct rlimit before;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){DESCRIPTORS, before.rlim_max}), 0);
	int taken[DESCRIPTORS];
	unsigned count = 0;
	while (count < DESCRIPTORS && (taken[count] = dup(STDERR_FILENO)) >= 0)
		count++;

	struct upstream_connection *connection = connect_or_fail(fixture.server, true);
	assert_int_equal(test_status(fixture.server).idle, 0);
	(void)expect_fault(fixture.server, PATIENCE_NS, -EMFILE, FAULT_TOO_MANY_CONNECTIONS);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	while (count > 0)
		close(taken[--count]);
	upstream_connection_close(connection);
	test_pools_free(&fixture.pools);
	origin_close(&origin);
}

static void idle_ones_give_way_when_descriptors_are_out(void **state)
{
	test_run_upstream(give_way, NULL);
}

static void run_out_of_memory(void *argument)
{
	struct origin origin;
	origin_open(&origin);
	unsigned failures = 0;
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		fail_alloc_stop();
		struct fixture fixture;
		fixture_open(&fixture, origin.text);
		fixture_activate(&fixture);
		fail_alloc_after(n);
		struct upstream_connection *connection = NULL;
		struct fault fault = {0};
		int failed = server_connect(fixture.server, PATIENCE_NS, false, &fault, &connection);
		if (!failed)
			upstream_connection_keep(connection);
		bool met = fail_alloc_stop();
		if (failed) {
			assert_int_equal(failed, -ENOMEM);
			assert_int_equal(fault.kind, FAULT_OUT_OF_MEMORY);
			failures++;
		}
		upstream_thread_close_idle();
		test_settle();
		test_pools_free(&fixture.pools);
		if (!met)
			break;
	}
	assert_true(failures > 0);
	origin_close(&origin);
}

static void tells_when_memory_is_out(void **state)
{
	test_run_upstream(run_out_of_memory, NULL);
}

static void connect_and_be_cancelled(void *argument)
{
	struct server *server = argument;
	struct fault fault = {0};
	struct upstream_connection *connection;
	assert_int_equal(server_connect(server, PATIENCE_NS, false, &fault, &connection), -ECANCELED);
	assert_int_equal(fault.kind, FAULT_CLIENT_GONE);
	assert_int_equal(server_outcome_of(&fault), SERVER_ABANDONED);
}

static void cancel(void *argument)
{
	struct fixture fixture;
	struct address address;
	int listening = test_listen(0, &address);
	int waiting[8];
	for (unsigned i = 0; i < COUNT(waiting); i++) {
		waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(waiting[i], &address.any, address.length);
	}
	char text[ADDRESS_TEXT_MAX];
	struct slice full = address_format(&address, text);
	text[full.length] = '\0';
	fixture_open(&fixture, text);
	fixture_activate(&fixture);
	struct fiber *fiber = fiber_spawn_joinable("test", connect_and_be_cancelled, fixture.server);
	test_settle();
	fiber_cancel(fiber);
	fiber_join(fiber);
	test_pools_free(&fixture.pools);
	for (unsigned i = 0; i < COUNT(waiting); i++)
		close(waiting[i]);
	close(listening);
}

static void can_be_cancelled(void **state)
{
	test_run_upstream(cancel, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_failures),
		cmocka_unit_test(gives_up_at_the_deadline),
		cmocka_unit_test(tells_when_descriptors_are_out),
		cmocka_unit_test(idle_ones_give_way_when_descriptors_are_out),
		cmocka_unit_test(tells_when_memory_is_out),
		cmocka_unit_test(can_be_cancelled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
