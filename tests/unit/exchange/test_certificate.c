// What a client's certificate tells rules, variables and fields; and what a client cannot say.
#include "exchange/certificate.h"
#include "exchange/variables.h"
#include "stubs.h"

#define FINGERPRINT "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89"

static struct tls_certificate certificate_of(bool is_verified, const char *fingerprint)
{
	return (struct tls_certificate){
		.is_verified = is_verified,
		.verification = is_verified ? SLICE("SUCCESS") : SLICE("FAILED:self-signed certificate"),
		.subject = SLICE("CN=ann,O=Example"),
		.issuer = SLICE("CN=Example CA"),
		.names = SLICE("email:ann@example.com, DNS:ann.example"),
		.serial = SLICE("01f3"),
		.fingerprint = slice_from_string(fingerprint),
		.der = SLICE("\x30"),
	};
}

static const char config[] =
	"routes:\n"
	"  - {path: /subject, match: {client_certificate: {subject: \"CN=ann,O=Example\"}}, answer: well}\n"
	"  - {path: /regex, match: {client_certificate: {subject: \"~ ^CN=a\", issuer: \"~ CA$\"}}, answer: well}\n"
	"  - {path: /other, match: {client_certificate: {subject: \"CN=bob\"}}, answer: well}\n"
	"  - {path: /issuer, match: {client_certificate: {subject: \"*\", issuer: \"CN=Else\"}}, answer: well}\n"
	"  - {path: /name, match: {client_certificate: {names: \"DNS:ann.example\"}}, answer: well}\n"
	"  - {path: /part, match: {client_certificate: {names: \"ann.example\"}}, answer: well}\n"
	"  - {path: /any, match: {client_certificate: {}}, answer: well}\n"
	"  - {path: /none, match: {client_certificate: {verified: false}}, answer: well}\n"
	"  - {path: /pin, match: {client_certificate: {fingerprint: [\"" OTHER "\", " FINGERPRINT "]}}, answer: well}\n"
	"  - {path: /both, match: {client_certificate: {verified: true, fingerprint: " FINGERPRINT "}}, answer: well}\n"
	"  - answer: rest\n";

static const struct {
	const char *path;
	bool verified, unverified, without, plain; // whether the route takes the request
} rows[] = {
	{"/subject", true},   {"/regex", true}, {"/other"},	{"/issuer"},
	{"/name", true},      {"/part"},	{"/any", true}, {"/none", false, true, true, true},
	{"/pin", true, true}, {"/both", true},
};

static void expect_route(const struct snapshot *snapshot, const char *path, const struct tls_peer *tls, bool taken)
{
	struct exchange exchange;
	const struct route *route =
		test_exchange_route(&exchange, snapshot, &(struct test_request){.target = path, .tls = tls});
	assert_non_null(route);
	if (slice_equal(stub_name(route), SLICE("well")) != taken)
		fail_msg("%s: %.*s", path, SLICE_ARGUMENTS(stub_name(route)));
	test_exchange_end(&exchange);
}

static void test_match(void **state)
{
	struct snapshot *snapshot = test_load_good(config, &stub_registry);
	struct tls_certificate verified = certificate_of(true, FINGERPRINT);
	struct tls_certificate unverified = certificate_of(false, FINGERPRINT);
	for (size_t i = 0; i < COUNT(rows); i++) {
		expect_route(snapshot, rows[i].path, &(struct tls_peer){.certificate = &verified}, rows[i].verified);
		expect_route(snapshot, rows[i].path, &(struct tls_peer){.certificate = &unverified},
			     rows[i].unverified);
		expect_route(snapshot, rows[i].path, &(struct tls_peer){0}, rows[i].without);
		expect_route(snapshot, rows[i].path, NULL, rows[i].plain);
	}
	struct tls_certificate other = certificate_of(true, "abcdef0123456789abcdef0123456789abcdef0123456789"
							    "abcdef0123456789");
	expect_route(snapshot, "/pin", &(struct tls_peer){.certificate = &other}, true);
	expect_route(snapshot, "/both", &(struct tls_peer){.certificate = &other}, false);
	snapshot_unref(snapshot);
}

