// Connections of HTTP/2 that requests share: how many are opened, who waits, when they go.
#include "fail_alloc.h"
#include "fake_h2.h"
#include "origin.h"

#include <stdio.h>

// A pool of one server that is spoken to in HTTP/2.
struct shared {
	struct origin origin;
	struct fixture fixture;
	struct server *server;
};

static void shared_open(struct shared *shared)
{
	char text[ADDRESS_TEXT_MAX + 8];
	origin_open(&shared->origin);
	snprintf(text, sizeof(text), "h2c://%s", shared->origin.text);
	fixture_open(&shared->fixture, text);
}

static void shared_activate(struct shared *shared)
{
	fixture_activate(&shared->fixture);
	shared->server = shared->fixture.server;
}

static void shared_close(struct shared *shared)
{
	upstream_thread_close_idle();
	test_settle();
	assert_int_equal(test_status(shared->server).links, 0);
	test_pools_free(&shared->fixture.pools);
	origin_close(&shared->origin);
	fake_h2_forget();
}

// A part of a link; counts as an exchange under way.
static struct upstream_connection *take(struct server *server, bool fresh)
{
	struct upstream_connection *part = connect_or_fail(server, fresh);
	assert_non_null(part->h2);
	assert_null(part->stream);
	part->h2->room--;
	return part;
}

static void give(struct upstream_connection *part, bool good)
{
	struct h2_link *link = part->h2;
	link->room++;
	if (good)
		upstream_connection_keep(part);
	else
		upstream_connection_close(part);
	if (!link->closed)
		link->changed(link, link->argument);
}

static void say_over(struct h2_link *link)
{
	link->over = true;
	link->changed(link, link->argument);
}

// --- Sharing

static void share(void *argument)
{
	struct shared shared;
	shared_open(&shared);
	shared_activate(&shared);
	struct upstream_connection *first = take(shared.server, false);
	struct upstream_connection *second = take(shared.server, false);
	assert_ptr_equal(first->h2, second->h2);
	assert_ptr_not_equal(first, second);
	assert_false(first->reused);
	assert_true(second->reused);
	assert_true(upstream_connection_is_alive(second));
	struct server_status status = test_status(shared.server);
	assert_int_equal(status.connects, 1);
	assert_int_equal(status.reuses, 1);
	assert_int_equal(status.links, 1);
	give(first, true);
	give(second, true);
	struct upstream_connection *third = take(shared.server, false);
	assert_ptr_equal(third->h2, fake_links[0]);
	give(third, true);
	assert_int_equal(fake_link_count, 1);
	assert_int_equal(fake_links[0]->settings.streams, 100);
	assert_int_equal(fake_links[0]->settings.stream_window, 128 * 1024);
	assert_int_equal(fake_links[0]->settings.window, 100 * 128 * 1024);
	shared_close(&shared);
	assert_int_equal(fake_link_count, 0);
}

static void shares_one_connection(void **state)
{
	test_run_upstream(share, NULL);
}

enum { CROWD = 20 };

struct crowd {
	struct server *server;
	int64_t timeout_ns;
	unsigned begun, served, failed;
	struct fault fault;
	struct upstream_connection *parts[CROWD];
};

static void crowd_member(void *argument)
{
	struct crowd *crowd = argument;
	unsigned number = crowd->begun++;
	struct fault fault = {0};
	struct upstream_connection *part = NULL;
	if (server_connect(crowd->server, crowd->timeout_ns, false, &fault, &part) == 0) {
		part->h2->room--;
		crowd->parts[number] = part;
		crowd->served++;
	} else {
		crowd->fault = fault;
		crowd->failed++;
	}
}

static void crowd_come(struct crowd *crowd, struct server *server, unsigned count)
{
	crowd->server = server;
	if (crowd->timeout_ns == 0)
		crowd->timeout_ns = PATIENCE_NS;
	for (unsigned i = 0; i < count; i++)
		assert_non_null(fiber_spawn("test", crowd_member, crowd));
	test_settle();
}

static void come_at_once(void *argument)
{
	struct shared shared;
	shared_open(&shared);
	shared_activate(&shared);
	struct crowd crowd = {0};
	crowd_come(&crowd, shared.server, CROWD);
	assert_int_equal(crowd.served, CROWD);
	assert_int_equal(fake_link_count, 1);
	assert_int_equal(test_status(shared.server).connects, 1);
	for (unsigned i = 0; i < CROWD; i++)
		give(crowd.parts[i], true);
	shared_close(&shared);
}

