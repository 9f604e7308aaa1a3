// The redirect from http to https: where to, and which requests stay.
#include "../exchange/certificates.h"
#include "support.h"

#define LISTEN "listen: [\":80\", {address: \":443\", tls: true}]\n"
#define OTHER_PORT "listen: [\":80\", {address: \":8443\", tls: true}, {address: \":9443\", tls: true}]\n"
#define SITE "server: true\ntls: {certificate: a.pem}\n"

static const struct {
	const char *config;
	struct test_request request;
	unsigned status; // 200: the server was asked
	const char *location;
} rows[] = {
	{LISTEN SITE, {.target = "/a?b=c"}, 301, "https://a.example/a?b=c"},
	{LISTEN SITE, {.method = "HEAD", .target = "/a"}, 301, "https://a.example/a"},
	{LISTEN SITE, {.method = "POST", .target = "/a"}, 308, "https://a.example/a"},
	{LISTEN SITE, {.method = "QUERY", .target = "/a"}, 308, "https://a.example/a"},
	{LISTEN SITE, {.host = "A.Example.", .target = "/"}, 301, "https://a.example/"},
	{LISTEN SITE, {.host = "[2001:db8::1]", .target = "/"}, 301, "https://[2001:db8::1]/"},
	{LISTEN SITE, {.method = "OPTIONS", .target = "*"}, 308, "https://a.example/"},
	{LISTEN SITE, {.target = "//evil.example/x"}, 301, "https://a.example//evil.example/x"},
	{SITE, {.target = "/"}, 301, "https://a.example/"},
	// The port that browsers try goes before the first one.
	{OTHER_PORT SITE, {.target = "/x"}, 301, "https://a.example:8443/x"},
	{"listen: [{address: \":8443\", tls: true}, {address: \"[::1]:443\", tls: true}]\n" SITE,
	 {.target = "/x"},
	 301,
	 "https://a.example/x"},
	// Nowhere to go.
	{"listen: \":80\"\n" SITE, {.target = "/"}, 200, NULL},
	{"listen: [\":80\", {address: \"unix:/x\", tls: true}]\n" SITE, {.target = "/"}, 200, NULL},
	{LISTEN "server: true\ntls: {certificate: a.pem, redirect: false}\n", {.target = "/"}, 200, NULL},
	{LISTEN "server: true\nsites: [{host: b.example, tls: {certificate: b.pem}}, {host: a.example}]\n",
	 {.target = "/"},
	 200,
	 NULL},
	// Challenges of ACME come without TLS; a route that names their path takes them.
	{LISTEN SITE,
	 {.target = "/.well-known/acme-challenge/x"},
	 301,
	 "https://a.example/.well-known/acme-challenge/x"},
	{LISTEN SITE "routes: [{path: /.well-known/acme-challenge/}]\n",
	 {.target = "/.well-known/acme-challenge/x"},
	 200,
	 NULL},
	{LISTEN SITE "routes: [{path: /.well-known/acme-challenge/}]\n", {.target = "/"}, 301, "https://a.example/"},
	{LISTEN SITE "routes: [{path: /.well-known/}]\n",
	 {.target = "/.well-known/acme-challenge/x"},
	 301,
	 "https://a.example/.well-known/acme-challenge/x"},
};

static void test_redirects(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct exchange exchange;
		struct snapshot *snapshot = test_load_good(rows[i].config, &test_registry);
		test_serve(&exchange, snapshot, &rows[i].request);
		if (exchange_response(&exchange)->status != rows[i].status)
			fail_msg("row %zu: %u", i, exchange_response(&exchange)->status);
		assert_int_equal(test_server.calls, rows[i].status == 200);
		if (rows[i].location)
			assert_slice(test_response_field(&exchange, "Location"), rows[i].location);
		test_exchange_end(&exchange);
		snapshot_unref(snapshot);
	}
}

// What came by https, as the connection or a trusted proxy says, is not sent around.
static void test_https_stays(void **state)
{
	struct snapshot *snapshot = test_load_good(LISTEN SITE, &test_registry);
	struct exchange exchange;
	struct tls_peer peer = {.version = "TLSv1.3"};
	test_serve(&exchange, snapshot, &(struct test_request){.tls = &peer});
	assert_int_equal(test_server.calls, 1);
	test_exchange_end(&exchange);
	test_exchange_route(&exchange, snapshot, &(struct test_request){0});
	exchange.scheme = SLICE("https");
	exchange_next(&exchange);
	assert_int_equal(exchange_response(&exchange)->status, 200);
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

static void test_no_host(void **state)
{
	struct snapshot *snapshot = test_load_good(LISTEN SITE, &test_registry);
	struct exchange exchange;
	test_exchange_route(&exchange, snapshot, &(struct test_request){0});
	exchange.host = SLICE("");
	exchange_next(&exchange);
	assert_int_equal(exchange.transaction.fault.kind, FAULT_BAD_HOST);
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

// Without TLS nobody can show the certificate that a site requires, whatever is turned off.
static void test_required_certificate(void **state)
{
	static const char config[] = LISTEN "server: true\n"
					    "tls:\n"
					    "  certificate: a.pem\n"
					    "  redirect: %s\n"
					    "  client_certificate: {mode: %s, ca: clients.pem}\n";
	static const struct {
		const char *redirect, *mode, *scheme;
		enum fault_kind fault;
		unsigned calls;
	} cases[] = {
		{"false", "required", "http", FAULT_MISDIRECTED, 0},
		{"true", "required", "https", FAULT_MISDIRECTED, 0},
		{"true", "required", "http", FAULT_NONE, 0},
		{"false", "optional", "http", FAULT_NONE, 1},
		{"true", "optional", "https", FAULT_NONE, 1},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[512];
		struct exchange exchange;
		snprintf(text, sizeof text, config, cases[i].redirect, cases[i].mode);
		struct snapshot *snapshot = test_load_good(text, &test_registry);
		memset(&test_server, 0, sizeof test_server);
		test_exchange_route(&exchange, snapshot, &(struct test_request){0});
		exchange.scheme = slice_from_string(cases[i].scheme);
		exchange_next(&exchange);
		assert_int_equal(exchange.transaction.fault.kind, cases[i].fault);
		assert_int_equal(test_server.calls, cases[i].calls);
		test_exchange_end(&exchange);
		snapshot_unref(snapshot);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_redirects),
		cmocka_unit_test(test_https_stays),
		cmocka_unit_test(test_no_host),
		cmocka_unit_test(test_required_certificate),
	};
	return cmocka_run_group_tests(tests, test_certificates_begin, test_certificates_end);
}