static void test_match_errors(void **state)
{
	static const char *const wrong[][2] = {
		{"{fingerprint: abc}", "\"abc\" is no fingerprint"},
		{"{fingerprint: [" FINGERPRINT ", " FINGERPRINT "a]}", "is no fingerprint"},
		{"{fingerprint: \"a:a" FINGERPRINT "\"}", "is no fingerprint"},
		{"{subject: \"~ (\"}", "the regular expression"},
		{"{subject: x, verified: false}", "nothing can match"},
		{"{subjct: x}", "did you mean \"subject\"?"},
	};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char text[256];
		snprintf(text, sizeof text, "answer: x\nroutes: [{match: {client_certificate: %s}}]\n", wrong[i][0]);
		assert_refused(text, wrong[i][1], &stub_registry);
	}
}

// --- Variables

static void expect_values(const struct tls_peer *tls, const char *const expected[10])
{
	struct snapshot *snapshot = test_load_good("answer: x\n", &stub_registry);
	struct exchange exchange;
	struct slice values[VARIABLE_COUNT];
	test_exchange_begin(&exchange, snapshot, &(struct test_request){.tls = tls});
	variables_fill(&exchange, &(struct template){0}, NULL, values);
	for (size_t i = 0; i < 10; i++)
		assert_slice(values[VARIABLE_TLS_VERSION + i], expected[i]);
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

static void test_variables(void **state)
{
	struct tls_certificate verified = certificate_of(true, FINGERPRINT);
	struct tls_certificate unverified = certificate_of(false, FINGERPRINT);
	struct tls_peer peer = {
		.version = "TLSv1.3",
		.cipher = "TLS_AES_128_GCM_SHA256",
		.server_name = SLICE("a.example"),
		.certificate = &verified,
		.resumed = true,
	};
	expect_values(&peer,
		      (const char *const[]){"TLSv1.3", "TLS_AES_128_GCM_SHA256", "a.example", "true",
					    "CN=ann,O=Example", "CN=Example CA",
					    "email:ann@example.com, DNS:ann.example", "01f3", FINGERPRINT, "SUCCESS"});
	// Whom a certificate names is hearsay until it is verified.
	peer.certificate = &unverified;
	peer.resumed = false;
	expect_values(&peer, (const char *const[]){"TLSv1.3", "TLS_AES_128_GCM_SHA256", "a.example", "false", "", "",
						   "", "", FINGERPRINT, "FAILED:self-signed certificate"});
	peer.certificate = NULL;
	expect_values(&peer, (const char *const[]){"TLSv1.3", "TLS_AES_128_GCM_SHA256", "a.example", "false", "", "",
						   "", "", "", "NONE"});
	expect_values(NULL, (const char *const[]){"", "", "", "", "", "", "", "", "", ""});
}

// --- What clients say

static void test_removed(void **state)
{
	static const char *const names[] = {
		"X-Client-Certificate-Subject",
		"x-client-certificate-verification",
		"X_Client_Certificate_Subject",
		"X-Client-Certificate_Issuer",
		"X-Client-Certificate-Anything",
		"X-Client-Certificate-",
		"Client-Cert",
		"client_cert",
		"CLIENT-CERT-CHAIN",
	};
	static const char *const kept[] = {"X-Client-Certificat",
					   "Client-Certs",
					   "X-Client",
					   "Client",
					   "Host",
					   "X-Not-Client-Certificate-Subject"};
	struct arena arena;
	struct fields fields = {0};
	arena_init(&arena, 100000);
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_true(fields_add_name(&fields, &arena, slice_from_string(names[i]), SLICE("x")));
		if (i < COUNT(kept))
			assert_true(fields_add_name(&fields, &arena, slice_from_string(kept[i]), SLICE("x")));
	}
	certificate_remove_fields(&fields);
	assert_int_equal(fields.count, COUNT(kept));
	for (size_t i = 0; i < COUNT(kept); i++)
		assert_slice(fields.items[i].name, kept[i]);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_match_errors),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_removed),
	};
	return cmocka_run_group_tests(tests, test_loop_begin, test_loop_end);
}
