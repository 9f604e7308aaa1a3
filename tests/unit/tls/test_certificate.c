// What is said of certificates, keys and the files around them while a configuration is loaded.
#include "server_support.h"

#include <openssl/asn1.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct pki root, intermediate, leaf;

#define PLACE "a.yaml:1:29: "
static const char one_site[] = "sites: [{tls: {certificate: a.pem, key: a.key}}]";

// A new set of good files for each test.
static int set_up(void **state)
{
	root = pki_root("Root");
	intermediate = pki_intermediate(&root, "Intermediate");
	leaf = pki_issue(&intermediate, &(struct pki_wishes){.subject = "a.example", .names = "DNS:a.example"});
	pki_file_certificates("a.pem", &leaf, &intermediate, NULL);
	pki_file_key("a.key", &leaf);
	return 0;
}

static int tear_down(void **state)
{
	pki_free_all();
	return 0;
}

static void date_of(long seconds_from_now, char text[32])
{
	time_t then = time(NULL) + seconds_from_now;
	struct tm parts;
	gmtime_r(&then, &parts);
	assert_true(strftime(text, 32, "%Y-%m-%d %H:%M UTC", &parts) > 0);
}

// --- Files

static void takes_a_good_certificate(void **state)
{
	test_server_expect(one_site, true, "");
	pki_file_both("b.pem", &leaf, &intermediate, NULL);
	test_server_expect("sites: [{tls: {certificate: b.pem}}]", true, "");
}

static void says_what_is_wrong_with_files(void **state)
{
	pki_file("text.pem", SLICE("no certificate\n"));
	pki_file("cut.pem", SLICE("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"));
	pki_file("der.pem", SLICE("\x30\x82\x01\x01 and so on"));
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"sites: [{tls: {certificate: none.pem}}]",
		 PLACE "cannot read \"none.pem\": No such file or directory\n"},
		{"sites: [{tls: {certificate: text.pem, key: a.key}}]",
		 PLACE "\"text.pem\" cannot be used: it holds no certificate (a PEM file has -----BEGIN "
		       "CERTIFICATE----- in it)\n"},
		{"sites: [{tls: {certificate: cut.pem, key: a.key}}]",
		 PLACE "\"cut.pem\" cannot be used: it holds a certificate that is broken\n"},
		{"sites: [{tls: {certificate: der.pem, key: a.key}}]",
		 PLACE "\"der.pem\" cannot be used: it is in DER form; `openssl x509 -inform der` makes a PEM "
		       "file of it\n"},
		{"sites: [{tls: {certificate: a.pem}}]",
		 PLACE "\"a.pem\" cannot be used: it holds no private key (a PEM file has -----BEGIN PRIVATE "
		       "KEY----- in it)\n"},
		{"sites: [{tls: {certificate: a.pem, key: text.pem}}]",
		 "a.yaml:1:41: \"text.pem\" cannot be used: it holds no private key (a PEM file has -----BEGIN "
		 "PRIVATE KEY----- in it)\n"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		test_server_expect(rows[i].text, false, rows[i].message);
}

static void refuses_locked_keys(void **state)
{
	pki_file_locked_key("a.key", &leaf);
	test_server_expect(one_site, false,
			   "a.yaml:1:41: \"a.key\" cannot be used: its key is locked by a password; usher needs "
			   "one without\n");
}

static void warns_of_keys_that_others_may_read(void **state)
{
	pki_open_to_others("a.key");
	test_server_expect(one_site, true,
			   PLACE "warning: everybody on this machine may read the private key in \"a.key\"\n");
	static const char *const paths[] = {"certs/a.pem", "certs/b.pem", "certs/c.pem"};
	static const char *const names[] = {"DNS:a.example", "DNS:b.example", "DNS:c.example"};
	for (size_t i = 0; i < 3; i++) {
		leaf = pki_issue(&root, &(struct pki_wishes){.subject = "leaf", .names = names[i]});
		pki_file_both(paths[i], &leaf, NULL);
	}
	pki_open_to_others("certs/");
	test_server_expect("sites: [{tls: {folder: certs}}]", true,
			   "a.yaml:1:24: warning: everybody on this machine may read the private key in "
			   "\"certs/a.pem\", and 2 more\n");
}

static void wants_a_key_for_each_certificate(void **state)
{
	test_server_expect("sites: [{tls: {certificate: [a.pem, b.pem], key: a.key}}]", false,
			   "a.yaml:1:45: 1 key for 2 certificates; expected as many, in the same order\n");
	test_server_expect("sites: [{tls: {certificate: a.pem, folder: certs}}]", false,
			   "a.yaml:1:44: \"folder\" stands beside \"certificate\"; expected one of them: where "
			   "the folder is, or which files\n");
	test_server_expect("sites: [{tls: {folder: certs}}]", false,
			   "a.yaml:1:24: \"certs\" holds no certificate: neither NAME.pem nor NAME.crt nor "
			   "NAME/fullchain.pem\n");
}

