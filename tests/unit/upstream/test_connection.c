// Connections to servers, over real loopback sockets: made, kept, found dead, aged, bounded.
#include "fail_alloc.h"
#include "origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

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
		server_answered(server, 200, 1);
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
		cmocka_unit_test(connects_to_unix_sockets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
