// Servers that are configured by name: connecting to all their addresses, and what happens
// while there are none.
#include "support.h"

#include <stdio.h>

// The played look-up: answers, up to the first NULL; an error; or nothing for ever.
static struct {
	const char *addresses[4];
	int error;
	bool silent;
} dns;

static int look_up(void *argument, const char *name, int64_t deadline_ns, struct resolution *ret_found)
{
	if (dns.silent)
		return fiber_sleep("test look-up", deadline_ns) ? -ECANCELED : -ETIMEDOUT;
	if (dns.error)
		return dns.error;
	*ret_found = (struct resolution){.ttl_ns = SECOND_NS};
	for (unsigned i = 0; i < COUNT(dns.addresses) && dns.addresses[i]; i++)
		ret_found->addresses[ret_found->count++] = test_ip(dns.addresses[i], 0);
	return 0;
}

// All of 127.0.0.0/8 is this machine: listeners on several of its addresses, one port.
static int listen_at(const char *ip, uint16_t port, uint16_t *ret_port)
{
	struct address wanted = test_ip(ip, port), got;
	int descriptor = listener_bind(&wanted, 16, false);
	assert_true(descriptor >= 0);
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	assert_int_equal(getsockname(descriptor, (struct sockaddr *)&name, &length), 0);
	address_from_sockaddr((struct sockaddr *)&name, length, &got);
	*ret_port = address_port(&got);
	return descriptor;
}

struct fixture {
	struct test_pools pools;
	struct pool *pool;
	struct server *server;
};

static void fixture_open(struct fixture *fixture, uint16_t port, const char *more)
{
	*fixture = (struct fixture){0};
	char servers[128];
	snprintf(servers, sizeof(servers), "app.internal:%u %s", port, more);
	struct pool_config *config = test_pool_add(&fixture->pools, "p", &balance_round_robin, servers);
	test_pools_activate(&fixture->pools);
	fixture->pool = config->pool;
	fixture->server = pool_server(config->pool, 0);
}

static int connect_to(struct server *server, int64_t timeout_ns, struct fault *ret_fault,
		      struct upstream_connection **ret_connection)
{
	*ret_connection = NULL;
	*ret_fault = (struct fault){0};
	return server_connect(server, timeout_ns, false, ret_fault, ret_connection);
}

static void expect_connect(struct server *server, const char *ip)
{
	struct fault fault;
	struct upstream_connection *connection;
	assert_int_equal(connect_to(server, PATIENCE_NS, &fault, &connection), 0);
	char buffer[ADDRESS_TEXT_MAX];
	struct slice got = address_format_ip(&connection->address, buffer);
	assert_int_equal(got.length, strlen(ip));
	assert_memory_equal(got.data, ip, got.length);
	upstream_connection_close(connection);
}

static void take_turns(void *argument)
{
	uint16_t port, same;
	int first = listen_at("127.0.0.2", 0, &port), second = listen_at("127.0.0.3", port, &same);
	dns.addresses[0] = "127.0.0.2";
	dns.addresses[1] = "127.0.0.3";
	struct fixture fixture;
	fixture_open(&fixture, port, "");
	// The first request comes before the first look-up, and waits for it.
	expect_connect(fixture.server, "127.0.0.2");
	expect_connect(fixture.server, "127.0.0.3");
	expect_connect(fixture.server, "127.0.0.2");
	expect_connect(fixture.server, "127.0.0.3");

	// One that refuses is passed over, and then left for last for a while.
	close(first);
	for (unsigned i = 0; i < 4; i++)
		expect_connect(fixture.server, "127.0.0.3");
	assert_int_equal(test_status(fixture.server).addresses, 2);
	first = listen_at("127.0.0.2", port, &same);
	for (unsigned i = 0; i < 4; i++)
		expect_connect(fixture.server, "127.0.0.3");
	test_skip(11 * SECOND_NS);
	expect_connect(fixture.server, "127.0.0.2");
	expect_connect(fixture.server, "127.0.0.3");
	close(first);
	close(second);

	// When all refuse, that is what is told.
	struct fault fault;
	struct upstream_connection *connection;
	assert_int_equal(connect_to(fixture.server, PATIENCE_NS, &fault, &connection), -ECONNREFUSED);
	assert_int_equal(fault.kind, FAULT_CONNECT_REFUSED);
	test_pools_free(&fixture.pools);
}

