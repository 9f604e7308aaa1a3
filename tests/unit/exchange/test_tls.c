// Sites with TLS in a configuration, the listeners that they need, and requests that come by
// a handshake that was made for another site.
#include "certificates.h"
#include "exchange/life.h"
#include "stubs.h"
#include "tls/server.h"

static const char two_sites[] = "listen: [\":80\", {address: \":443\", tls: true}]\n"
				"answer: x\n"
				"sites:\n"
				"  - {host: a.example, tls: {certificate: a.pem}}\n"
				"  - {host: b.example, tls: {certificate: b.pem}}\n"
				"  - {host: plain.example}\n";

static const struct tls_site *handshake_for(const struct snapshot *snapshot, const char *host)
{
	return snapshot->tls->find(snapshot->tls, slice_from_string(host));
}

static void test_sites(void **state)
{
	struct snapshot *snapshot = test_load_good(two_sites, &stub_registry);
	assert_non_null(snapshot->tls);
	assert_null(snapshot->tls_http1);
	assert_true(snapshot->tls->http2);
	const struct tls_site *a = site_find(snapshot, SLICE("a.example"))->tls;
	const struct tls_site *b = site_find(snapshot, SLICE("b.example"))->tls;
	assert_non_null(a);
	assert_non_null(b);
	assert_true(a->key != b->key);
	assert_true(a->redirects);
	assert_ptr_equal(handshake_for(snapshot, "a.example"), a);
	assert_ptr_equal(handshake_for(snapshot, "b.example"), b);
	assert_null(handshake_for(snapshot, "plain.example"));
	assert_null(handshake_for(snapshot, "c.example"));
	assert_null(snapshot->tls->standard);
	snapshot_unref(snapshot);
}

// What stands at the top is for all sites; the default site is for clients that name none.
static void test_top(void **state)
{
	struct snapshot *snapshot = test_load_good("tls: {certificate: star.pem, redirect: false}\n"
						   "answer: x\n"
						   "sites:\n"
						   "  - {host: a.example}\n"
						   "  - {host: b.example, tls: {certificate: b.pem}}\n"
						   "  - {host: \"*\"}\n",
						   &stub_registry);
	const struct tls_site *standard = snapshot->tls->standard;
	assert_non_null(standard);
	assert_ptr_equal(site_find(snapshot, SLICE("z.example"))->tls, standard);
	assert_int_equal(site_find(snapshot, SLICE("a.example"))->tls->key, standard->key);
	assert_true(site_find(snapshot, SLICE("b.example"))->tls->key != standard->key);
	assert_false(standard->redirects);
	snapshot_unref(snapshot);
	// Without sites, the top is the only one.
	snapshot = test_load_good("tls: {certificate: a.pem}\nanswer: x\n", &stub_registry);
	assert_ptr_equal(snapshot->tls->standard, snapshot->all_sites[0].tls);
	assert_non_null(snapshot->tls->standard);
	snapshot_unref(snapshot);
}

// What has no certificate at the top is for those sites that have one.
static void test_settings_at_the_top(void **state)
{
	struct snapshot *snapshot =
		test_load_good("tls: {redirect: false, policy: modern}\n"
			       "answer: x\n"
			       "sites: [{host: a.example, tls: {certificate: a.pem}}, {host: plain.example},\n"
			       "  {host: b.example, tls: {certificate: b.pem, redirect: true}}]\n",
			       &stub_registry);
	assert_false(site_find(snapshot, SLICE("a.example"))->tls->redirects);
	assert_true(site_find(snapshot, SLICE("b.example"))->tls->redirects);
	assert_null(site_find(snapshot, SLICE("plain.example"))->tls);
	snapshot_unref(snapshot);
}

static void test_listens(void **state)
{
	char buffer[ADDRESS_TEXT_MAX];
	// The ports that browsers try.
	struct snapshot *snapshot = test_load_good("tls: {certificate: a.pem}\nanswer: x\n", &stub_registry);
	assert_int_equal(snapshot->listen_count, 2);
	assert_slice(address_format(&snapshot->listens[0].address, buffer), "[::]:80");
	assert_false(snapshot->listens[0].tls);
	assert_slice(address_format(&snapshot->listens[1].address, buffer), "[::]:443");
	assert_true(snapshot->listens[1].tls);
	assert_true(snapshot->listens[1].http2);
	assert_slice(snapshot->listens[1].text.text, ":443");
	snapshot_unref(snapshot);
	snapshot = test_load_good("listen: [{address: \":1\", tls: true}, {address: \":2\", tls: true, http2: false}]\n"
				  "tls: {certificate: a.pem}\nanswer: x\n",
				  &stub_registry);
	assert_true(snapshot->tls->http2);
	assert_false(snapshot->tls_http1->http2);
	assert_ptr_equal(snapshot->tls->standard, snapshot->tls_http1->standard);
	snapshot_unref(snapshot);
	snapshot = test_load_good("listen: {address: \":2\", tls: true, http2: false}\n"
				  "tls: {certificate: a.pem}\nanswer: x\n",
				  &stub_registry);
	assert_null(snapshot->tls);
	assert_non_null(snapshot->tls_http1);
	snapshot_unref(snapshot);
}