// --- Keys and chains

static void wants_the_key_to_fit(void **state)
{
	pki_file_key("a.key", &intermediate);
	test_server_expect(one_site, false,
			   PLACE "\"a.pem\" is not in order: the site's own certificate comes first, and the key "
				 "is that of number 2\n");
	pki_file_key("a.key", &root);
	test_server_expect(one_site, false, PLACE "the key in \"a.key\" is not that of the certificate in \"a.pem\"\n");
}

static void wants_the_chain_in_order(void **state)
{
	struct pki low = pki_intermediate(&intermediate, "Low");
	leaf = pki_issue(&low, &(struct pki_wishes){.subject = "a.example", .names = "DNS:a.example"});
	pki_file_key("a.key", &leaf);
	pki_file_certificates("a.pem", &leaf, &low, &intermediate, NULL);
	test_server_expect(one_site, true, "");
	pki_file_certificates("a.pem", &leaf, &intermediate, &low, NULL);
	test_server_expect(one_site, false,
			   PLACE "\"a.pem\" is not in order: behind number 1 (CN=a.example) belongs its issuer, "
				 "which is number 3\n");
	pki_file_certificates("a.pem", &leaf, &intermediate, NULL);
	test_server_expect(one_site, false,
			   PLACE "\"a.pem\" is no chain: number 1 (CN=a.example) was not issued by the one behind "
				 "it (CN=Intermediate)\n");
	// The name alone does not make an issuer.
	struct pki false_low = pki_intermediate(&root, "Low");
	pki_file_certificates("a.pem", &leaf, &false_low, NULL);
	test_server_expect(one_site, false,
			   PLACE "\"a.pem\" is no chain: number 1 (CN=a.example) was not issued by the one behind "
				 "it (CN=Low)\n");
	pki_file_certificates("a.pem", &leaf, &low, &intermediate, &root, NULL);
	test_server_expect(one_site, true,
			   PLACE "warning: \"a.pem\" ends with a root, which clients have or do not trust: without it, "
				 "handshakes are shorter\n");
}

static void misses_issuers_of_public_certificates(void **state)
{
	leaf = pki_issue(&intermediate, &(struct pki_wishes){.subject = "a.example",
							     .names = "DNS:a.example",
							     .access = "caIssuers;URI:http://ca.example/i.crt"});
	pki_file_certificates("a.pem", &leaf, NULL);
	pki_file_key("a.key", &leaf);
	test_server_expect(one_site, true,
			   PLACE "warning: \"a.pem\" holds the site's certificate alone: some clients cannot verify it "
				 "without those of its issuers behind it\n");
	pki_file_certificates("a.pem", &leaf, &intermediate, NULL);
	test_server_expect(one_site, true, "");
}

static void bounds_the_chain(void **state)
{
	pki_file_certificates("a.pem", &leaf, &root, &root, &root, &root, &root, &root, &root, &root, &root, &root,
			      NULL);
	test_server_expect(one_site, false, PLACE "\"a.pem\" cannot be used: it holds more than 10 certificates\n");
}

// --- Algorithms

