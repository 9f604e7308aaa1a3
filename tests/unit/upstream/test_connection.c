// Connections to servers, over real loopback sockets: made, kept, found dead, aged, bounded.
#include "fail_alloc.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { ACCEPTED_MAX = 16 };

// A server that a test plays by hand.
struct origin {
	int listening;
	struct address address;
	char text[ADDRESS_TEXT_MAX];
	struct tcp_stream accepted[ACCEPTED_MAX];
	unsigned count;
};

static void origin_open(struct origin *origin)
{
	*origin = (struct origin){0};
	origin->listening = test_listen(64, &origin->address);
	struct slice text = address_format(&origin->address, origin->text);
	origin->text[text.length] = '\0';
}

static struct tcp_stream *origin_accept(struct origin *origin)
{
	struct kernel *kernel = loop_kernel();
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);
	int descriptor = kernel->accept(kernel, origin->listening, &peer, &length);
	assert_true(descriptor >= 0);
	struct tcp_stream *tcp = &origin->accepted[origin->count++];
	assert_int_equal(tcp_open(tcp, descriptor), 0);
	return tcp;
}

static void origin_close(struct origin *origin)
{
	for (unsigned i = 0; i < origin->count; i++)
		stream_close(&origin->accepted[i].stream);
	close(origin->listening);
}

// A pool of the given servers; with changes to its configuration.
struct fixture {
	struct test_pools pools;
	struct pool_config *config;
	struct server *server;
};

static void fixture_open(struct fixture *fixture, const char *servers)
{
	*fixture = (struct fixture){0};
	fixture->config = test_pool_add(&fixture->pools, "p", &balance_round_robin, servers);
}

static void fixture_activate(struct fixture *fixture)
{
	test_pools_activate(&fixture->pools);
	fixture->server = pool_server(fixture->config->pool, 0);
}

static struct upstream_connection *connect_or_fail(struct server *server, bool fresh)
{
	struct upstream_connection *connection = NULL;
	struct fault fault = {0};
	assert_int_equal(server_connect(server, PATIENCE_NS, fresh, &fault, &connection), 0);
	assert_non_null(connection);
	assert_int_equal(fault.kind, FAULT_NONE);
	return connection;
}

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

// --- Use and reuse

static void use_again(void *argument)
{
	struct origin origin;
	struct fixture fixture;
	origin_open(&origin);
	fixture_open(&fixture, origin.text);
	fixture_activate(&fixture);

	struct upstream_connection *first = connect_or_fail(fixture.server, false);
	assert_false(first->reused);
	assert_ptr_equal(first->server, fixture.server);
	assert_true(address_equal(&first->address, &origin.address));
	struct tcp_stream *accepted = origin_accept(&origin);
	struct iovec part = {(void *)"ping", 4};
	assert_int_equal(stream_write_all(first->stream, &part, 1, false, "test", PATIENCE_NS), 0);
	test_expect(accepted, "ping");
	test_send(accepted, "pong");
	char got[16];
	assert_int_equal(stream_read(first->stream, got, sizeof(got), "test", test_deadline()), 4);

	struct upstream_connection *second = connect_or_fail(fixture.server, false);
	origin_accept(&origin);
	upstream_connection_keep(first);
	upstream_connection_keep(second);
	test_settle();
	assert_int_equal(test_status(fixture.server).idle, 2);

	// The newest first, and what was asked for anew is new.
	assert_ptr_equal(connect_or_fail(fixture.server, false), second);
	assert_true(second->reused);
	struct upstream_connection *fresh = connect_or_fail(fixture.server, true);
	assert_false(fresh->reused);
	assert_ptr_equal(connect_or_fail(fixture.server, false), first);
	struct server_status status = test_status(fixture.server);
	assert_int_equal(status.connects, 3);
	assert_int_equal(status.reuses, 2);
	assert_int_equal(status.stale, 0);
	assert_int_equal(status.idle, 0);
	upstream_connection_close(first);
	upstream_connection_close(second);
	upstream_connection_close(fresh);
	test_expect_end(accepted);
	test_pools_free(&fixture.pools);
	origin_close(&origin);
}

