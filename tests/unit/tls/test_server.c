// Handshakes: which site and certificate a client gets, by which rules, and what a session of
// one site is worth at another.
#include "server_support.h"

#include <openssl/tls1.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

static struct pki root, intermediate;

static void serve_file(const char *path, const char *names, const char *key)
{
	struct pki leaf = pki_issue(&intermediate, &(struct pki_wishes){.subject = "leaf", .names = names, .key = key});
	pki_file_both(path, &leaf, &intermediate, NULL);
}

static int set_up(void **state)
{
	root = pki_root("Root");
	intermediate = pki_intermediate(&root, "Intermediate");
	serve_file("a.pem", "DNS:a.example", "ecdsa");
	serve_file("a-rsa.pem", "DNS:a.example", "rsa2048");
	serve_file("b.pem", "DNS:b.example,DNS:*.b.example", "ecdsa");
	serve_file("c.pem", "DNS:c.example", "ecdsa");
	pki_file_certificates("ca.pem", &root, NULL);
	return 0;
}

static int tear_down(void **state)
{
	pki_free_all();
	return 0;
}

// The host that a certificate is for is told by its first name.
static void expect_certificate(const struct test_handshake *handshake, const char *host)
{
	assert_non_null(handshake->certificate);
	assert_int_equal(X509_check_host(handshake->certificate, host, strlen(host), 0, NULL), 1);
}

static const char two_sites[] = "sites: [{host: a.example, tls: {certificate: [a.pem, a-rsa.pem]}},\n"
				"  {host: [b.example, \"*.b.example\"], tls: {certificate: b.pem}}]";
static const char two_sites_and_standard[] = "sites: [{host: a.example, tls: {certificate: a.pem}},\n"
					     "  {tls: {certificate: c.pem}}]";

// --- Which site

static void gives_each_host_its_certificate(void **state)
{
	struct test_server server = test_server_good(two_sites);
	static const struct {
		const char *name;
		unsigned site;
	} rows[] = {{"a.example", 0}, {"b.example", 1}, {"x.b.example", 1}, {"A.Example", 0}, {"a.example.", 0}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct test_handshake handshake = test_handshake(&server, &(struct test_client){.name = rows[i].name});
		assert_true(handshake.done);
		assert_ptr_equal(handshake.site, server.sites[rows[i].site]);
		expect_certificate(&handshake, rows[i].site == 0 ? "a.example" : "x.b.example");
		test_handshake_free(&handshake);
	}
	test_server_free(&server);
}

static void refuses_names_that_no_site_has(void **state)
{
	struct test_server server = test_server_good(two_sites);
	static const char *const names[] = {"other.example", NULL, "example"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
			struct test_handshake handshake =
				test_handshake(&server, &(struct test_client){.name = names[i], .version = version});
			assert_false(handshake.done);
			assert_int_equal(handshake.alert, SSL_AD_UNRECOGNIZED_NAME);
			assert_null(handshake.site);
			assert_string_equal(handshake.reason, "no site has the server name that was asked for");
			test_handshake_free(&handshake);
		}
	}
	test_server_free(&server);
}

static void refuses_names_that_are_none(void **state)
{
	struct test_server server = test_server_good(two_sites_and_standard);
	static const char *const names[] = {"a..example", ".example", "a example", "a/b"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct test_handshake handshake = test_handshake(&server, &(struct test_client){.name = names[i]});
		assert_false(handshake.done);
		assert_int_equal(handshake.alert, SSL_AD_DECODE_ERROR);
		test_handshake_free(&handshake);
	}
	test_server_free(&server);
}

static void gives_strangers_the_standard_site(void **state)
{
	struct test_server server = test_server_good(two_sites_and_standard);
	static const char *const names[] = {"other.example", NULL};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct test_handshake handshake = test_handshake(&server, &(struct test_client){.name = names[i]});
		assert_true(handshake.done);
		assert_ptr_equal(handshake.site, server.sites[1]);
		expect_certificate(&handshake, "c.example");
		test_handshake_free(&handshake);
	}
	test_server_free(&server);
}

// --- Which certificate

