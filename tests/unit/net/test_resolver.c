#include "dns_server.h"
#include "net/resolver.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
	struct dns_server server;
	struct resolver *resolver;
};

static void fixture_start(struct fixture *fixture)
{
	char server[32];
	dns_server_start(&fixture->server);
	snprintf(server, sizeof(server), "127.0.0.1:%u", fixture->server.port);
	fixture->resolver = resolver_new(server);
	assert_non_null(fixture->resolver);
}

static void fixture_end(struct fixture *fixture)
{
	resolver_free(fixture->resolver);
	dns_server_stop(&fixture->server);
}

static bool found_has(const struct resolution *found, const char *ip)
{
	struct address wanted = test_ip(ip, 0);
	for (unsigned i = 0; i < found->count; i++) {
		if (address_equal(&found->addresses[i], &wanted))
			return true;
	}
	return false;
}

static bool is_reachable(const char *ip)
{
	struct address address = test_ip(ip, 53);
	int probe = socket(address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool reachable = probe >= 0 && connect(probe, &address.any, address.length) == 0;
	close(probe);
	return reachable;
}

static void look_up(void *argument)
{
	static const struct {
		const char *name;
		int failed;
		unsigned count;
		int ttl_s;
		const char *address;
	} cases[] = {
		{"four.test", 0, 1, 60, "127.0.0.7"},
		{"FOUR.test.", -ENOENT, 0, 0, NULL}, // the server knows it in lower case only
		{"four.test.", 0, 1, 60, "127.0.0.7"},
		{"six.test", 0, 1, 60, "::1"},
		{"alias.test", 0, 1, 7, "127.0.0.7"},
		{"ttl-0.test", 0, 1, 1, "127.0.0.9"},
		{"ttl-5.test", 0, 1, 5, "127.0.0.9"},
		{"ttl-2147483647.test", 0, 1, 86400, "127.0.0.9"},
		{"ttl-2147483648.test", 0, 1, 1, "127.0.0.9"}, // RFC 2181 section 8: as zero
		{"ttl-4294967295.test", 0, 1, 1, "127.0.0.9"},
		{"many.test", 0, RESOLVER_ADDRESSES_MAX, 60, "127.0.1.17"},
		{"empty.test", -ENOENT, 0, 0, NULL},
		{"gone.test", -ENOENT, 0, 0, NULL},
		{"broken.test", -EIO, 0, 0, NULL},
		{"", -ENOENT, 0, 0, NULL},
		{"bad..name", -ENOENT, 0, 0, NULL},
		{"192.0.2.7", 0, 1, 86400, "192.0.2.7"},
		{"2001:db8::7", 0, 1, 86400, "2001:db8::7"},
	};
	struct fixture fixture;
	fixture_start(&fixture);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct resolution found;
		int failed = resolver_lookup(fixture.resolver, cases[i].name, test_deadline(), &found);
		if (failed != cases[i].failed)
			fail_msg("%s: %d", cases[i].name, failed);
		if (failed)
			continue;
		assert_int_equal(found.count, cases[i].count);
		assert_int_equal(found.ttl_ns, cases[i].ttl_s * SECOND_NS);
		assert_true(found_has(&found, cases[i].address));
	}
	assert_true(fixture.server.over_tcp > 0);
	char too_long[300];
	memset(too_long, 'a', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	struct resolution found;
	assert_int_equal(resolver_lookup(fixture.resolver, too_long, test_deadline(), &found), -ENOENT);
	fixture_end(&fixture);
}

static void looks_up(void **state)
{
	test_run(look_up, NULL);
}

static void look_up_both(void *argument)
{
	struct fixture fixture;
	struct resolution found;
	fixture_start(&fixture);
	assert_int_equal(resolver_lookup(fixture.resolver, "both.test", test_deadline(), &found), 0);
	bool six = is_reachable("::1");
	assert_int_equal(found.count, six ? 2 : 1);
	assert_true(found_has(&found, "127.0.0.7"));
	assert_int_equal(found_has(&found, "::1"), six);
	assert_int_equal(found.ttl_ns, 30 * SECOND_NS);
	assert_int_equal(resolver_lookup(fixture.resolver, "far.test", test_deadline(), &found), 0);
	assert_int_equal(found.count, is_reachable("2001:db8::1") ? 2 : 1);
	assert_true(found_has(&found, "127.0.0.8"));
	fixture_end(&fixture);
}

static void leaves_out_a_family_without_a_route(void **state)
{
	test_run(look_up_both, NULL);
}

static void look_up_in_vain(void *argument)
{
	static const char *const names[] = {"silent.test", "garbage.test"};
	struct fixture fixture;
	fixture_start(&fixture);
	for (int i = 0; i < 2; i++) {
		struct resolution found = {.count = 77};
		int64_t begun = loop_now();
		assert_int_equal(resolver_lookup(fixture.resolver, names[i], begun + 60 * MILLISECOND_NS, &found),
				 -ETIMEDOUT);
		assert_true(loop_now() - begun >= 60 * MILLISECOND_NS);
		assert_int_equal(found.count, 77);
		// Others are not kept waiting.
		assert_int_equal(resolver_lookup(fixture.resolver, "four.test", test_deadline(), &found), 0);
	}
	fixture_end(&fixture);
}

static void gives_up_at_the_deadline(void **state)
{
	test_run(look_up_in_vain, NULL);
}

// A server that is not there: the kernel says so at once, or nothing comes.
static void look_up_from_nobody(void *argument)
{
	struct dns_server server;
	char text[32];
	dns_server_start(&server);
	snprintf(text, sizeof(text), "127.0.0.1:%u", server.port);
	dns_server_stop(&server);
	struct resolver *resolver = resolver_new(text);
	assert_non_null(resolver);
	struct resolution found;
	int failed = resolver_lookup(resolver, "four.test", loop_now() + SECOND_NS, &found);
	assert_true(failed == -EIO || failed == -ETIMEDOUT);
	resolver_free(resolver);
	assert_null(resolver_new("not an address"));
	assert_null(resolver_new("name:53"));
	assert_null(resolver_new(":53"));
}

static void survives_without_a_server(void **state)
{
	test_run(look_up_from_nobody, NULL);
}

struct client {
	struct fixture *fixture;
	const char *name;
	int failed;
	bool ended;
	struct fiber *fiber;
};

static void client_run(void *argument)
{
	struct client *client = argument;
	struct resolution found;
	client->failed = resolver_lookup(client->fixture->resolver, client->name, test_deadline(), &found);
	client->ended = true;
}

static void client_start(struct client *client, struct fixture *fixture, const char *name)
{
	*client = (struct client){.fixture = fixture, .name = name};
	client->fiber = fiber_spawn("client", client_run, client);
	assert_non_null(client->fiber);
}

static void wait_for_end(const struct client *client)
{
	while (!client->ended)
		assert_int_equal(fiber_sleep("test", loop_now() + MILLISECOND_NS), 0);
}

static void look_up_many(void *argument)
{
	enum { COUNT = RESOLVER_LOOKUPS_MAX + 50 };
	struct fixture fixture;
	fixture_start(&fixture);
	struct client *clients = calloc(COUNT, sizeof(*clients));
	unsigned refused = 0;
	for (int i = 0; i < COUNT; i++)
		client_start(&clients[i], &fixture, i % 3 ? "four.test" : "gone.test");
	for (int i = 0; i < COUNT; i++) {
		wait_for_end(&clients[i]);
		if (clients[i].failed == -EAGAIN)
			refused++;
		else
			assert_int_equal(clients[i].failed, i % 3 ? 0 : -ENOENT);
	}
	assert_int_equal(refused, COUNT - RESOLVER_LOOKUPS_MAX);
	// There is room again.
	struct resolution found;
	assert_int_equal(resolver_lookup(fixture.resolver, "four.test", test_deadline(), &found), 0);
	free(clients);
	fixture_end(&fixture);
}

static void bounds_lookups_at_a_time(void **state)
{
	test_run(look_up_many, NULL);
}

static void cancel_lookups(void *argument)
{
	struct fixture fixture;
	struct client clients[3];
	fixture_start(&fixture);
	// Before it began, and while it waits.
	client_start(&clients[0], &fixture, "four.test");
	fiber_cancel(clients[0].fiber);
	client_start(&clients[1], &fixture, "silent.test");
	fiber_sleep("test", loop_now() + 20 * MILLISECOND_NS);
	fiber_cancel(clients[1].fiber);
	for (int i = 0; i < 2; i++) {
		wait_for_end(&clients[i]);
		assert_int_equal(clients[i].failed, -ECANCELED);
	}
	// The resolver's end ends them, begun or not.
	client_start(&clients[0], &fixture, "silent.test");
	client_start(&clients[1], &fixture, "many.test");
	fiber_sleep("test", loop_now() + 5 * MILLISECOND_NS);
	client_start(&clients[2], &fixture, "silent.test");
	fiber_yield();
	fixture_end(&fixture);
	for (int i = 0; i < 3; i++) {
		wait_for_end(&clients[i]);
		assert_true(clients[i].failed == -ECANCELED || i == 1);
	}
}

static void ends_when_cancelled_or_freed(void **state)
{
	test_run(cancel_lookups, NULL);
}

// The names of this machine's /etc/hosts.
static void look_up_hosts(void *argument)
{
	struct fixture fixture;
	fixture_start(&fixture);
	struct resolution found;
	assert_int_equal(resolver_lookup(fixture.resolver, "localhost", test_deadline(), &found), 0);
	assert_true(found_has(&found, "127.0.0.1") || found_has(&found, "::1"));
	unsigned asked = fixture.server.questions;
	assert_int_equal(asked, 0);

	FILE *hosts = fopen("/etc/hosts", "r");
	char line[512];
	while (hosts && fgets(line, sizeof(line), hosts)) {
		char *rest = line, *ip = strsep(&rest, " \t\n"), *name = NULL;
		while (rest && (name == NULL || *name == '\0'))
			name = strsep(&rest, " \t\n");
		struct address address;
		if (name == NULL || *name == '\0' || ip[0] == '#' ||
		    !address_parse_ip(slice_from_string(ip), 0, &address))
			continue;
		if (address.any.sa_family != AF_INET)
			continue;
		assert_int_equal(resolver_lookup(fixture.resolver, name, test_deadline(), &found), 0);
		assert_true(found.count > 0);
	}
	if (hosts)
		fclose(hosts);
	fixture_end(&fixture);

	struct resolver *system = resolver_new(NULL);
	assert_non_null(system);
	assert_int_equal(resolver_lookup(system, "localhost", test_deadline(), &found), 0);
	resolver_free(system);
}

static void reads_the_hosts_file(void **state)
{
	test_run(look_up_hosts, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_up),
		cmocka_unit_test(leaves_out_a_family_without_a_route),
		cmocka_unit_test(gives_up_at_the_deadline),
		cmocka_unit_test(survives_without_a_server),
		cmocka_unit_test(bounds_lookups_at_a_time),
		cmocka_unit_test(ends_when_cancelled_or_freed),
		cmocka_unit_test(reads_the_hosts_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