static void connects_and_uses_again(void **state)
{
	test_run_upstream(use_again, NULL);
}

static void notice_close(void *argument)
{
	struct origin origin;
	struct fixture fixture;
	origin_open(&origin);
	fixture_open(&fixture, origin.text);
	fixture_activate(&fixture);

	// The server closes: the idle connection goes at once, unasked.
	upstream_connection_keep(connect_or_fail(fixture.server, false));
	struct tcp_stream *accepted = origin_accept(&origin);
	test_settle();
	assert_int_equal(test_status(fixture.server).idle, 1);
	stream_close(&accepted->stream);
	test_settle();
	assert_int_equal(test_status(fixture.server).idle, 0);
	assert_int_equal(test_status(fixture.server).stale, 1);

	// So it does when the server says something that nobody asked for.
	upstream_connection_keep(connect_or_fail(fixture.server, false));
	accepted = origin_accept(&origin);
	test_send(accepted, "HTTP/1.1 408 Request Timeout\r\n\r\n");
	test_settle();
	assert_int_equal(test_status(fixture.server).idle, 0);
	assert_int_equal(test_status(fixture.server).stale, 2);

	// A half-close is no better.
	upstream_connection_keep(connect_or_fail(fixture.server, false));
	accepted = origin_accept(&origin);
	assert_int_equal(stream_shutdown(&accepted->stream), 0);
	test_settle();
	assert_int_equal(test_status(fixture.server).idle, 0);
	test_expect_end(accepted);

	// What closed while it was in use is not kept, or found out before its next use.
	struct upstream_connection *used = connect_or_fail(fixture.server, false);
	accepted = origin_accept(&origin);
	stream_close(&accepted->stream);
	test_settle();
	upstream_connection_keep(used);
	struct upstream_connection *next = connect_or_fail(fixture.server, false);
	assert_false(next->reused);
	upstream_connection_close(next);
	assert_int_equal(test_status(fixture.server).stale, 4);
	test_pools_free(&fixture.pools);
	origin_close(&origin);
}

static void notices_what_the_server_closed(void **state)
{
	test_run_upstream(notice_close, NULL);
}

// --- Bounds

static void meet_bounds(void *argument)
{
	struct origin origins[2];
	struct fixture fixture;
	origin_open(&origins[0]);
	origin_open(&origins[1]);
	char servers[2 * ADDRESS_TEXT_MAX + 1];
	snprintf(servers, sizeof(servers), "%s %s", origins[0].text, origins[1].text);
	fixture_open(&fixture, servers);
	fixture.config->idle.connections = 2;
	fixture.config->idle.pool_connections = 3;
	fixture_activate(&fixture);
	struct server *a = fixture.server, *b = pool_server(fixture.config->pool, 1);

	// Of one server the oldest makes room.
	struct upstream_connection *to_a[3], *to_b[3];
	for (unsigned i = 0; i < 3; i++) {
		to_a[i] = connect_or_fail(a, true);
		to_b[i] = connect_or_fail(b, true);
	}
	struct tcp_stream *oldest = origin_accept(&origins[0]);
	for (unsigned i = 0; i < 3; i++)
		upstream_connection_keep(to_a[i]);
	assert_int_equal(test_status(a).idle, 2);
	test_expect_end(oldest);

	// Of the pool too, where it goes to the same server; others are not driven out.
	upstream_connection_keep(to_b[0]);
	upstream_connection_keep(to_b[1]);
	assert_int_equal(test_status(a).idle, 2);
	assert_int_equal(test_status(b).idle, 1);
	assert_ptr_equal(connect_or_fail(b, false), to_b[1]);
	upstream_connection_close(to_b[1]);
	assert_ptr_equal(connect_or_fail(a, false), to_a[2]);
	upstream_connection_keep(to_b[2]);
	upstream_connection_keep(to_a[2]);
	assert_int_equal(test_status(a).idle, 2);
	assert_int_equal(test_status(b).idle, 1);

	assert_int_equal(upstream_thread_close_idle(), 3);
	assert_int_equal(test_status(a).idle, 0);
	test_pools_free(&fixture.pools);
	origin_close(&origins[0]);
	origin_close(&origins[1]);
}