static void gives_clients_the_kind_they_can_verify(void **state)
{
	struct test_server server = test_server_good(two_sites);
	static const struct {
		struct test_client client;
		int kind;
	} rows[] = {
		{{.name = "a.example"}, EVP_PKEY_EC},
		{{.name = "a.example", .signatures = "RSA-PSS+SHA256"}, EVP_PKEY_RSA},
		{{.name = "a.example", .version = TLS1_2_VERSION, .suites = "ECDHE-RSA-AES128-GCM-SHA256"},
		 EVP_PKEY_RSA},
		{{.name = "a.example", .version = TLS1_2_VERSION, .suites = "ECDHE-ECDSA-AES128-GCM-SHA256"},
		 EVP_PKEY_EC},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct test_handshake handshake = test_handshake(&server, &rows[i].client);
		assert_true(handshake.done);
		assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(handshake.certificate)), rows[i].kind);
		test_handshake_free(&handshake);
	}
	test_server_free(&server);
}

static void serves_a_folder(void **state)
{
	struct pki one = pki_issue(&root, &(struct pki_wishes){.subject = "one", .names = "DNS:one.example"});
	struct pki two = pki_issue(&root, &(struct pki_wishes){.subject = "two", .names = "DNS:two.example"});
	struct pki wild = pki_issue(&root, &(struct pki_wishes){.subject = "wild", .names = "DNS:*.two.example"});
	struct pki rsa = pki_issue(
		&root, &(struct pki_wishes){.subject = "rsa", .names = "DNS:x.two.example", .key = "rsa2048"});
	pki_file_both("certs/one.pem", &one, NULL);
	pki_file_certificates("certs/two.crt", &two, NULL);
	pki_file_key("certs/two.key", &two);
	pki_file_certificates("certs/wild.example/fullchain.pem", &wild, NULL);
	pki_file_key("certs/wild.example/privkey.pem", &wild);
	pki_file_both("certs/z.pem", &rsa, NULL);
	struct test_server server = test_server_good("tls: {folder: certs}\nsites: [{}]");
	static const struct {
		const char *name, *signatures, *host;
	} rows[] = {
		{"one.example", NULL, "one.example"},
		{"two.example", NULL, "two.example"},
		{"y.two.example", NULL, "y.two.example"},
		{"x.two.example", "ECDSA+SHA256", "y.two.example"}, // by the wildcard, as it can verify no other
		{"x.two.example", "RSA-PSS+SHA256:ECDSA+SHA384", "x.two.example"},
		{"strange.example", NULL, "one.example"},
		{NULL, NULL, "one.example"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct test_handshake handshake = test_handshake(
			&server, &(struct test_client){.name = rows[i].name, .signatures = rows[i].signatures});
		assert_true(handshake.done);
		expect_certificate(&handshake, rows[i].host);
		test_handshake_free(&handshake);
	}
	test_server_free(&server);
}

static void shows_the_one_that_is_valid_for_longer(void **state)
{
	static const struct {
		const char *path;
		struct pki_wishes wishes;
	} rows[] = {
		{"times/a.pem", {.names = "DNS:t.example", .to_seconds = 30 * 86400}},
		{"times/b.pem", {.names = "DNS:t.example", .subject = "best", .to_seconds = 60 * 86400}},
		{"times/c.pem", {.names = "DNS:t.example", .to_seconds = 40 * 86400}},
		{"times/d.pem", {.names = "DNS:t.example", .from_seconds = 86400, .to_seconds = 90 * 86400}},
	};
	char subject[100];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pki one = pki_issue(&root, &rows[i].wishes);
		pki_file_both(rows[i].path, &one, NULL);
	}
	struct test_server server = test_server_load("sites: [{tls: {folder: times}}]");
	assert_true(server.good);
	static const char *const names[] = {"t.example", NULL};
	for (size_t i = 0; i < 2; i++) {
		struct test_handshake handshake = test_handshake(&server, &(struct test_client){.name = names[i]});
		assert_true(handshake.done);
		X509_NAME_oneline(X509_get_subject_name(handshake.certificate), subject, sizeof(subject));
		assert_string_equal(subject, "/CN=best");
		test_handshake_free(&handshake);
	}
	test_server_free(&server);
}

// --- Versions, suites, groups