static void follow_a_move(void *argument)
{
	uint16_t port, same;
	int first = listen_at("127.0.0.2", 0, &port), second = listen_at("127.0.0.3", port, &same);
	dns.addresses[0] = "127.0.0.2";
	struct fixture fixture;
	fixture_open(&fixture, port, "");
	struct fault fault;
	struct upstream_connection *old, *next;
	assert_int_equal(connect_to(fixture.server, PATIENCE_NS, &fault, &old), 0);
	upstream_connection_keep(old);

	// An address that stays keeps its connections.
	dns.addresses[1] = "127.0.0.3";
	test_skip(2 * SECOND_NS);
	test_settle();
	assert_int_equal(test_status(fixture.server).addresses, 2);
	assert_int_equal(connect_to(fixture.server, PATIENCE_NS, &fault, &next), 0);
	assert_ptr_equal(next, old);
	upstream_connection_keep(old);

	// One that goes does not.
	dns.addresses[0] = "127.0.0.3";
	dns.addresses[1] = NULL;
	test_skip(2 * SECOND_NS);
	test_settle();
	assert_int_equal(test_status(fixture.server).addresses, 1);
	expect_connect(fixture.server, "127.0.0.3");
	assert_int_equal(test_status(fixture.server).idle, 0);
	test_pools_free(&fixture.pools);
	close(first);
	close(second);
}

static void lack_addresses(void *argument)
{
	uint16_t port;
	int listening = listen_at("127.0.0.1", 0, &port);
	char other[32];
	snprintf(other, sizeof(other), "127.0.0.1:%u", port);
	dns.error = -ENOENT;
	struct fixture fixture;
	fixture_open(&fixture, port, other);
	struct fault fault;
	struct upstream_connection *connection;
	assert_int_equal(connect_to(fixture.server, PATIENCE_NS, &fault, &connection), -EHOSTUNREACH);
	assert_int_equal(fault.kind, FAULT_DNS_FAILED);
	assert_true(fault.retry_safe);
	assert_true(test_status(fixture.server).unresolved);

	// Others get its requests.
	for (unsigned i = 0; i < 4; i++) {
		struct pick pick;
		pick_init(&pick);
		assert_ptr_equal(pool_pick(fixture.pool, &pick), pool_server(fixture.pool, 1));
		server_end(pool_server(fixture.pool, 1), SERVER_ABANDONED, FAULT_NONE);
	}
	test_pools_free(&fixture.pools);

	// Where there are none, that is the reason.
	fixture_open(&fixture, port, "");
	assert_int_equal(connect_to(fixture.server, PATIENCE_NS, &fault, &connection), -EHOSTUNREACH);
	struct pick pick;
	pick_init(&pick);
	assert_null(pool_pick(fixture.pool, &pick));
	assert_int_equal(pick.fault, FAULT_DNS_FAILED);

	// And when the name appears, it serves.
	dns.error = 0;
	dns.addresses[0] = "127.0.0.1";
	test_skip(2 * SECOND_NS);
	test_settle();
	pick_init(&pick);
	assert_ptr_equal(pool_pick(fixture.pool, &pick), fixture.server);
	server_end(fixture.server, SERVER_ABANDONED, FAULT_NONE);
	expect_connect(fixture.server, "127.0.0.1");
	test_pools_free(&fixture.pools);
	close(listening);
}

static void wait_for_a_silent_name_server(void *argument)
{
	dns.silent = true;
	struct fixture fixture;
	fixture_open(&fixture, 80, "");
	struct fault fault;
	struct upstream_connection *connection;
	assert_int_equal(connect_to(fixture.server, 30 * MILLISECOND_NS, &fault, &connection), -ETIMEDOUT);
	assert_int_equal(fault.kind, FAULT_DNS_TIMEOUT);
	test_pools_free(&fixture.pools);
}

struct run {
	fiber_function *run;
};

static void run_discovering(void *argument)
{
	memset(&dns, 0, sizeof(dns));
	discovery_start(look_up, NULL);
	((struct run *)argument)->run(NULL);
	discovery_stop();
}

static void takes_turns_among_addresses(void **state)
{
	test_run_upstream(run_discovering, &(struct run){take_turns});
}

static void follows_when_addresses_change(void **state)
{
	test_run_upstream(run_discovering, &(struct run){follow_a_move});
}

static void does_without_those_that_have_none(void **state)
{
	test_run_upstream(run_discovering, &(struct run){lack_addresses});
}

static void gives_up_waiting_for_a_name(void **state)
{
	test_run_upstream(run_discovering, &(struct run){wait_for_a_silent_name_server});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_turns_among_addresses),
		cmocka_unit_test(follows_when_addresses_change),
		cmocka_unit_test(does_without_those_that_have_none),
		cmocka_unit_test(gives_up_waiting_for_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