static void keeps_within_bounds(void **state)
{
	test_run_upstream(meet_bounds, NULL);
}

static void keep_none(void *argument)
{
	struct origin origin;
	struct fixture fixture;
	origin_open(&origin);
	fixture_open(&fixture, origin.text);
	fixture.config->idle.connections = 0;
	fixture_activate(&fixture);
	upstream_connection_keep(connect_or_fail(fixture.server, false));
	assert_int_equal(test_status(fixture.server).idle, 0);
	test_expect_end(origin_accept(&origin));
	test_pools_free(&fixture.pools);
	origin_close(&origin);
}

static void keeps_none_when_told_so(void **state)
{
	test_run_upstream(keep_none, NULL);
}

static void grow_old(void *argument)
{
	struct origin origin;
	struct fixture fixture;
	origin_open(&origin);
	fixture_open(&fixture, origin.text);
	fixture.config->idle.timeout_ns = 10 * SECOND_NS;
	fixture.config->idle.age_ns = 100 * SECOND_NS;
	fixture_activate(&fixture);

	struct upstream_connection *old = connect_or_fail(fixture.server, false);
	struct upstream_connection *young = connect_or_fail(fixture.server, false);
	upstream_connection_keep(old);
	test_skip(6 * SECOND_NS);
	upstream_connection_keep(young);
	assert_int_equal(test_status(fixture.server).idle, 2);
	test_skip(5 * SECOND_NS);
	test_settle();
	assert_int_equal(test_status(fixture.server).idle, 1); // closed without being asked for
	assert_ptr_equal(connect_or_fail(fixture.server, false), young);

	// In use for long, and then too old to be kept.
	test_skip(101 * SECOND_NS);
	upstream_connection_keep(young);
	assert_int_equal(test_status(fixture.server).idle, 0);
	test_expect_end(origin_accept(&origin));
	test_expect_end(origin_accept(&origin));
	test_pools_free(&fixture.pools);
	origin_close(&origin);
}

static void closes_what_is_old(void **state)
{
	test_run_upstream(grow_old, NULL);
}

static void use_often(void *argument)
{
	struct origin origin;
	struct fixture fixture;
	origin_open(&origin);
	fixture_open(&fixture, origin.text);
	fixture_activate(&fixture);
	upstream_connection_keep(connect_or_fail(fixture.server, false));
	test_settle();
	unsigned long before = fail_alloc_count();
	for (unsigned i = 0; i < 1000; i++) {
		struct pick pick;
		pick_init(&pick);
		struct server *server = pool_pick(fixture.config->pool, &pick);
		struct upstream_connection *connection = connect_or_fail(server, false);
		server_answered(server, 1);
		server_end(server, SERVER_ANSWERED, FAULT_NONE);
		upstream_connection_keep(connection);
	}
	// New connections need none either, once there were some.
	for (unsigned i = 0; i < 10; i++) {
		struct upstream_connection *connection = connect_or_fail(fixture.server, true);
		if (i == 1)
			before = fail_alloc_count();
		upstream_connection_close(connection);
		fiber_yield();
		test_settle();
	}
	assert_int_equal(fail_alloc_count(), before);
	test_pools_free(&fixture.pools);
	origin_close(&origin);
}

static void allocates_nothing_in_steady_state(void **state)
{
	test_run_upstream(use_often, NULL);
}

// --- Reload