static void speaks_as_the_policy_says(void **state)
{
	static const struct {
		const char *policy;
		int version;
		const char *suites;
		bool good;
		const char *cipher; // that is chosen
	} rows[] = {
		{"intermediate", 0, NULL, true, "TLS_AES_128_GCM_SHA256"},
		{"intermediate", TLS1_2_VERSION, NULL, true, "ECDHE-ECDSA-AES128-GCM-SHA256"},
		{"intermediate", TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256", true,
		 "ECDHE-ECDSA-CHACHA20-POLY1305"},
		{"intermediate", TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256", true,
		 "ECDHE-ECDSA-AES128-GCM-SHA256"},
		{"intermediate", TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256", false, NULL},
		{"intermediate", TLS1_1_VERSION, NULL, false, NULL},
		{"modern", 0, NULL, true, "TLS_AES_128_GCM_SHA256"},
		{"modern", TLS1_2_VERSION, NULL, false, NULL},
		{"old", TLS1_VERSION, NULL, true, "ECDHE-ECDSA-AES128-SHA"},
		{"old", TLS1_1_VERSION, NULL, true, "ECDHE-ECDSA-AES128-SHA"},
		{"old", TLS1_3_VERSION, NULL, true, "TLS_AES_128_GCM_SHA256"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		// As the second site, whose handshakes begin with a context of another policy.
		char text[300];
		(void)snprintf(text, sizeof(text),
			       "tls_policy: modern\nsites: [{tls: {certificate: c.pem}},\n"
			       "  {host: a.example, tls: {certificate: a.pem, policy: %s}}]",
			       rows[i].policy);
		struct test_server server = test_server_good(text);
		struct test_handshake handshake = test_handshake(
			&server, &(struct test_client){
					 .name = "a.example", .version = rows[i].version, .suites = rows[i].suites});
		assert_int_equal(handshake.done, rows[i].good);
		if (rows[i].good)
			assert_string_equal(handshake.cipher, rows[i].cipher);
		test_handshake_free(&handshake);
		test_server_free(&server);
	}
}

static void takes_the_policy_of_the_top(void **state)
{
	struct test_server server = test_server_good("tls_policy: modern\nsites: [{tls: {certificate: a.pem}}]");
	struct test_handshake handshake = test_handshake(&server, &(struct test_client){.version = TLS1_2_VERSION});
	assert_false(handshake.done);
	assert_int_equal(handshake.alert, SSL_AD_PROTOCOL_VERSION);
	test_handshake_free(&handshake);
	test_server_free(&server);
	server = test_server_good("tls: {policy: modern}\nsites: [{tls: {certificate: a.pem, policy: intermediate}}]");
	handshake = test_handshake(&server, &(struct test_client){.version = TLS1_2_VERSION});
	assert_true(handshake.done);
	test_handshake_free(&handshake);
	test_server_free(&server);
}

static void prefers_x25519_to_p256(void **state)
{
	struct test_server server = test_server_good(two_sites_and_standard);
	struct test_handshake handshake = test_handshake(
		&server, &(struct test_client){.version = TLS1_2_VERSION, .groups = "P-384:P-256:X25519"});
	assert_string_equal(handshake.group, "X25519");
	test_handshake_free(&handshake);
	handshake = test_handshake(&server, &(struct test_client){.groups = "P-521"});
	assert_false(handshake.done);
	test_handshake_free(&handshake);
	test_server_free(&server);
}

// --- Protocols

static void agrees_on_a_protocol(void **state)
{
	struct test_server server = test_server_good(two_sites_and_standard);
	static const struct {
		bool http2;
		struct slice offered;
		const char *chosen; // NULL: refused
	} rows[] = {
		{true, {"\x08http/1.1\x02h2", 12}, "h2"},
		{true, {"\x08http/1.1", 9}, "http/1.1"},
		{true, {NULL, 0}, ""},
		{true, {"\x02h3", 3}, NULL},
		{false, {"\x08http/1.1\x02h2", 12}, "http/1.1"},
		{false, {"\x02h2", 3}, NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		server.server.http2 = rows[i].http2;
		struct test_handshake handshake =
			test_handshake(&server, &(struct test_client){.protocols = rows[i].offered});
		assert_int_equal(handshake.done, rows[i].chosen != NULL);
		if (rows[i].chosen)
			assert_string_equal(handshake.protocol, rows[i].chosen);
		else
			assert_int_equal(handshake.alert, SSL_AD_NO_APPLICATION_PROTOCOL);
		test_handshake_free(&handshake);
	}
	test_server_free(&server);
}

// --- Sessions

static const int both_versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

// Whether a session made with `first` is resumed with `second`, possibly at another server.
static bool resumes(const struct test_server *one, const struct test_client *first, const struct test_server *other,
		    const struct test_client *second)
{
	struct test_handshake before = test_handshake(one, first);
	assert_true(before.done);
	assert_non_null(before.session);
	struct test_client client = *second;
	client.session = before.session;
	struct test_handshake after = test_handshake(other, &client);
	bool resumed = after.done && after.resumed;
	if (resumed) {
		assert_int_equal(after.showed_certificate, before.showed_certificate);
		assert_int_equal(after.verify_result, before.verify_result);
	}
	test_handshake_free(&before);
	test_handshake_free(&after);
	return resumed;
}

static void resumes_across_a_reload(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct test_client client = {.name = "a.example", .version = both_versions[i]};
		struct test_server one = test_server_good(two_sites), other = test_server_good(two_sites);
		assert_true(resumes(&one, &client, &one, &client));
		assert_true(resumes(&one, &client, &other, &client));
		test_server_free(&one);
		test_server_free(&other);
	}
}

static void resumes_at_no_other_site(void **state)
{
	struct test_server server = test_server_good(two_sites);
	for (size_t i = 0; i < 2; i++) {
		struct test_client a = {.name = "a.example", .version = both_versions[i]};
		struct test_client b = {.name = "b.example", .version = both_versions[i]};
		assert_false(resumes(&server, &a, &server, &b));
		assert_false(resumes(&server, &b, &server, &a));
	}
	test_server_free(&server);
}

static void makes_no_sessions_without_tickets(void **state)
{
	struct test_server server = test_server_good("sites: [{tls: {certificate: c.pem}},\n"
						     "  {host: a.example, tls: {certificate: a.pem, tickets: off}}]");
	for (size_t i = 0; i < 2; i++) {
		struct test_handshake handshake = test_handshake(
			&server, &(struct test_client){.name = "a.example", .version = both_versions[i]});
		assert_true(handshake.done);
		assert_null(handshake.session);
		test_handshake_free(&handshake);
	}
	test_server_free(&server);
}

// --- Clients' certificates

static const char inner[] =
	"sites: [{host: a.example, tls: {certificate: a.pem, "
	"client_certificate: {mode: required, ca: ca.pem, depth: 1}}},\n"
	"  {host: b.example, tls: {certificate: b.pem, client_certificate: {mode: optional, ca: ca.pem}}},\n"
	"  {tls: {certificate: c.pem}}]";

static void asks_for_certificates_where_told(void **state)
{
	struct test_server server = test_server_good(inner);
	struct pki good = pki_issue(&root, &(struct pki_wishes){.subject = "client", .purpose = "clientAuth"});
	struct pki strange = pki_root("Stranger");
	struct pki late = pki_issue(&root, &(struct pki_wishes){.subject = "late", .to_seconds = -10});
	struct pki server_only = pki_issue(&root, &(struct pki_wishes){.subject = "s", .purpose = "serverAuth"});
	const struct {
		const char *name;
		const struct pki *certificate;
		bool done;
		int alert;
		bool shown;
		long result;
	} rows[] = {
		{"a.example", &good, true, 0, true, X509_V_OK},
		{"a.example", NULL, false, SSL_AD_CERTIFICATE_REQUIRED, false, 0},
		{"a.example", &strange, false, SSL_AD_UNKNOWN_CA, false, 0},
		{"a.example", &late, false, SSL_AD_CERTIFICATE_EXPIRED, false, 0},
		{"a.example", &server_only, false, SSL_AD_UNSUPPORTED_CERTIFICATE, false, 0},
		{"b.example", &good, true, 0, true, X509_V_OK},
		{"b.example", NULL, true, 0, false, X509_V_OK},
		{"b.example", &strange, true, 0, true, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT},
		{"b.example", &late, true, 0, true, X509_V_ERR_CERT_HAS_EXPIRED},
		{"c.example", &good, true, 0, false, X509_V_OK},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t j = 0; j < 2; j++) {
			struct test_handshake handshake =
				test_handshake(&server, &(struct test_client){.name = rows[i].name,
									      .version = both_versions[j],
									      .certificate = rows[i].certificate});
			// TLS 1.2 has no alert of its own for one that is missing.
			bool older = both_versions[j] == TLS1_2_VERSION;
			int alert = rows[i].alert == SSL_AD_CERTIFICATE_REQUIRED && older ? SSL_AD_HANDSHAKE_FAILURE
											  : rows[i].alert;
			assert_int_equal(handshake.done, rows[i].done);
			assert_int_equal(handshake.alert, alert);
			assert_int_equal(handshake.showed_certificate, rows[i].shown);
			if (rows[i].done)
				assert_int_equal(handshake.verify_result, rows[i].result);
			test_handshake_free(&handshake);
		}
	}
	test_server_free(&server);
}

static void bounds_the_depth(void **state)
{
	struct test_server server = test_server_good(inner);
	struct pki middle = pki_intermediate(&root, "Middle"), low = pki_intermediate(&middle, "Low");
	struct pki one_below = pki_issue(&middle, &(struct pki_wishes){.subject = "one"});
	struct pki two_below = pki_issue(&low, &(struct pki_wishes){.subject = "two"});
	pki_file_certificates("ca.pem", &root, &middle, &low, NULL);
	struct test_server knowing = test_server_good(inner);
	for (size_t i = 0; i < 2; i++) {
		struct test_client client = {
			.name = "a.example", .version = both_versions[i], .certificate = &one_below};
		struct test_handshake handshake = test_handshake(&knowing, &client);
		assert_true(handshake.done);
		test_handshake_free(&handshake);
		client.certificate = &two_below;
		handshake = test_handshake(&knowing, &client);
		assert_false(handshake.done);
		test_handshake_free(&handshake);
	}
	test_server_free(&knowing);
	test_server_free(&server);
	pki_file_certificates("ca.pem", &root, NULL);
}

static const char with_list[] = "sites: [{tls: {certificate: a.pem, client_certificate: {ca: ca.pem, crl: crl.pem}}}]";

static void refuses_those_that_are_revoked(void **state)
{
	struct pki good = pki_issue(&root, &(struct pki_wishes){.subject = "good"});
	struct pki bad = pki_issue(&root, &(struct pki_wishes){.subject = "bad"});
	pki_file_list("crl.pem", pki_revoke(&root, bad.certificate, 1000));
	struct test_server server = test_server_good(with_list);
	for (size_t i = 0; i < 2; i++) {
		struct test_client client = {.version = both_versions[i], .certificate = &good};
		struct test_handshake handshake = test_handshake(&server, &client);
		assert_true(handshake.done);
		test_handshake_free(&handshake);
		client.certificate = &bad;
		handshake = test_handshake(&server, &client);
		assert_false(handshake.done);
		assert_int_equal(handshake.alert, SSL_AD_CERTIFICATE_REVOKED);
		test_handshake_free(&handshake);
	}
	test_server_free(&server);
}

// A session stands for a certificate that was verified: no other site takes it, nor the same
// one when its authorities or their lists have changed.
static void resumes_with_certificates_only_where_they_count(void **state)
{
	struct pki good = pki_issue(&root, &(struct pki_wishes){.subject = "client"});
	struct test_server server = test_server_good(inner);
	pki_file_list("crl.pem", pki_revoke(&root, NULL, 1000));
	struct test_server before = test_server_good(with_list), same = test_server_good(with_list);
	pki_file_list("crl.pem", pki_revoke(&root, good.certificate, 1000));
	struct test_server after = test_server_good(with_list);
	for (size_t i = 0; i < 2; i++) {
		struct test_client a = {.name = "a.example", .version = both_versions[i], .certificate = &good};
		struct test_client b = a, c = a, bare = {.name = "a.example", .version = both_versions[i]};
		b.name = "b.example";
		c.name = "c.example";
		assert_true(resumes(&server, &a, &server, &a));
		assert_true(resumes(&server, &a, &server, &bare)); // the session says who it is
		assert_false(resumes(&server, &c, &server, &a));
		assert_false(resumes(&server, &b, &server, &a));
		assert_false(resumes(&server, &c, &server, &bare));
		assert_true(resumes(&before, &a, &same, &a));
		assert_false(resumes(&before, &a, &after, &a));
	}
	test_server_free(&server);
	test_server_free(&before);
	test_server_free(&same);
	test_server_free(&after);
}

// What was verified then does not hold for longer than the certificate.
static void ends_sessions_with_the_certificate(void **state)
{
	struct test_server server = test_server_good(inner);
	struct pki good = pki_issue(&root, &(struct pki_wishes){.subject = "good"});
	struct pki late = pki_issue(&root, &(struct pki_wishes){.subject = "late", .to_seconds = -10});
	for (size_t i = 0; i < 2; i++) {
		struct test_client client = {.name = "b.example", .version = both_versions[i], .certificate = &good};
		assert_true(resumes(&server, &client, &server, &client));
		client.certificate = &late;
		assert_false(resumes(&server, &client, &server, &client));
	}
	test_server_free(&server);
}

// --- Keys of sites

static uint64_t key_of(const char *text)
{
	struct test_server server = test_server_good(text);
	uint64_t key = server.sites[0]->key;
	test_server_free(&server);
	return key;
}

static void tells_sites_apart_by_their_settings(void **state)
{
	static const char *const texts[] = {
		"sites: [{tls: {certificate: a.pem}}]",
		"sites: [{tls: {certificate: b.pem}}]",
		"sites: [{tls: {certificate: [a.pem, a-rsa.pem]}}]",
		"sites: [{tls: {certificate: a.pem, policy: modern}}]",
		"sites: [{tls: {certificate: a.pem, client_certificate: {mode: optional, ca: ca.pem}}}]",
		"sites: [{tls: {certificate: a.pem, client_certificate: {mode: required, ca: ca.pem}}}]",
		"sites: [{tls: {certificate: a.pem, client_certificate: {mode: required, ca: ca.pem, depth: 1}}}]",
	};
	enum { COUNT = sizeof(texts) / sizeof(texts[0]) };
	uint64_t keys[COUNT];
	for (size_t i = 0; i < COUNT; i++) {
		keys[i] = key_of(texts[i]);
		assert_int_equal(key_of(texts[i]), keys[i]);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(keys[j], keys[i]);
	}
	// The same word in another folder is another file.
	pki_file("sub/site.yaml", SLICE("{tls: {certificate: a.pem}}"));
	serve_file("sub/a.pem", "DNS:a.example", "ecdsa");
	uint64_t elsewhere = key_of("sites: [{include: sub/site.yaml}]");
	for (size_t i = 0; i < COUNT; i++)
		assert_int_not_equal(keys[i], elsewhere);
	// A certificate that is renewed serves the same site.
	serve_file("a.pem", "DNS:a.example", "ecdsa");
	assert_int_equal(key_of(texts[0]), keys[0]);
}

static void shares_what_the_top_says(void **state)
{
	struct test_server server = test_server_good(
		"tls: {certificate: b.pem, redirect: false}\n"
		"sites: [{host: b.example}, {host: x.b.example}, {host: a.example, tls: {certificate: a.pem}},\n"
		"  {host: y.b.example, tls: {redirect: true}}]");
	assert_int_equal(server.count, 4);
	assert_ptr_equal(server.sites[0], server.sites[1]);
	assert_ptr_not_equal(server.sites[0], server.sites[2]);
	assert_false(server.sites[0]->redirects);
	assert_false(server.sites[2]->redirects);
	assert_true(server.sites[3]->redirects);
	test_server_free(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_each_host_its_certificate),
		cmocka_unit_test(refuses_names_that_no_site_has),
		cmocka_unit_test(refuses_names_that_are_none),
		cmocka_unit_test(gives_strangers_the_standard_site),
		cmocka_unit_test(gives_clients_the_kind_they_can_verify),
		cmocka_unit_test(serves_a_folder),
		cmocka_unit_test(shows_the_one_that_is_valid_for_longer),
		cmocka_unit_test(speaks_as_the_policy_says),
		cmocka_unit_test(takes_the_policy_of_the_top),
		cmocka_unit_test(prefers_x25519_to_p256),
		cmocka_unit_test(agrees_on_a_protocol),
		cmocka_unit_test(resumes_across_a_reload),
		cmocka_unit_test(resumes_at_no_other_site),
		cmocka_unit_test(makes_no_sessions_without_tickets),
		cmocka_unit_test(asks_for_certificates_where_told),
		cmocka_unit_test(bounds_the_depth),
		cmocka_unit_test(refuses_those_that_are_revoked),
		cmocka_unit_test(resumes_with_certificates_only_where_they_count),
		cmocka_unit_test(ends_sessions_with_the_certificate),
		cmocka_unit_test(tells_sites_apart_by_their_settings),
		cmocka_unit_test(shares_what_the_top_says),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
