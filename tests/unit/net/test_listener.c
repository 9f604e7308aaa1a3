#include "base/log.h"
#include "support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>

struct fixture {
	struct listener listener;
	struct address address;
	int listening;
	struct fiber *fiber;
	unsigned accepted, allowed; // allowed: may_accept says yes while accepted is below it
	unsigned turn, this_turn, most_a_turn;
	int descriptors[512];
	bool stop_at_first;
	bool draining;
	bool ended;
};

static struct fixture *fixture_of(struct listener *listener)
{
	return listener->argument;
}

static void note_accepted(struct listener *listener, int descriptor, const struct address *peer)
{
	struct fixture *fixture = fixture_of(listener);
	assert_true(fiber_current() == NULL || fixture->draining);
	assert_int_equal(peer->any.sa_family, AF_INET);
	assert_int_not_equal(address_port(peer), 0);
	assert_true(fcntl(descriptor, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(descriptor, F_GETFD) & FD_CLOEXEC);
	fixture->descriptors[fixture->accepted++] = descriptor;
	fixture->this_turn++;
	if (fixture->this_turn > fixture->most_a_turn)
		fixture->most_a_turn = fixture->this_turn;
	if (fixture->stop_at_first)
		listener_stop(listener, false);
	fiber_wake(fixture->fiber);
}

static bool may_accept(struct listener *listener)
{
	return fixture_of(listener)->accepted < fixture_of(listener)->allowed;
}

static void fixture_start(struct fixture *fixture)
{
	*fixture = (struct fixture){.fiber = fiber_current(), .allowed = 512};
	fixture->listening = test_listen(512, &fixture->address);
	fixture->listener = (struct listener){.accepted = note_accepted, .argument = fixture, .may_accept = may_accept};
}

static void fixture_listen(struct fixture *fixture)
{
	assert_int_equal(listener_start(&fixture->listener, fixture->listening), 0);
	assert_true(address_equal(&fixture->listener.address, &fixture->address));
}

static void fixture_end(struct fixture *fixture)
{
	for (unsigned i = 0; i < fixture->accepted; i++)
		close(fixture->descriptors[i]);
	close(fixture->listening);
}

// Clients that the kernel has taken, and nobody else yet.
static void connect_clients(const struct fixture *fixture, int *ret_clients, int count)
{
	for (int i = 0; i < count; i++) {
		ret_clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_true(ret_clients[i] >= 0);
		assert_int_equal(connect(ret_clients[i], &fixture->address.any, fixture->address.length), 0);
	}
}

static void close_clients(const int *clients, int count)
{
	for (int i = 0; i < count; i++)
		close(clients[i]);
}

static void wait_for_accepted(struct fixture *fixture, unsigned count)
{
	while (fixture->accepted < count)
		assert_int_equal(fiber_wait("test", test_deadline()), 0);
	assert_int_equal(fixture->accepted, count);
}

static void count_turns(void *argument)
{
	struct fixture *fixture = argument;
	while (!fixture->ended) {
		fixture->this_turn = 0;
		fiber_yield();
	}
}

static void accept_many(void *argument)
{
	struct fixture fixture;
	int clients[300];
	fixture_start(&fixture);
	connect_clients(&fixture, clients, 200);
	fixture_listen(&fixture);
	assert_non_null(fiber_spawn("turns", count_turns, &fixture));
	wait_for_accepted(&fixture, 200);
	// 64 when the event came, and as many when its turn came again.
	assert_true(fixture.most_a_turn <= 2 * 64);
	// And those that come later.
	connect_clients(&fixture, clients + 200, 100);
	wait_for_accepted(&fixture, 300);
	fixture.ended = true;
	listener_stop(&fixture.listener, false);
	listener_stop(&fixture.listener, true);
	close_clients(clients, 300);
	fixture_end(&fixture);
}

static void accepts_many_a_bounded_number_each_turn(void **state)
{
	test_run(accept_many, NULL);
}

static void accept_within_limits(void *argument)
{
	struct fixture fixture;
	int clients[8];
	fixture_start(&fixture);
	fixture.allowed = 3;
	fixture_listen(&fixture);
	connect_clients(&fixture, clients, 8);
	wait_for_accepted(&fixture, 3);
	fiber_sleep("test", loop_now() + 20 * MILLISECOND_NS);
	assert_int_equal(fixture.accepted, 3);
	assert_true(fixture.listener.paused);
	fixture.allowed = 5;
	listener_resume(&fixture.listener);
	listener_resume(&fixture.listener);
	wait_for_accepted(&fixture, 5);
	// A drain keeps to the limit.
	fixture.allowed = 7;
	fiber_sleep("test", loop_now() + 5 * MILLISECOND_NS);
	fixture.draining = true;
	listener_stop(&fixture.listener, true);
	assert_int_equal(fixture.accepted, 7);
	listener_resume(&fixture.listener);
	close_clients(clients, 8);
	fixture_end(&fixture);
}

static void rests_at_a_limit(void **state)
{
	test_run(accept_within_limits, NULL);
}

static void accept_without_descriptors(void *argument)
{
	struct fixture fixture;
	int clients[4];
	fixture_start(&fixture);
	fixture_listen(&fixture);
	connect_clients(&fixture, clients, 4);
	// No descriptor above what is open now.
	struct rlimit before, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int64_t begun = loop_now();
	while (fixture.listener.rests == 0)
		assert_int_equal(fiber_sleep("test", loop_now() + MILLISECOND_NS), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	wait_for_accepted(&fixture, 4);
	assert_true(loop_now() - begun >= 100 * MILLISECOND_NS);
	// It rested, and did not spin.
	assert_true(fixture.listener.rests <= 1 + (uint64_t)((loop_now() - begun) / (100 * MILLISECOND_NS)));
	listener_stop(&fixture.listener, false);
	close_clients(clients, 4);
	fixture_end(&fixture);
}

static void rests_when_descriptors_run_out(void **state)
{
	test_run(accept_without_descriptors, NULL);
}

static void stop_and_go_on(void *argument)
{
	struct fixture fixture;
	int clients[6];
	fixture_start(&fixture);
	fixture_listen(&fixture);
	connect_clients(&fixture, clients, 3);
	// Drained: all three, though the loop has not turned since.
	fixture.draining = true;
	listener_stop(&fixture.listener, true);
	assert_int_equal(fixture.accepted, 3);
	// Not drained: what comes waits for whoever has the socket.
	connect_clients(&fixture, clients + 3, 3);
	fiber_sleep("test", loop_now() + 10 * MILLISECOND_NS);
	assert_int_equal(fixture.accepted, 3);
	struct fixture second = {.fiber = fiber_current(), .allowed = 512, .listening = fixture.listening};
	second.address = fixture.address;
	second.stop_at_first = true;
	second.listener = (struct listener){.accepted = note_accepted, .argument = &second};
	fixture_listen(&second);
	wait_for_accepted(&second, 1);
	fiber_sleep("test", loop_now() + 10 * MILLISECOND_NS);
	assert_int_equal(second.accepted, 1);
	close(second.descriptors[0]);
	close_clients(clients, 6);
	fixture_end(&fixture);
}

static void stops_with_and_without_drain(void **state)
{
	test_run(stop_and_go_on, NULL);
}

static void refuse_to_start(void *argument)
{
	struct listener listener = {.accepted = note_accepted};
	assert_int_equal(listener_start(&listener, 9999), -EBADF);
	listener_stop(&listener, true); // of what never started: nothing
}

static void refuses_a_bad_descriptor(void **state)
{
	test_run(refuse_to_start, NULL);
}

static void binds_shared_and_for_both_families(void **state)
{
	struct address first, again;
	struct address wanted = test_ip("127.0.0.1", 0);
	int one = listener_bind(&wanted, 8, true);
	assert_true(one >= 0);
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	assert_int_equal(getsockname(one, (struct sockaddr *)&name, &length), 0);
	address_from_sockaddr((struct sockaddr *)&name, length, &first);
	int two = listener_bind(&first, 8, true);
	assert_true(two >= 0);
	assert_int_equal(listener_bind(&first, 8, false), -EADDRINUSE);
	close(one);
	close(two);

	// ":port": IPv4 comes in too, by IPv6 or in its stead.
	struct endpoint endpoint;
	assert_true(endpoint_parse(SLICE(":0"), 0, &endpoint));
	assert_true(endpoint_to_address(&endpoint, &wanted));
	int every = listener_bind(&wanted, 8, false);
	assert_true(every >= 0);
	length = sizeof(name);
	assert_int_equal(getsockname(every, (struct sockaddr *)&name, &length), 0);
	address_from_sockaddr((struct sockaddr *)&name, length, &again);
	struct address to = test_ip("127.0.0.1", address_port(&again));
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, &to.any, to.length), 0);
	close(client);
	close(every);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_many_a_bounded_number_each_turn),
		cmocka_unit_test(rests_at_a_limit),
		cmocka_unit_test(rests_when_descriptors_run_out),
		cmocka_unit_test(stops_with_and_without_drain),
		cmocka_unit_test(refuses_a_bad_descriptor),
		cmocka_unit_test(binds_shared_and_for_both_families),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