static void opens_one_for_all_who_come_meanwhile(void **state)
{
	test_run_upstream(come_at_once, NULL);
}

static void open_more(void *argument)
{
	struct shared shared;
	shared_open(&shared);
	shared.fixture.config->h2.connections = 3;
	shared_activate(&shared);
	fake_room = 4;
	struct crowd crowd = {0};
	crowd_come(&crowd, shared.server, CROWD);
	// Three connections with room for four each; the rest waits.
	assert_int_equal(fake_link_count, 3);
	assert_int_equal(crowd.served, 12);
	assert_int_equal(crowd.failed, 0);

	// An end lets one in, whoever came first.
	give(crowd.parts[0], true);
	test_settle();
	assert_int_equal(crowd.served, 13);
	assert_non_null(crowd.parts[12]);

	// More room on one lets in as many as fit.
	fake_links[1]->room += 5;
	fake_links[1]->changed(fake_links[1], fake_links[1]->argument);
	test_settle();
	assert_int_equal(crowd.served, 18);

	// One that is over takes nobody, and goes with its last; another one is opened then.
	say_over(fake_links[2]);
	for (unsigned i = 0; i < CROWD; i++) {
		if (!crowd.parts[i] || crowd.parts[i]->h2 != fake_links[2])
			continue;
		assert_false(upstream_connection_is_alive(crowd.parts[i]));
		assert_false(fake_links[2]->closed);
		give(crowd.parts[i], true);
		crowd.parts[i] = NULL;
	}
	test_settle();
	assert_true(fake_links[2]->closed);
	assert_int_equal(fake_link_count, 4);
	assert_int_equal(crowd.served, CROWD);
	for (unsigned i = 1; i < CROWD; i++)
		if (crowd.parts[i])
			give(crowd.parts[i], true);
	shared_close(&shared);
}

static void opens_more_within_the_bound_and_lets_wait(void **state)
{
	test_run_upstream(open_more, NULL);
}

static void wait_bounded(void *argument)
{
	struct shared shared;
	shared_open(&shared);
	shared.fixture.config->h2.connections = 1;
	shared.fixture.config->h2.queue = 3;
	shared_activate(&shared);
	fake_room = 1;
	struct upstream_connection *only = take(shared.server, false);
	struct crowd crowd = {.timeout_ns = 10 * SECOND_NS};
	crowd_come(&crowd, shared.server, 5);
	assert_int_equal(crowd.failed, 2);
	assert_int_equal(crowd.fault.kind, FAULT_CONNECTION_LIMIT);
	assert_string_equal(crowd.fault.setting, "pools.NAME.h2.connections");
	assert_true(crowd.fault.retry_safe);
	assert_int_equal(server_outcome_of(&crowd.fault), SERVER_ABANDONED);
	// The one that will be carried by the connection to come is none of them.
	assert_int_equal(fake_link_count, 1);
	// Those who wait do so no longer than they would for a connection.
	test_skip(11 * SECOND_NS);
	assert_int_equal(crowd.failed, 5);
	assert_int_equal(crowd.fault.kind, FAULT_CONNECTION_LIMIT);
	give(only, true);
	shared_close(&shared);
}

static void bounds_those_who_wait(void **state)
{
	test_run_upstream(wait_bounded, NULL);
}

static void be_cancelled(void *argument)
{
	struct shared shared;
	shared_open(&shared);
	shared.fixture.config->h2.connections = 1;
	shared_activate(&shared);
	fake_room = 1;
	struct upstream_connection *only = take(shared.server, false);
	struct crowd gone = {.server = shared.server, .timeout_ns = PATIENCE_NS}, stays = {0};
	struct fiber *fiber = fiber_spawn_joinable("test", crowd_member, &gone);
	fiber_yield();
	crowd_come(&stays, shared.server, 1);
	// Cancelled in the same turn as it is its turn: it passes that on.
	give(only, true);
	fiber_cancel(fiber);
	fiber_join(fiber);
	test_settle();
	if (gone.served)
		give(gone.parts[0], true);
	else
		assert_int_equal(gone.fault.kind, FAULT_CLIENT_GONE);
	test_settle();
	assert_int_equal(stays.served, 1);
	give(stays.parts[0], true);
	shared_close(&shared);
}