static void refuses_what_is_weak(void **state)
{
	static const struct {
		struct pki_wishes wishes;
		const char *message;
	} rows[] = {
		{{.subject = "a", .key = "rsa1024"},
		 PLACE "\"a.pem\" holds an RSA key of 1024 bits, at least 2048 are needed: CN=a\n"},
		{{.subject = "a", .digest = "SHA1"},
		 PLACE "\"a.pem\" holds a certificate that is signed with SHA1, which can be forged: CN=a\n"},
		{{.subject = "a", .key = "dsa"},
		 PLACE "\"a.pem\" cannot be used: its key is for an algorithm that TLS has no use for; expected "
		       "ECDSA or RSA\n"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		leaf = pki_issue(&root, &rows[i].wishes);
		pki_file_certificates("a.pem", &leaf, NULL);
		pki_file_key("a.key", &leaf);
		test_server_expect(one_site, false, rows[i].message);
	}
}

static void tells_keys_that_few_clients_take(void **state)
{
	static const struct {
		const char *kind, *curve; // NULL: nothing is said
	} rows[] = {{"rsa2048", NULL}, {"ecdsa", NULL}, {"p384", NULL}, {"p521", "secp521r1"}, {"ed25519", "ED25519"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char message[300] = "";
		leaf = pki_issue(&root, &(struct pki_wishes){.subject = "a", .key = rows[i].kind});
		pki_file_certificates("a.pem", &leaf, NULL);
		pki_file_key("a.key", &leaf);
		if (rows[i].curve)
			(void)snprintf(message, sizeof(message),
				       PLACE
				       "warning: the key of the certificate in \"a.pem\" is of the curve %s, which "
				       "most clients do not take; expected P-256 or P-384\n",
				       rows[i].curve);
		test_server_expect(one_site, true, message);
	}
}

static void warns_of_certificates_for_other_purposes(void **state)
{
	leaf = pki_issue(&root, &(struct pki_wishes){.subject = "a", .purpose = "clientAuth"});
	pki_file_certificates("a.pem", &leaf, NULL);
	pki_file_key("a.key", &leaf);
	test_server_expect(one_site, true,
			   PLACE "warning: the certificate in \"a.pem\" says that it is not for servers (extended key "
				 "usage): clients refuse it\n");
}

// --- Time

static void expect_of_time(long from_seconds, long to_seconds, const char *format, long date_seconds)
{
	char date[32], message[300];
	leaf = pki_issue(&root,
			 &(struct pki_wishes){.subject = "a", .from_seconds = from_seconds, .to_seconds = to_seconds});
	pki_file_certificates("a.pem", &leaf, NULL);
	pki_file_key("a.key", &leaf);
	date_of(date_seconds, date);
	(void)snprintf(message, sizeof(message), format, date);
	test_server_expect(one_site, true, message);
}

static void tells_when_it_ends(void **state)
{
	enum { DAY = 86400 };
	// Minutes are told: none may pass between here and there.
	while (time(NULL) % 60 > 50)
		nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
	expect_of_time(0, -DAY / 2,
		       PLACE "warning: the certificate in \"a.pem\" HAS EXPIRED on %s: clients refuse it\n", -DAY / 2);
	expect_of_time(DAY, 0,
		       PLACE "warning: the certificate in \"a.pem\" is not valid before %s: clients refuse it\n", DAY);
	expect_of_time(0, 21 * DAY - 1, PLACE "warning: the certificate in \"a.pem\" expires in 20 days, on %s\n",
		       21 * DAY - 1);
	expect_of_time(0, DAY + 30, PLACE "warning: the certificate in \"a.pem\" expires in 1 day, on %s\n", DAY + 30);
	expect_of_time(0, 22 * DAY, "", 0);
}

static void looks_at_the_time_of_issuers(void **state)
{
	char date[32], message[300];
	while (time(NULL) % 60 > 50)
		nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
	intermediate =
		pki_issue(&root, &(struct pki_wishes){.subject = "Middle", .is_authority = true, .to_seconds = -3600});
	leaf = pki_issue(&intermediate, &(struct pki_wishes){.subject = "a"});
	pki_file_certificates("a.pem", &leaf, &intermediate, NULL);
	pki_file_key("a.key", &leaf);
	date_of(-3600, date);
	(void)snprintf(message, sizeof(message),
		       PLACE "warning: the issuer's certificate (CN=Middle) in \"a.pem\" HAS EXPIRED on %s: clients "
			     "refuse it\n",
		       date);
	test_server_expect(one_site, true, message);
}

// --- Several

static void warns_of_certificates_that_nobody_sees(void **state)
{
	struct pki old = pki_issue(
		&root, &(struct pki_wishes){.subject = "old", .names = "DNS:a.example", .to_seconds = 30 * 86400});
	pki_file_both("certs/old.pem", &old, NULL);
	pki_file_both("certs/site.pem", &leaf, &intermediate, NULL);
	test_server_expect("sites: [{tls: {folder: certs}}]", true,
			   "a.yaml:1:24: warning: the certificate in \"certs/old.pem\" is shown to nobody: for each of "
			   "its hosts there is a better one\n");
	struct pki other = pki_issue(&root, &(struct pki_wishes){.subject = "old",
								 .names = "DNS:a.example,DNS:b.example",
								 .to_seconds = 30 * 86400});
	pki_file_both("certs/old.pem", &other, NULL);
	test_server_expect("sites: [{tls: {folder: certs}}]", true, "");
}

// --- Names

static void compares_names_with_hosts(void **state)
{
	static const struct {
		const char *names, *host;
		bool covered;
	} rows[] = {
		{"DNS:a.example", "a.example", true},
		{"DNS:A.Example", "a.example", true},
		{"DNS:a.example", "A.EXAMPLE", true},
		{"DNS:a.example", "b.example", false},
		{"DNS:a.example", "x.a.example", false},
		{"DNS:*.a.example", "x.a.example", true},
		{"DNS:*.a.example", "y.x.a.example", false}, // RFC 9525 section 6.3: one label
		{"DNS:*.a.example", "a.example", false},
		{"DNS:*.a.example", "\"*.a.example\"", true},
		{"DNS:x.a.example", "\"*.a.example\"", false},
		{"DNS:x*.a.example", "xy.a.example", false}, // only a whole label
		{"DNS:*", "localhost", false},
		{"DNS:b.example,DNS:a.example", "a.example", true},
		{"IP:10.0.0.1", "10.0.0.1", true},
		{"IP:10.0.0.1", "10.0.0.2", false},
		{"DNS:10.0.0.2", "10.0.0.1", false},
		{"IP:2001:db8::1", "\"[2001:db8::1]\"", true},
		{"DNS:a.example", "\"*\"", true},
		{NULL, "a.example", false}, // the subject counts for nobody
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[200], message[300] = "";
		leaf = pki_issue(&root, &(struct pki_wishes){.subject = "a.example", .names = rows[i].names});
		pki_file_both("a.pem", &leaf, NULL);
		(void)snprintf(text, sizeof(text), "sites: [{host: %s, tls: {certificate: a.pem}}]", rows[i].host);
		const char *host = rows[i].host + (rows[i].host[0] == '"');
		if (!rows[i].covered)
			(void)snprintf(message, sizeof(message),
				       "a.yaml:1:16: warning: no certificate of the site is for the host \"%.*s\": "
				       "clients refuse it (a.pem)\n",
				       (int)strcspn(host, "\""), host);
		test_server_expect(text, true, message);
	}
}

// --- Authorities of clients

static void says_what_is_wrong_with_authorities(void **state)
{
	struct pki other = pki_root("Other");
	pki_file_certificates("root.pem", &root, NULL);
	pki_file_certificates("both.pem", &root, &other, NULL);
	pki_file_certificates("middle.pem", &intermediate, NULL);
	pki_file_list("list.pem", pki_revoke(&root, NULL, 1000));
	pki_file_list("late.pem", pki_revoke(&root, NULL, -1000));
	static const struct {
		const char *client;
		bool good;
		const char *message;
	} rows[] = {
		{"required", false,
		 "a.yaml:2:22: \"ca\" is missing: a file with the certificates of those who issue clients' "
		 "certificates\n"},
		{"off", true, ""},
		{"{ca: root.pem}", true, ""},
		{"{ca: a.key}", false,
		 "a.yaml:2:27: \"a.key\" cannot be used: it holds no certificate (a PEM file has -----BEGIN "
		 "CERTIFICATE----- in it)\n"},
		{"{ca: middle.pem}", false,
		 "a.yaml:2:27: \"middle.pem\" cannot be used: it holds no root, the self-signed certificate "
		 "that "
		 "every chain ends with\n"},
		{"{ca: root.pem, crl: list.pem}", true, ""},
		{"{ca: root.pem, crl: root.pem}", false,
		 "a.yaml:2:42: \"root.pem\" cannot be used: it holds no list (a PEM file has -----BEGIN X509 "
		 "CRL----- in it)\n"},
		{"{ca: root.pem, crl: late.pem}", true,
		 "a.yaml:2:42: warning: \"late.pem\" holds a list that has expired: clients are refused until it is "
		 "renewed\n"},
		{"{ca: both.pem, crl: list.pem}", false,
		 "a.yaml:2:42: \"list.pem\" has no list of the authority /CN=Other: all that it issued would be "
		 "refused\n"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[300];
		(void)snprintf(text, sizeof(text),
			       "sites: [{tls: {certificate: a.pem, key: a.key,\n client_certificate: %s}}]",
			       rows[i].client);
		test_server_expect(text, rows[i].good, rows[i].message);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(takes_a_good_certificate),
		TEST(says_what_is_wrong_with_files),
		TEST(refuses_locked_keys),
		TEST(warns_of_keys_that_others_may_read),
		TEST(wants_a_key_for_each_certificate),
		TEST(wants_the_key_to_fit),
		TEST(wants_the_chain_in_order),
		TEST(misses_issuers_of_public_certificates),
		TEST(bounds_the_chain),
		TEST(refuses_what_is_weak),
		TEST(tells_keys_that_few_clients_take),
		TEST(warns_of_certificates_for_other_purposes),
		TEST(tells_when_it_ends),
		TEST(looks_at_the_time_of_issuers),
		TEST(warns_of_certificates_that_nobody_sees),
		TEST(compares_names_with_hosts),
		TEST(says_what_is_wrong_with_authorities),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