static void retire(void *argument)
{
	struct origin origin;
	struct fixture old, new;
	origin_open(&origin);
	fixture_open(&old, origin.text);
	fixture_activate(&old);
	struct upstream_connection *in_use = connect_or_fail(old.server, false);
	upstream_connection_keep(connect_or_fail(old.server, false));
	struct tcp_stream *used = origin_accept(&origin), *idle = origin_accept(&origin);

	fixture_open(&new, "127.0.0.1:1");
	fixture_activate(&new);
	test_settle();
	assert_int_equal(test_status(old.server).idle, 1);
	pools_retire(&old.pools.set);
	test_settle();
	assert_int_equal(test_status(old.server).idle, 0);
	test_expect_end(idle);

	// What was in use outlives even the configuration, and is closed afterwards.
	test_pools_free(&old.pools);
	struct iovec part = {(void *)"late", 4};
	assert_int_equal(stream_write_all(in_use->stream, &part, 1, false, "test", PATIENCE_NS), 0);
	test_expect(used, "late");
	upstream_connection_keep(in_use);
	test_expect_end(used);
	test_pools_free(&new.pools);
	origin_close(&origin);
}

static void closes_idle_ones_of_servers_that_vanish(void **state)
{
	test_run_upstream(retire, NULL);
}

static void survive_reload(void *argument)
{
	struct origin origin;
	struct fixture old, new;
	origin_open(&origin);
	fixture_open(&old, origin.text);
	fixture_activate(&old);
	struct upstream_connection *kept = connect_or_fail(old.server, false);
	upstream_connection_keep(kept);
	char servers[ADDRESS_TEXT_MAX + 32];
	snprintf(servers, sizeof(servers), "%s*5 127.0.0.1:1", origin.text);
	fixture_open(&new, servers);
	fixture_activate(&new);
	test_pools_free(&old.pools);
	test_settle();
	assert_ptr_equal(connect_or_fail(new.server, false), kept);
	assert_true(kept->reused);
	upstream_connection_close(kept);
	test_pools_free(&new.pools);
	origin_close(&origin);
}

static void keeps_idle_ones_over_a_reload(void **state)
{
	test_run_upstream(survive_reload, NULL);
}

// --- Failures

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

// --- UNIX sockets

static void use_path(void *argument)
{
	char directory[] = "/tmp/usher-test-XXXXXX";
	assert_non_null(mkdtemp(directory));
	char path[64], text[80];
	snprintf(path, sizeof(path), "%s/socket", directory);
	snprintf(text, sizeof(text), "unix:%s", path);
	struct endpoint endpoint;
	struct origin origin = {0};
	assert_true(endpoint_parse(slice_from_string(text), 0, &endpoint));
	assert_true(endpoint_to_address(&endpoint, &origin.address));
	origin.listening = listener_bind(&origin.address, 8, false);
	assert_true(origin.listening >= 0);
	struct fixture fixture;
	fixture_open(&fixture, text);
	fixture_activate(&fixture);
	struct upstream_connection *connection = connect_or_fail(fixture.server, false);
	struct tcp_stream *accepted = origin_accept(&origin);
	upstream_connection_keep(connection);
	test_settle();
	assert_ptr_equal(connect_or_fail(fixture.server, false), connection);
	upstream_connection_keep(connection);
	stream_close(&accepted->stream);
	test_settle();
	assert_int_equal(test_status(fixture.server).idle, 0);
	test_pools_free(&fixture.pools);
	origin_close(&origin);
	unlink(path);
	assert_int_equal(rmdir(directory), 0);
}

static void connects_to_unix_sockets(void **state)
{
	test_run_upstream(use_path, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connects_and_uses_again),
		cmocka_unit_test(notices_what_the_server_closed),
		cmocka_unit_test(keeps_within_bounds),
		cmocka_unit_test(keeps_none_when_told_so),
		cmocka_unit_test(closes_what_is_old),
		cmocka_unit_test(allocates_nothing_in_steady_state),
		cmocka_unit_test(closes_idle_ones_of_servers_that_vanish),
		cmocka_unit_test(keeps_idle_ones_over_a_reload),
		cmocka_unit_test(names_failures),
		cmocka_unit_test(gives_up_at_the_deadline),
		cmocka_unit_test(tells_when_descriptors_are_out),
		cmocka_unit_test(tells_when_memory_is_out),
		cmocka_unit_test(can_be_cancelled),
		cmocka_unit_test(connects_to_unix_sockets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