static void test_errors(void **state)
{
	static const char *const wrong[][2] = {
		{"listen: {address: \":443\", tls: true}\nanswer: x\n",
		 "usher.yaml:1:27: no site has a certificate to speak TLS with; add `tls: {certificate: FILE"},
		{"answer: x\nroutes: [{path: /x, tls: {certificate: a.pem}}]\n",
		 "usher.yaml:2:21: unknown key \"tls\"; it stands at the top or in \"site\", not in \"route\""},
		{"answer: x\nsites: [{host: a, tls: {policy: modern}}]\n",
		 "usher.yaml:2:19: \"certificate\" (or \"folder\") is missing"},
		{"answer: x\ntls: {policy: modern}\n", "usher.yaml:2:1: \"certificate\" (or \"folder\") is missing"},
		{"answer: x\ntls: {policy: modern}\nsites: [{host: a, tls: {redirect: false}}]\n",
		 "usher.yaml:3:19: \"certificate\" (or \"folder\") is missing, here and at the top: the site a"},
		{"answer: x\ntls: {certificate: none.pem}\n", "none.pem"},
		{"answer: x\ntls: {certifcate: a.pem}\n", "did you mean \"certificate\"?"},
		{"answer: x\nsites: [{host: a, tls_policy: modern}]\n",
		 "unknown key \"tls_policy\"; it stands at the top, not in \"site\""},
	};
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_refused(wrong[i][0], wrong[i][1], &stub_registry);
	// One thing is said of one mistake.
	struct test_loaded loaded = test_load("listen: {address: \":443\", tls: true}\n"
					      "answer: x\ntls: {certificate: none.pem}\n",
					      &stub_registry);
	assert_null(loaded.snapshot);
	assert_null(strstr(loaded.messages, "no site has a certificate"));
	test_unload(&loaded);
}

static void test_warning(void **state)
{
	struct test_loaded plain = test_load("listen: {address: \":80\", http2: true}\nanswer: x\n", &stub_registry);
	assert_non_null(plain.snapshot);
	assert_non_null(
		strstr(plain.messages, "usher.yaml:1:26: warning: \"http2\" has no effect without `tls: true`"));
	test_unload(&plain);
	struct test_loaded loaded =
		test_load("listen: \":80\"\nanswer: x\ntls: {certificate: a.pem}\n", &stub_registry);
	assert_non_null(loaded.snapshot);
	assert_null(loaded.snapshot->tls);
	assert_non_null(strstr(loaded.messages, "usher.yaml:1:1: warning: sites have TLS, but no listener speaks it"));
	test_unload(&loaded);
}

// --- Misdirected requests

static int respond(struct transaction *transaction)
{
	transaction->response_started = true;
	return 0;
}

// Whether the request was answered 421; else no handler answered it, which is 500.
static bool is_misdirected(const struct snapshot *snapshot, const char *host, const struct tls_site *handshake)
{
	static const struct transaction_operations operations = {.respond = respond};
	struct tls_peer peer = {.site = handshake ? handshake->key : 0};
	struct test_request request = {.host = host, .tls = handshake ? &peer : NULL};
	struct exchange exchange;
	test_exchange_begin(&exchange, snapshot, &request);
	exchange.transaction.operations = &operations;
	trace_begin(&exchange.trace, loop_now());
	exchange_serve(&exchange);
	unsigned status = exchange_response(&exchange)->status;
	assert_true(status == 421 || status == 500);
	test_exchange_end(&exchange);
	return status == 421;
}

static void test_misdirected(void **state)
{
	struct snapshot *snapshot = test_load_good(two_sites, &stub_registry);
	const struct tls_site *a = handshake_for(snapshot, "a.example");
	assert_false(is_misdirected(snapshot, "a.example", a));
	assert_true(is_misdirected(snapshot, "b.example", a));
	assert_true(is_misdirected(snapshot, "plain.example", a));
	assert_true(is_misdirected(snapshot, "unknown.example", a));
	assert_false(is_misdirected(snapshot, "a.example", NULL));
	assert_false(is_misdirected(snapshot, "plain.example", NULL));
	// A connection may live longer than the configuration that it began with.
	struct snapshot *later = test_load_good(two_sites, &stub_registry);
	assert_false(is_misdirected(later, "a.example", a));
	assert_true(is_misdirected(later, "b.example", a));
	snapshot_unref(later);
	snapshot_unref(snapshot);
}

// A connection may be used for several sites where all of them are served alike (RFC 9113
// section 9.1.1), and never to get around the certificate that one of them asks for.
static void test_coalesced(void **state)
{
	struct snapshot *snapshot = test_load_good(
		"tls: {certificate: star.pem}\n"
		"answer: x\n"
		"sites:\n"
		"  - {host: a.example}\n"
		"  - {host: b.example}\n"
		"  - {host: x.c.example, tls: {client_certificate: {ca: clients.pem}}}\n"
		"  - {host: y.c.example, tls: {client_certificate: {mode: optional, ca: clients.pem}}}\n",
		&stub_registry);
	const struct tls_site *a = handshake_for(snapshot, "a.example");
	const struct tls_site *required = handshake_for(snapshot, "x.c.example");
	const struct tls_site *optional = handshake_for(snapshot, "y.c.example");
	assert_true(required->requires_certificate);
	assert_false(optional->requires_certificate);
	assert_false(is_misdirected(snapshot, "b.example", a));
	assert_true(is_misdirected(snapshot, "x.c.example", a));
	assert_true(is_misdirected(snapshot, "x.c.example", optional));
	assert_true(is_misdirected(snapshot, "y.c.example", a));
	assert_false(is_misdirected(snapshot, "x.c.example", required));
	assert_true(is_misdirected(snapshot, "a.example", required));
	snapshot_unref(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sites),
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_settings_at_the_top),
		cmocka_unit_test(test_listens),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_warning),
		cmocka_unit_test(test_misdirected),
		cmocka_unit_test(test_coalesced),
	};
	return cmocka_run_group_tests(tests, test_certificates_begin, test_certificates_end);
}