static void passes_on_what_a_cancelled_one_leaves(void **state)
{
	test_run_upstream(be_cancelled, NULL);
}

// --- Failures

static void fail_together(void *argument)
{
	struct fixture fixture;
	struct address address;
	close(test_listen(1, &address)); // a port where nobody listens
	char text[ADDRESS_TEXT_MAX], servers[ADDRESS_TEXT_MAX + 8];
	snprintf(servers, sizeof(servers), "h2c://%.*s", SLICE_ARGUMENTS(address_format(&address, text)));
	fixture_open(&fixture, servers);
	fixture_activate(&fixture);
	struct crowd crowd = {0};
	crowd_come(&crowd, fixture.server, CROWD);
	assert_int_equal(crowd.failed, CROWD);
	assert_int_equal(crowd.fault.kind, FAULT_CONNECT_REFUSED);
	assert_true(crowd.fault.retry_safe);
	assert_int_equal(fake_link_count, 0);
	test_pools_free(&fixture.pools);
}

static void fails_all_who_waited_for_one(void **state)
{
	test_run_upstream(fail_together, NULL);
}

static void shun(void *argument)
{
	struct shared shared;
	shared_open(&shared);
	shared.fixture.config->h2.connections = 2;
	shared_activate(&shared);
	struct upstream_connection *refused = take(shared.server, false);
	give(refused, false);
	// Others do not mind, as long as there is no better one.
	struct upstream_connection *next = take(shared.server, false);
	assert_ptr_equal(next->h2, fake_links[0]);
	// Who was refused there tries elsewhere, and so do others from then on.
	struct upstream_connection *other = take(shared.server, true);
	assert_ptr_equal(other->h2, fake_links[1]);
	assert_false(other->reused);
	struct upstream_connection *third = take(shared.server, false);
	assert_ptr_equal(third->h2, fake_links[1]);
	give(third, true);
	// When there is no other to be had, it is taken again.
	give(other, false);
	struct upstream_connection *again = take(shared.server, true);
	assert_ptr_equal(again->h2, fake_links[0]);
	// A request that goes well clears it.
	give(next, true);
	give(again, true);
	other = take(shared.server, true);
	assert_ptr_equal(other->h2, fake_links[0]);
	give(other, true);
	assert_int_equal(fake_link_count, 2);
	shared_close(&shared);
}

static void avoids_where_a_request_failed(void **state)
{
	test_run_upstream(shun, NULL);
}

static void run_out_of_memory(void *argument)
{
	unsigned failures = 0;
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		fail_alloc_stop();
		struct shared shared;
		shared_open(&shared);
		shared_activate(&shared);
		fail_alloc_after(n);
		struct upstream_connection *part = NULL;
		struct fault fault = {0};
		int failed = server_connect(shared.server, PATIENCE_NS, false, &fault, &part);
		bool met = fail_alloc_stop();
		if (failed) {
			assert_int_equal(failed, -ENOMEM);
			assert_int_equal(fault.kind, FAULT_OUT_OF_MEMORY);
			failures++;
		} else {
			upstream_connection_keep(part);
		}
		shared_close(&shared);
		if (!met)
			break;
	}
	assert_true(failures > 0);
}

static void tells_when_memory_is_out(void **state)
{
	test_run_upstream(run_out_of_memory, NULL);
}

// --- The end

static void grow_old(void *argument)
{
	struct shared shared;
	shared_open(&shared);
	shared.fixture.config->idle.timeout_ns = 10 * SECOND_NS;
	shared.fixture.config->idle.age_ns = 100 * SECOND_NS;
	shared_activate(&shared);
	struct upstream_connection *part = take(shared.server, false);
	test_skip(20 * SECOND_NS);
	assert_false(fake_links[0]->closed); // it is in use
	give(part, true);
	test_skip(5 * SECOND_NS);
	assert_false(fake_links[0]->closed);
	test_skip(6 * SECOND_NS);
	test_settle();
	assert_true(fake_links[0]->closed);

	// One that is too old takes no more, and goes with its last.
	part = take(shared.server, false);
	test_skip(101 * SECOND_NS);
	struct upstream_connection *other = take(shared.server, false);
	assert_ptr_equal(other->h2, fake_links[2]);
	assert_false(fake_links[1]->closed);
	give(part, true);
	assert_true(fake_links[1]->closed);
	give(other, true);
	shared_close(&shared);
}

