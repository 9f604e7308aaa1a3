// Loading pools: what is understood, what is refused in which words, and what `proxy` may
// name.
#include "fail_alloc.h"
#include "support.h"
#include "upstream/pool_keys.h"

#include <stdio.h>
#include <stdlib.h>

// The top level of a configuration, as far as pools need one.
struct root {
	struct config_list pools;
	struct config_list proxies;
};

struct proxy {
	struct config_texts to;
};

static const struct config_key proxy_keys[] = {
	{.name = "to", .kind = CONFIG_TEXTS, .offset = offsetof(struct proxy, to), .required = true},
	{0},
};

static const struct config_section proxy_section = {
	.name = "proxies",
	.size = sizeof(struct proxy),
	.keys = proxy_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
	.shorthand = "to",
};

static const struct config_key root_keys[] = {
	{.name = "pools",
	 .kind = CONFIG_NAMED,
	 .offset = offsetof(struct root, pools),
	 .section = &pool_config_section},
	{.name = "proxies", .kind = CONFIG_LIST, .offset = offsetof(struct root, proxies), .section = &proxy_section},
	{0},
};

static const struct config_section root_section = {
	.name = "root",
	.size = sizeof(struct root),
	.keys = root_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

// What a text gave.
struct result {
	bool good;
	char *messages;
	struct config *config;
	struct pool_set *set;
	struct pool_config *targets[8]; // of the proxies
};

static struct result load(const char *text)
{
	struct result result = {0};
	void *loaded = NULL;
	struct config_load *load =
		config_load_begin(config_source_disk(), "a.yaml", slice_from_string(text), &root_section, &loaded);
	if (!load)
		return result;
	struct root *root = loaded;
	if (root)
		result.set = pool_set_new(load, &root->pools);
	for (size_t i = 0; result.set && i < root->proxies.count; i++) {
		const struct proxy *proxy = (struct proxy *)root->proxies.items + i;
		if (proxy->to.count > 0)
			result.targets[i] = pool_set_target(load, result.set, &proxy->to);
	}
	size_t size;
	FILE *messages = open_memstream(&result.messages, &size);
	assert_non_null(messages);
	result.good = config_load_end(load, messages, false, &result.config);
	assert_int_equal(fclose(messages), 0);
	return result;
}

static void result_free(struct result *result)
{
	if (result->good)
		config_free(result->config);
	free(result->messages);
}

static struct result load_good(const char *text)
{
	struct result result = load(text);
	assert_string_equal(result.messages, "");
	assert_true(result.good);
	return result;
}

static void expect_errors(const char *text, const char *messages)
{
	struct result result = load(text);
	assert_string_equal(result.messages, messages);
	assert_false(result.good);
	result_free(&result);
}

static void expect_warning(const char *text, const char *messages)
{
	struct result result = load(text);
	assert_string_equal(result.messages, messages);
	assert_true(result.good);
	result_free(&result);
}

static void expect_slice(struct slice got, const char *wanted)
{
	assert_int_equal(got.length, strlen(wanted));
	assert_memory_equal(got.data, wanted, got.length);
}

static const struct server_config *server_at(const struct pool_config *pool, size_t index)
{
	assert_true(index < pool->servers.count);
	return (struct server_config *)pool->servers.items + index;
}

// --- The section

static void loads_everything(void **state)
{
	struct result result =
		load_good("pools:\n"
			  "  api:\n"
			  "    servers:\n"
			  "      - 10.0.0.1:8080\n"
			  "      - {address: app.internal:80, weight: 0}\n"
			  "      - {address: \"http://[2001:db8::1]\", weight: 1000, backup: true}\n"
			  "      - unix:/run/app.sock\n"
			  "    balance: least_requests\n"
			  "    tries: 2\n"
			  "    h2: {connections: 2, streams: 5, queue: 0, window: 1MiB, ping: off, ping_timeout: 1s}\n"
			  "    idle: {connections: 0, pool_connections: 7, timeout: 3s, age: off}\n"
			  "    rest: {after: 1, for: 250ms, max: 2s}\n"
			  "    dns: {refresh: 10s, min: 2s, max: 5m, timeout: 1s}\n");
	assert_int_equal(result.set->count, 1);
	const struct pool_config *pool = pool_set_find(result.set, SLICE("api"));
	assert_non_null(pool);
	assert_int_equal(pool->servers.count, 4);
	expect_slice(server_at(pool, 0)->name, "10.0.0.1:8080");
	assert_int_equal(server_at(pool, 0)->weight, 1);
	assert_false(server_at(pool, 0)->backup);
	expect_slice(server_at(pool, 1)->name, "app.internal:80");
	assert_int_equal(server_at(pool, 1)->weight, 0);
	expect_slice(server_at(pool, 2)->name, "[2001:db8::1]:80");
	assert_int_equal(server_at(pool, 2)->weight, 1000);
	assert_true(server_at(pool, 2)->backup);
	expect_slice(server_at(pool, 3)->name, "unix:/run/app.sock");
	assert_ptr_equal(balancer_types[pool->balance], &balance_least_requests);
	assert_int_equal(pool->tries, 2);
	assert_int_equal(pool->h2.connections, 2);
	assert_int_equal(pool->h2.streams, 5);
	assert_int_equal(pool->h2.queue, 0);
	assert_int_equal(pool->h2.window_bytes, 1024 * 1024);
	assert_int_equal(pool->h2.ping_ns, 0);
	assert_int_equal(pool->h2.ping_timeout_ns, SECOND_NS);
	assert_int_equal(pool->idle.connections, 0);
	assert_int_equal(pool->idle.pool_connections, 7);
	assert_int_equal(pool->idle.timeout_ns, 3 * SECOND_NS);
	assert_int_equal(pool->idle.age_ns, 0);
	assert_int_equal(pool->rest.after, 1);
	assert_int_equal(pool->rest.for_ns, 250 * MILLISECOND_NS);
	assert_int_equal(pool->rest.max_ns, 2 * SECOND_NS);
	assert_int_equal(pool->dns.refresh_ns, 10 * SECOND_NS);
	assert_int_equal(pool->dns.min_ns, 2 * SECOND_NS);
	assert_int_equal(pool->dns.max_ns, 300 * SECOND_NS);
	assert_int_equal(pool->dns.timeout_ns, SECOND_NS);
	assert_null(pool_set_find(result.set, SLICE("ap")));
	result_free(&result);
}

static void has_the_defaults_of_pools_made_of_addresses(void **state)
{
	struct result result = load_good("pools: {api: {servers: 10.0.0.1:80}}");
	struct pool_config loaded = *pool_set_find(result.set, SLICE("api"));
	const struct pool_config *standard = &pool_config_standard;
	assert_int_equal(loaded.servers.count, 1);
	assert_int_equal(loaded.balance, standard->balance);
	assert_int_equal(loaded.tries, standard->tries);
	assert_int_equal(loaded.protocol, standard->protocol);
	assert_null(loaded.tls);
	assert_memory_equal(&loaded.h2, &standard->h2, sizeof(loaded.h2));
	assert_memory_equal(&loaded.idle, &standard->idle, sizeof(loaded.idle));
	assert_int_equal(loaded.rest.after, standard->rest.after);
	assert_int_equal(loaded.rest.for_ns, standard->rest.for_ns);
	assert_int_equal(loaded.rest.max_ns, standard->rest.max_ns);
	assert_int_equal(loaded.rest.latency, standard->rest.latency);
	assert_int_equal(loaded.rest.share_percent, standard->rest.share_percent);
	assert_int_equal(loaded.max_requests, standard->max_requests);
	assert_memory_equal(&loaded.queue, &standard->queue, sizeof(loaded.queue));
	assert_memory_equal(&loaded.dns, &standard->dns, sizeof(loaded.dns));
	result_free(&result);
}

static void names_what_is_wrong_with_addresses(void **state)
{
#define FORM "expected an address such as 10.0.0.1:8080, app.internal:80, unix:/run/app.sock or http://10.0.0.1"
	static const struct {
		const char *address, *message;
	} rows[] = {
		{"10.0.0.1", FORM},
		{"app.internal", FORM},
		{"10.0.0.1:port", FORM},
		{"10.0.0.1:65536", FORM},
		{"ftp://10.0.0.1", FORM},
		{"a b:80", FORM},
		{"10.0.0.1:0", "a server's port is 1 to 65535"},
		{"http://10.0.0.1:0", "a server's port is 1 to 65535"},
		{"h3://10.0.0.1", FORM},
		{"https://10.0.0.1/api", "a server's address has no path: rewrite or strip change the path that is "
					 "sent on"},
		{"h2c://10.0.0.1:0", "a server's port is 1 to 65535"},
		{"http://10.0.0.1/api", "a server's address has no path: rewrite or strip change the path that is "
					"sent on"},
		{"http://10.0.0.1?a=b", "a server's address has no path: rewrite or strip change the path that is "
					"sent on"},
		{"http://me:secret@10.0.0.1", "a server's address has no user name"},
		{"http://unix:/run/app.sock", "a server's address has no path: rewrite or strip change the path that "
					      "is sent on"},
		{"\":3000\"", "a server's address needs a host: write 127.0.0.1 for this machine"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[200], messages[600];
		snprintf(text, sizeof(text), "pools: {a: {servers: [%s]}}", rows[i].address);
		snprintf(messages, sizeof(messages), "a.yaml:1:23: %s\n  %s\n                        ^\n",
			 rows[i].message, text);
		expect_errors(text, messages);
	}
}

static void finds_all_that_is_wrong(void **state)
{
	expect_errors("pools:\n"
		      "  a:\n"
		      "    servers: [10.0.0.1:80, 10.0.0.2:80, http://10.0.0.1]\n"
		      "    balanced: round_robin\n"
		      "  b:\n"
		      "    balance: least_request\n"
		      "  c:\n"
		      "    servers: [{address: 10.0.0.1:80, weight: 1001}]\n"
		      "    rest: {for: 2m}\n"
		      "    dns: {min: 2h}\n",
		      "a.yaml:4:5: unknown key \"balanced\"; did you mean \"balance\"?\n"
		      "      balanced: round_robin\n"
		      "      ^\n"
		      "a.yaml:6:14: expected one of round_robin, least_requests, least_time, random, hash or first for "
		      "\"balance\", not "
		      "\"least_request\"; did you mean \"least_requests\"?\n"
		      "      balance: least_request\n"
		      "               ^\n"
		      "a.yaml:8:46: expected a whole number from 0 to 1000 for \"weight\", not \"1001\"\n"
		      "      servers: [{address: 10.0.0.1:80, weight: 1001}]\n"
		      "                                               ^\n"
		      "a.yaml:9:12: the first rest (\"for\") is longer than the longest (\"max\", 1m by default)\n"
		      "      rest: {for: 2m}\n"
		      "             ^\n"
		      "a.yaml:10:11: the least time between look-ups (\"min\") is longer than the most (\"max\", "
		      "1h by default)\n"
		      "      dns: {min: 2h}\n"
		      "            ^\n");
	expect_errors("pools:\n"
		      "  a:\n"
		      "    servers: [10.0.0.1:80, 10.0.0.2:80, http://10.0.0.1]\n"
		      "  b:\n"
		      "    servers: []\n",
		      "a.yaml:3:41: the server 10.0.0.1:80 stands twice in this pool; give it a larger weight "
		      "instead\n"
		      "      servers: [10.0.0.1:80, 10.0.0.2:80, http://10.0.0.1]\n"
		      "                                          ^\n"
		      "a.yaml:5:5: a pool has 1 to 1024 servers (`servers`, `file`, or `srv`), this one has 0\n"
		      "      servers: []\n"
		      "      ^\n");
}

static void bounds_the_servers_of_a_pool(void **state)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	fputs("pools: {a: {servers: [", out);
	for (unsigned i = 0; i <= POOL_SERVERS_MAX; i++)
		fprintf(out, "10.0.0.1:%u, ", i + 1);
	fputs("]}}\n", out);
	assert_int_equal(fclose(out), 0);
	struct result result = load(text);
	const char *wanted =
		"a.yaml:1:13: a pool has 1 to 1024 servers (`servers`, `file`, or `srv`), this one has 1025\n";
	assert_memory_equal(result.messages, wanted, strlen(wanted));
	assert_false(result.good);
	result_free(&result);
	free(text);
}

static void warns_of_pools_without_use(void **state)
{
	expect_warning("pools:\n  a:\n    servers: [{address: 10.0.0.1:80, weight: 0}]\n",
		       "a.yaml:3:5: warning: all servers of this pool have the weight 0: requests get 503\n"
		       "      servers: [{address: 10.0.0.1:80, weight: 0}]\n"
		       "      ^\n");
	expect_warning("pools:\n  a:\n    servers: [{address: 10.0.0.1:80, backup: true}]\n",
		       "a.yaml:3:5: warning: all servers of this pool are backups: they get all requests\n"
		       "      servers: [{address: 10.0.0.1:80, backup: true}]\n"
		       "      ^\n");
}

static void tells_what_is_spoken(void **state)
{
	struct result result =
		load_good("pools:\n"
			  "  a: {servers: [\"http://[::1]\", https://a.internal, h2://a.internal, h2c://10.0.0.1]}\n"
			  "  b: {servers: [10.0.0.1:80, https://10.0.0.1, unix:/s], protocol: auto}\n"
			  "  c: {servers: [10.0.0.1:80, https://10.0.0.1:8443/, unix:/s], protocol: h2}\n");
	static const struct {
		const char *pool, *name, *authority;
		enum server_protocol protocol;
		bool over_tls;
	} rows[] = {
		{"a", "[::1]:80", "[::1]:80", SERVER_HTTP1, false},
		{"a", "https://a.internal:443", "a.internal:443", SERVER_HTTP1, true},
		{"a", "h2://a.internal:443", "a.internal:443", SERVER_HTTP2, true},
		{"a", "h2c://10.0.0.1:80", "10.0.0.1:80", SERVER_HTTP2, false},
		{"b", "10.0.0.1:80", "10.0.0.1:80", SERVER_HTTP1, false},
		{"b", "https://10.0.0.1:443", "10.0.0.1:443", SERVER_NEGOTIATED, true},
		{"b", "unix:/s", "unix:/s", SERVER_HTTP1, false},
		{"c", "h2c://10.0.0.1:80", "10.0.0.1:80", SERVER_HTTP2, false},
		{"c", "h2://10.0.0.1:8443", "10.0.0.1:8443", SERVER_HTTP2, true},
		{"c", "h2c://unix:/s", "unix:/s", SERVER_HTTP2, false},
	};
	const char *last = "";
	for (size_t i = 0, at = 0; i < COUNT(rows); i++, at++) {
		if (strcmp(rows[i].pool, last) != 0)
			at = 0;
		last = rows[i].pool;
		const struct pool_config *pool = pool_set_find(result.set, slice_from_string(rows[i].pool));
		expect_slice(server_at(pool, at)->name, rows[i].name);
		expect_slice(server_at(pool, at)->authority, rows[i].authority);
		assert_int_equal(server_at(pool, at)->protocol, rows[i].protocol);
		assert_int_equal(server_at(pool, at)->tls != NULL, rows[i].over_tls);
	}
	result_free(&result);
}

static void tells_what_is_wrong_with_tls(void **state)
{
	expect_errors("pools: {a: {servers: [10.0.0.1:443], tls: {verify: false}}}\n",
		      "a.yaml:1:38: no server of this pool is spoken to over TLS: write its address https://HOST or "
		      "h2://HOST, or leave out tls\n"
		      "  pools: {a: {servers: [10.0.0.1:443], tls: {verify: false}}}\n"
		      "                                       ^\n");
	expect_warning("pools: {a: {servers: [https://10.0.0.1], tls: {verify: false}}}\n",
		       "a.yaml:1:48: warning: certificates of these servers are not verified: whoever stands between "
		       "usher and them can read and change everything; rather name their authority under ca\n"
		       "  pools: {a: {servers: [https://10.0.0.1], tls: {verify: false}}}\n"
		       "                                                 ^\n");
	expect_errors(
		"pools: {a: {servers: [https://10.0.0.1], tls: {min_version: 1.1}}}\n",
		"a.yaml:1:61: expected one of 1.2 or 1.3 for \"min_version\", not \"1.1\"; did you mean \"1.2\"?\n"
		"  pools: {a: {servers: [https://10.0.0.1], tls: {min_version: 1.1}}}\n"
		"                                                              ^\n");
}

// --- What `proxy` names

static void finds_pools_by_name(void **state)
{
	struct result result = load_good("pools: {api: {servers: [10.0.0.1:80]}, web: {servers: [10.0.0.1:80]}}\n"
					 "proxies: [api, web, api]\n");
	assert_int_equal(result.set->count, 2);
	expect_slice(result.targets[0]->name.text, "api");
	expect_slice(result.targets[1]->name.text, "web");
	assert_ptr_equal(result.targets[0], result.targets[2]);
	result_free(&result);
}

static void makes_pools_of_addresses(void **state)
{
	struct result result = load_good("proxies:\n"
					 "  - http://10.0.0.1\n"
					 "  - 10.0.0.1:80\n"
					 "  - http://10.0.0.1:80/\n"
					 "  - [10.0.0.1:80, \"[::1]:81\", unix:/run/app.sock]\n"
					 "  - {to: [http://10.0.0.1, \"http://[::1]:81\", unix:/run/app.sock]}\n");
	assert_int_equal(result.set->count, 2);
	expect_slice(result.targets[0]->name.text, "10.0.0.1:80");
	assert_ptr_equal(result.targets[0], result.targets[1]);
	assert_ptr_equal(result.targets[0], result.targets[2]);
	expect_slice(result.targets[3]->name.text, "10.0.0.1:80, [::1]:81, unix:/run/app.sock");
	assert_ptr_equal(result.targets[3], result.targets[4]);
	assert_int_equal(result.targets[3]->servers.count, 3);
	assert_int_equal(server_at(result.targets[3], 1)->weight, 1);
	result_free(&result);
}

static void makes_many_pools(void **state)
{
	enum { POOLS = 3000 };
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	fputs("pools:\n", out);
	for (unsigned i = 0; i < POOLS; i++)
		fprintf(out, "  pool%u: {servers: [10.0.0.1:%u]}\n", i, i + 1);
	assert_int_equal(fclose(out), 0);
	struct result result = load_good(text);
	for (unsigned i = 0; i < POOLS; i++) {
		char name[32];
		snprintf(name, sizeof(name), "pool%u", i);
		const struct pool_config *pool = pool_set_find(result.set, slice_from_string(name));
		assert_non_null(pool);
		assert_int_equal(server_at(pool, 0)->where.endpoint.port, i + 1);
	}
	result_free(&result);
	free(text);
}

static void says_what_proxy_may_name(void **state)
{
	expect_errors("pools: {intranet: {servers: [10.0.0.1:80]}}\nproxies: [intrant]\n",
		      "a.yaml:2:11: there is no pool \"intrant\"; did you mean \"intranet\"?\n"
		      "  proxies: [intrant]\n"
		      "            ^\n");
	expect_errors("pools: {\"a:80\": {servers: [10.0.0.1:80]}}\n",
		      "a.yaml:1:9: a pool's name has no colon and no slash, so that it is not taken for an address\n"
		      "  pools: {\"a:80\": {servers: [10.0.0.1:80]}}\n"
		      "          ^\n");
	expect_errors("proxies: [api]\n",
		      "a.yaml:1:11: there is no pool \"api\"; a server is written host:port or http://host\n"
		      "  proxies: [api]\n"
		      "            ^\n");
	expect_errors("pools: {api: {servers: [10.0.0.1:80]}}\nproxies: [{to: [api, 10.0.0.2:80]}]\n",
		      "a.yaml:2:17: \"api\" is a pool: it cannot stand in a list of servers\n"
		      "  proxies: [{to: [api, 10.0.0.2:80]}]\n"
		      "                  ^\n");
	expect_errors("proxies: [{to: [10.0.0.2:80, http://10.0.0.2:80]}]\n",
		      "a.yaml:1:30: the server 10.0.0.2:80 stands twice in this pool; give it a larger weight "
		      "instead\n"
		      "  proxies: [{to: [10.0.0.2:80, http://10.0.0.2:80]}]\n"
		      "                               ^\n");
}

// --- Memory

static void fails_cleanly_without_memory(void **state)
{
	unsigned failures = 0;
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		struct result result = load("pools: {api: {servers: [10.0.0.1:80, app.internal:80]}}\n"
					    "proxies: [api, 10.0.0.3:80, [10.0.0.1:80, 10.0.0.2:80]]\n");
		if (!fail_alloc_stop())
			assert_true(result.good);
		for (unsigned i = 0; result.good && i < 3; i++)
			assert_non_null(result.targets[i]);
		failures += !result.good;
		result_free(&result);
	}
	assert_true(failures > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_everything),
		cmocka_unit_test(has_the_defaults_of_pools_made_of_addresses),
		cmocka_unit_test(names_what_is_wrong_with_addresses),
		cmocka_unit_test(finds_all_that_is_wrong),
		cmocka_unit_test(bounds_the_servers_of_a_pool),
		cmocka_unit_test(warns_of_pools_without_use),
		cmocka_unit_test(tells_what_is_spoken),
		cmocka_unit_test(tells_what_is_wrong_with_tls),
		cmocka_unit_test(finds_pools_by_name),
		cmocka_unit_test(makes_pools_of_addresses),
		cmocka_unit_test(makes_many_pools),
		cmocka_unit_test(says_what_proxy_may_name),
		cmocka_unit_test(fails_cleanly_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
