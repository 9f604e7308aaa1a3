// What servers are told of the client's certificate.
#include "../exchange/certificates.h"
#include "support.h"

#define X "X-Client-Certificate-"

static const char *const names[] = {X "Verification", X "Subject",     X "Issuer",   X "Names",
				    X "Serial",	      X "Fingerprint", "Client-Cert"};

static struct tls_certificate certificate = {
	.subject = {"CN=ann", 6},
	.issuer = {"CN=Test", 7},
	.names = {"DNS:ann.example", 15},
	.serial = {"0A", 2},
	.fingerprint = {"00ff", 4},
	.der = {"\x30\x03\x02\x01\xff", 5},
};

// The fields in the order of `names`; NULL: absent.
static void expect(const char *client_certificate, const struct tls_peer *peer, const char *const expected[7])
{
	char text[512];
	struct exchange exchange;
	snprintf(text, sizeof text,
		 "server: true\n"
		 "headers: {request: {set: {X-Later: \"$client_certificate_subject\"}}}\n"
		 "tls: {certificate: a.pem, redirect: false%s}\n",
		 client_certificate);
	struct snapshot *snapshot = test_load_good(text, &test_registry);
	test_serve(&exchange, snapshot, &(struct test_request){.tls = peer});
	assert_int_equal(test_server.calls, 1);
	for (size_t i = 0; i < COUNT(names); i++) {
		const struct field *field = fields_find_name(&test_server.fields, slice_from_string(names[i]));
		if (!expected[i] && field)
			fail_msg("%s: %.*s", names[i], SLICE_ARGUMENTS(field->value));
		if (expected[i])
			assert_non_null(field);
		if (expected[i])
			assert_slice(field->value, expected[i]);
	}
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

static void test_fields(void **state)
{
	struct tls_peer peer = {.version = "TLSv1.3", .cipher = "x", .certificate = &certificate};
	certificate.is_verified = true;
	certificate.verification = SLICE("SUCCESS");
	expect(", client_certificate: {ca: clients.pem}", &peer,
	       (const char *const[7]){"SUCCESS", "CN=ann", "CN=Test", "DNS:ann.example", "0A", "00ff", NULL});
	expect(", client_certificate: {ca: clients.pem, fields: standard}", &peer,
	       (const char *const[7]){NULL, NULL, NULL, NULL, NULL, NULL, ":MAMCAf8=:"});
	expect(", client_certificate: {mode: optional, ca: clients.pem, fields: both}", &peer,
	       (const char *const[7]){"SUCCESS", "CN=ann", "CN=Test", "DNS:ann.example", "0A", "00ff", ":MAMCAf8=:"});
	expect(", client_certificate: {ca: clients.pem, fields: off}", &peer, (const char *const[7]){NULL});
	// Where nobody is asked, nothing is told.
	expect("", &peer, (const char *const[7]){NULL});
	expect(", client_certificate: off", &peer, (const char *const[7]){NULL});
}

// Whom a certificate names counts for nothing until it is verified.
static void test_unverified(void **state)
{
	static const char optional[] = ", client_certificate: {mode: optional, ca: clients.pem, fields: both}";
	struct tls_peer peer = {.version = "TLSv1.3", .cipher = "x", .certificate = &certificate};
	certificate.is_verified = false;
	certificate.verification = SLICE("FAILED:self-signed certificate");
	expect(optional, &peer,
	       (const char *const[7]){"FAILED:self-signed certificate", NULL, NULL, NULL, NULL, "00ff", NULL});
	peer.certificate = NULL;
	expect(optional, &peer, (const char *const[7]){"NONE"});
	expect(optional, NULL, (const char *const[7]){"NONE"});
}

// What could end a field is not sent at all.
static void test_unprintable(void **state)
{
	struct tls_certificate spoilt = certificate;
	struct tls_peer peer = {.version = "TLSv1.3", .cipher = "x", .certificate = &spoilt};
	spoilt.is_verified = true;
	spoilt.verification = SLICE("SUCCESS");
	spoilt.names = SLICE("DNS:a\r\nX-Admin: yes");
	expect(", client_certificate: {ca: clients.pem}", &peer,
	       (const char *const[7]){"SUCCESS", "CN=ann", "CN=Test", NULL, "0A", "00ff", NULL});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_unverified),
		cmocka_unit_test(test_unprintable),
	};
	return cmocka_run_group_tests(tests, test_certificates_begin, test_certificates_end);
}