static void closes_what_lies_idle_or_is_old(void **state)
{
	test_run_upstream(grow_old, NULL);
}

static void be_over(void *argument)
{
	struct shared shared;
	shared_open(&shared);
	shared_activate(&shared);
	give(take(shared.server, false), true);
	// GOAWAY, or the server is gone, while nobody uses it.
	say_over(fake_links[0]);
	test_settle();
	assert_true(fake_links[0]->closed);
	assert_int_equal(test_status(shared.server).links, 0);
	give(take(shared.server, false), true);
	assert_int_equal(fake_link_count, 2);
	shared_close(&shared);
}

static void closes_what_is_over(void **state)
{
	test_run_upstream(be_over, NULL);
}

static void retire(void *argument)
{
	struct shared shared;
	shared_open(&shared);
	shared_activate(&shared);
	struct upstream_connection *idle = take(shared.server, false);
	fake_links[0]->room = 0;
	struct upstream_connection *busy = take(shared.server, false);
	give(idle, true);
	server_ref(shared.server);
	pools_retire(&shared.fixture.pools.set);
	test_settle();
	assert_true(fake_links[0]->closed);
	assert_false(fake_links[1]->closed);
	give(busy, true);
	assert_true(fake_links[1]->closed);
	assert_int_equal(test_status(shared.server).links, 0);
	server_unref(shared.server);
	test_pools_free(&shared.fixture.pools);
	test_settle();
	origin_close(&shared.origin);
	fake_h2_forget();
}

static void closes_those_of_retired_servers(void **state)
{
	test_run_upstream(retire, NULL);
}

static void connect_late(void *argument)
{
	struct crowd *crowd = argument;
	crowd_member(crowd);
}

static void stop_while_opening(void **state)
{
	struct test_loop loop;
	test_loop_new(&loop);
	struct address address;
	int listening = test_listen(0, &address);
	int waiting[8];
	for (unsigned i = 0; i < COUNT(waiting); i++) {
		waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(waiting[i], &address.any, address.length);
	}
	assert_int_equal(upstream_thread_start(), 0);
	char text[ADDRESS_TEXT_MAX], servers[ADDRESS_TEXT_MAX + 8];
	snprintf(servers, sizeof(servers), "h2c://%.*s", SLICE_ARGUMENTS(address_format(&address, text)));
	struct fixture fixture;
	fixture_open(&fixture, servers);
	fixture_activate(&fixture);
	// The visitor gives up before the server has answered; the connection is still being opened.
	struct crowd crowd = {.server = fixture.server, .timeout_ns = PATIENCE_NS};
	struct fiber *fiber = fiber_spawn("test", connect_late, &crowd);
	(void)loop_turn(loop.loop, 0);
	fiber_cancel(fiber);
	(void)loop_turn(loop.loop, 0);
	assert_int_equal(crowd.failed, 1);
	assert_int_equal(fiber_count(), 1);
	upstream_thread_stop();
	test_pools_free(&fixture.pools);
	loop_run(loop.loop);
	assert_int_equal(fiber_count(), 0);
	block_trim();
	test_loop_free(&loop);
	for (unsigned i = 0; i < COUNT(waiting); i++)
		close(waiting[i]);
	close(listening);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_one_connection),
		cmocka_unit_test(opens_one_for_all_who_come_meanwhile),
		cmocka_unit_test(opens_more_within_the_bound_and_lets_wait),
		cmocka_unit_test(bounds_those_who_wait),
		cmocka_unit_test(passes_on_what_a_cancelled_one_leaves),
		cmocka_unit_test(fails_all_who_waited_for_one),
		cmocka_unit_test(avoids_where_a_request_failed),
		cmocka_unit_test(tells_when_memory_is_out),
		cmocka_unit_test(closes_what_lies_idle_or_is_old),
		cmocka_unit_test(closes_what_is_over),
		cmocka_unit_test(closes_those_of_retired_servers),
		cmocka_unit_test(stop_while_opening),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
