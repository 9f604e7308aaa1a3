// What an authority says of certificates: read, fetched from a responder, kept, and stapled.
#include "server_support.h"
#include "tls/ocsp.h"
#include "tls/staple.h"

#include <arpa/inet.h>
#include <openssl/ocsp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HOUR = 3600, PATIENCE_SECONDS = 60 };

static struct pki root, other_root, leaf, delegate, stranger;

// --- Answers

struct wishes {
	const struct pki *signer; // NULL: the issuer itself
	const struct pki *of;	  // NULL: leaf
	int status;		  // V_OCSP_CERTSTATUS_*
	long from_seconds, until_seconds;
	bool endless;
	const char *digest;
};

static unsigned char *answer(const struct wishes *wishes, int *ret_length)
{
	const struct pki *of = wishes->of ? wishes->of : &leaf, *signer = wishes->signer ? wishes->signer : &root;
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_get_digestbyname(wishes->digest ? wishes->digest : "SHA1"),
					  of->certificate, root.certificate);
	ASN1_TIME *from = X509_gmtime_adj(NULL, wishes->from_seconds), *until = NULL;
	ASN1_TIME *revoked = wishes->status == V_OCSP_CERTSTATUS_REVOKED ? X509_gmtime_adj(NULL, -HOUR) : NULL;
	if (!wishes->endless)
		until = X509_gmtime_adj(NULL, wishes->until_seconds);
	assert_non_null(OCSP_basic_add1_status(basic, id, wishes->status, 0, revoked, from, until));
	assert_int_equal(OCSP_basic_sign(basic, signer->certificate, signer->key, EVP_sha256(), NULL, 0), 1);
	OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	unsigned char *bytes = NULL;
	*ret_length = i2d_OCSP_RESPONSE(response, &bytes);
	assert_true(*ret_length > 0);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	ASN1_TIME_free(revoked);
	return bytes;
}

static void file_answer(const char *path, const struct wishes *wishes)
{
	int length;
	unsigned char *bytes = answer(wishes, &length);
	pki_file(path, slice_from(bytes, (size_t)length));
	OPENSSL_free(bytes);
}

static const struct wishes good = {.from_seconds = -HOUR, .until_seconds = HOUR};

static int set_up(void **state)
{
	root = pki_root("Root");
	other_root = pki_root("Root"); // the same name, another key
	leaf = pki_issue(&root, &(struct pki_wishes){.subject = "a.example", .names = "DNS:a.example"});
	delegate = pki_issue(&root, &(struct pki_wishes){.subject = "speaker", .purpose = "OCSPSigning"});
	stranger = pki_issue(&root, &(struct pki_wishes){.subject = "no speaker"});
	pki_file_both("a.pem", &leaf, &root, NULL);
	return 0;
}

static int tear_down(void **state)
{
	pki_free_all();
	return 0;
}

static void reads_answers(void **state)
{
	const struct {
		struct wishes wishes;
		const char *wrong;
		bool is_revoked;
	} rows[] = {
		{good, NULL, false},
		{{.from_seconds = -HOUR, .until_seconds = HOUR, .digest = "SHA256"}, NULL, false},
		{{.from_seconds = -HOUR, .until_seconds = HOUR, .status = V_OCSP_CERTSTATUS_REVOKED}, NULL, true},
		{{.from_seconds = -HOUR, .until_seconds = HOUR, .status = V_OCSP_CERTSTATUS_UNKNOWN},
		 "the authority does not know the certificate",
		 false},
		{{.from_seconds = -HOUR, .until_seconds = HOUR, .signer = &delegate}, NULL, false},
		{{.from_seconds = -HOUR, .until_seconds = HOUR, .signer = &stranger},
		 "it is not signed by the certificate's issuer",
		 false},
		{{.from_seconds = -HOUR, .until_seconds = HOUR, .signer = &other_root},
		 "it is not signed by the certificate's issuer",
		 false},
		{{.from_seconds = -HOUR, .until_seconds = HOUR, .of = &stranger},
		 "it is of another certificate",
		 false},
		{{.from_seconds = -HOUR, .until_seconds = -1}, "it has expired", false},
		{{.from_seconds = HOUR, .until_seconds = 2 * HOUR}, "it is of the future", false},
		{{.from_seconds = -100, .endless = true}, NULL, false},
		{{.from_seconds = -HOUR - 1, .endless = true}, "it has expired", false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ocsp_answer read = {0};
		int length;
		unsigned char *bytes = answer(&rows[i].wishes, &length);
		const char *wrong = ocsp_read(slice_from(bytes, (size_t)length), leaf.certificate, root.certificate,
					      time(NULL), &read);
		if (rows[i].wrong) {
			assert_non_null(wrong);
			assert_string_equal(wrong, rows[i].wrong);
		} else {
			assert_null(wrong);
			assert_int_equal(read.is_revoked, rows[i].is_revoked);
			assert_true(read.from_s < read.until_s);
		}
		OPENSSL_free(bytes);
	}
}

static void refuses_what_is_no_answer(void **state)
{
	struct ocsp_answer read;
	int length;
	unsigned char *bytes = answer(&good, &length);
	for (int cut = 0; cut < length; cut += 7)
		assert_non_null(ocsp_read(slice_from(bytes, (size_t)cut), leaf.certificate, root.certificate,
					  time(NULL), &read));
	// A byte of what is signed; behind it stands the certificate of who signed.
	bytes[120] ^= 1;
	assert_non_null(
		ocsp_read(slice_from(bytes, (size_t)length), leaf.certificate, root.certificate, time(NULL), &read));
	OPENSSL_free(bytes);
	OCSP_RESPONSE *later = OCSP_response_create(OCSP_RESPONSE_STATUS_TRYLATER, NULL);
	bytes = NULL;
	length = i2d_OCSP_RESPONSE(later, &bytes);
	assert_string_equal(
		ocsp_read(slice_from(bytes, (size_t)length), leaf.certificate, root.certificate, time(NULL), &read),
		"the authority did not answer the question");
	OCSP_RESPONSE_free(later);
	OPENSSL_free(bytes);
}

static void renews_at_half_the_life(void **state)
{
	const struct ocsp_answer answer = {.from_s = 1000, .until_s = 9000};
	assert_int_equal(staple_renewal(&answer, 1500), 5000);
	assert_int_equal(staple_renewal(&answer, 4990), 5050); // not at once again
	assert_int_equal(staple_renewal(&answer, 8000), 8060);
	assert_int_equal(staple_retry(1, 100), 130);
	assert_int_equal(staple_retry(2, 100), 160);
	assert_int_equal(staple_retry(1000, 100), 3700);
}

// --- From a file

static struct test_handshake ask_for_staple(const struct test_server *server)
{
	return test_handshake(server, &(struct test_client){.name = "a.example", .wants_staple = true});
}

static void expect_staple(const struct test_server *server, bool is_there)
{
	struct test_handshake handshake = ask_for_staple(server);
	assert_true(handshake.done);
	assert_int_equal(handshake.staple.length > 0, is_there);
	if (is_there) {
		struct ocsp_answer read;
		assert_null(ocsp_read(handshake.staple, leaf.certificate, root.certificate, time(NULL), &read));
	}
	test_handshake_free(&handshake);
}

#define ROOT_WARNING                                                                                                   \
	"a.yaml:1:29: warning: \"a.pem\" ends with a root, which clients have or do not trust: without it, "           \
	"handshakes "                                                                                                  \
	"are shorter\n"
static const char with_file[] = "sites: [{tls: {certificate: a.pem, ocsp: a.der}}]";

static void staples_what_a_file_holds(void **state)
{
	file_answer("a.der", &good);
	struct test_server server = test_server_load(with_file);
	assert_true(server.good);
	expect_staple(&server, true);
	struct test_handshake handshake = test_handshake(&server, &(struct test_client){.name = "a.example"});
	assert_true(handshake.done);
	assert_int_equal(handshake.staple.length, 0); // nobody asked
	test_handshake_free(&handshake);
	test_server_free(&server);
}

static void staples_to_the_certificate_that_it_is_of(void **state)
{
	struct pki rsa = pki_issue(
		&root, &(struct pki_wishes){.subject = "a.example", .names = "DNS:a.example", .key = "rsa2048"});
	pki_file_both("rsa.pem", &rsa, &root, NULL);
	file_answer("a.der", &good);
	struct test_server server = test_server_load("sites: [{tls: {certificate: [rsa.pem, a.pem], ocsp: [a.der]}}]");
	assert_true(server.good);
	expect_staple(&server, true);
	struct test_handshake handshake = test_handshake(
		&server, &(struct test_client){.signatures = "RSA-PSS+SHA256:RSA+SHA256", .wants_staple = true});
	assert_false(handshake.staple.length > 0);
	test_handshake_free(&handshake);
	test_server_free(&server);
}

static void warns_of_files_that_do_not_fit(void **state)
{
	file_answer("a.der", &(struct wishes){.from_seconds = -HOUR, .until_seconds = -1});
	test_server_expect(with_file, true,
			   ROOT_WARNING "a.yaml:1:42: warning: \"a.der\" is not sent along: it has expired\n");
	file_answer(
		"a.der",
		&(struct wishes){.from_seconds = -HOUR, .until_seconds = HOUR, .status = V_OCSP_CERTSTATUS_REVOKED});
	test_server_expect(with_file, true,
			   ROOT_WARNING
			   "a.yaml:1:42: warning: \"a.der\" says that the certificate in \"a.pem\" IS REVOKED: "
			   "clients refuse it\n");
	pki_file("a.der", SLICE("text"));
	test_server_expect(with_file, true,
			   ROOT_WARNING
			   "a.yaml:1:42: warning: \"a.der\" is not sent along: it is no OCSP response (in DER form)\n");
	pki_file_remove("a.der");
	test_server_expect(with_file, false,
			   ROOT_WARNING "a.yaml:1:42: cannot read \"a.der\": No such file or directory\n");
}

static void warns_where_nothing_can_be_fetched(void **state)
{
	test_server_expect("sites: [{tls: {certificate: a.pem, ocsp: fetch}}]", true,
			   ROOT_WARNING
			   "a.yaml:1:42: warning: the certificate in \"a.pem\" names no OCSP responder: there "
			   "is nothing to fetch\n");
	struct pki alone =
		pki_issue(&root, &(struct pki_wishes){.subject = "b", .access = "OCSP;URI:http://127.0.0.1:1/"});
	pki_file_both("b.pem", &alone, NULL);
	test_server_expect("sites: [{tls: {certificate: b.pem, ocsp: fetch}}]", true,
			   "a.yaml:1:42: warning: \"b.pem\" does not hold the certificate's issuer, to verify OCSP "
			   "responses by: none is fetched\n");
	struct pki strict = pki_issue(&root, &(struct pki_wishes){.subject = "c", .features = "status_request"});
	pki_file_both("c.pem", &strict, NULL);
	test_server_expect("sites: [{tls: {certificate: c.pem}}]", true,
			   "a.yaml:1:29: warning: the certificate in \"c.pem\" demands a stapled OCSP response "
			   "(must-staple), and there is none (`ocsp: fetch`): clients refuse it\n");
}

// --- From a responder

// Answers requests one by one, on a thread of its own.
static struct {
	int listener;
	unsigned port;
	pthread_t thread;
	atomic_uint requests;
	atomic_int status;	 // of its answers; -1: it says nothing for as long as the client waits
	unsigned char *bytes[2]; // good, revoked
	int lengths[2];
} responder;

static bool read_request(int connection)
{
	char buffer[4096];
	size_t length = 0;
	while (length < sizeof(buffer)) {
		ssize_t got = read(connection, buffer + length, sizeof(buffer) - length);
		if (got <= 0)
			return false;
		length += (size_t)got;
		// The request is small and comes with its head.
		const char *end = memmem(buffer, length, "\r\n\r\n", 4);
		if (end && (size_t)(end + 4 - buffer) < length)
			return memmem(buffer, length, "POST /ask HTTP/1", 16) &&
			       memmem(buffer, length, "application/ocsp-request", 24) &&
			       memmem(buffer, length, "Host: 127.0.0.1:", 16);
	}
	return false;
}

static void respond(int connection)
{
	char head[200];
	int status = atomic_load(&responder.status);
	bool is_good = read_request(connection);
	atomic_fetch_add(&responder.requests, 1);
	if (status < 0) {
		char byte;
		(void)read(connection, &byte, 1); // until the client goes
		return;
	}
	int length = snprintf(head, sizeof(head),
			      "HTTP/1.0 %s\r\nContent-Type: application/ocsp-response\r\nContent-Length: %d\r\n\r\n",
			      is_good ? "200 OK" : "400 Bad Request", responder.lengths[status]);
	assert_int_equal(write(connection, head, (size_t)length), length);
	assert_int_equal(write(connection, responder.bytes[status], (size_t)responder.lengths[status]),
			 responder.lengths[status]);
}

static void *serve(void *argument)
{
	int connection;
	while ((connection = accept(responder.listener, NULL, NULL)) >= 0) {
		respond(connection);
		close(connection);
	}
	return NULL;
}

static void responder_start(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	responder.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(responder.listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(responder.listener, 8), 0);
	assert_int_equal(getsockname(responder.listener, (struct sockaddr *)&address, &size), 0);
	responder.port = ntohs(address.sin_port);
	atomic_store(&responder.status, V_OCSP_CERTSTATUS_GOOD);
	atomic_store(&responder.requests, 0);
}

// For the certificate `leaf`, which names it.
static void responder_serve(void)
{
	struct wishes revoked = good;
	revoked.status = V_OCSP_CERTSTATUS_REVOKED;
	responder.bytes[0] = answer(&good, &responder.lengths[0]);
	responder.bytes[1] = answer(&revoked, &responder.lengths[1]);
	assert_int_equal(pthread_create(&responder.thread, NULL, serve, NULL), 0);
}

static void responder_stop(void)
{
	shutdown(responder.listener, SHUT_RDWR);
	pthread_join(responder.thread, NULL);
	close(responder.listener);
	OPENSSL_free(responder.bytes[0]);
	OPENSSL_free(responder.bytes[1]);
}

static int set_up_responder(void **state)
{
	char access[100];
	set_up(state);
	responder_start();
	(void)snprintf(access, sizeof(access), "OCSP;URI:http://127.0.0.1:%u/ask", responder.port);
	leaf = pki_issue(&root,
			 &(struct pki_wishes){.subject = "a.example", .names = "DNS:a.example", .access = access});
	pki_file_both("a.pem", &leaf, &root, NULL);
	responder_serve();
	return 0;
}

static int tear_down_responder(void **state)
{
	responder_stop();
	return tear_down(state);
}

static bool has_staple(const struct test_server *server)
{
	struct test_handshake handshake = ask_for_staple(server);
	bool is_there = handshake.staple.length > 0;
	test_handshake_free(&handshake);
	return is_there;
}

static void wait_a_little(int64_t *waited_ms)
{
	assert_true(*waited_ms < PATIENCE_SECONDS * 1000);
	nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	*waited_ms += 5;
}

static const char fetching[] = "sites: [{tls: {certificate: a.pem, ocsp: fetch}}]";

static void fetches_in_the_background(void **state)
{
	struct test_server server = test_server_load(fetching);
	assert_true(server.good);
	assert_false(has_staple(&server)); // nobody fetches yet
	assert_int_equal(staple_fetch_start(), 0);
	for (int64_t waited_ms = 0; !has_staple(&server);)
		wait_a_little(&waited_ms);
	expect_staple(&server, true);
	// Another configuration with the same certificate has it at once, and the first one may go.
	struct test_server next = test_server_load(fetching);
	test_server_free(&server);
	expect_staple(&next, true);
	assert_int_equal(atomic_load(&responder.requests), 1);
	test_server_free(&next);
	staple_fetch_stop();
	// Forgotten with the last configuration that had it.
	struct test_server last = test_server_load(fetching);
	assert_false(has_staple(&last));
	test_server_free(&last);
}

static void tells_clients_of_a_revocation(void **state)
{
	atomic_store(&responder.status, V_OCSP_CERTSTATUS_REVOKED);
	struct test_server server = test_server_load(fetching);
	assert_int_equal(staple_fetch_start(), 0);
	for (int64_t waited_ms = 0; !has_staple(&server);)
		wait_a_little(&waited_ms);
	struct test_handshake handshake = ask_for_staple(&server);
	struct ocsp_answer read;
	assert_null(ocsp_read(handshake.staple, leaf.certificate, root.certificate, time(NULL), &read));
	assert_true(read.is_revoked);
	test_handshake_free(&handshake);
	test_server_free(&server);
	staple_fetch_stop();
}

static void goes_on_without_what_cannot_be_had(void **state)
{
	responder.lengths[0] = 20; // the rest of the answer is missing
	struct test_server server = test_server_load(fetching);
	assert_int_equal(staple_fetch_start(), 0);
	for (int64_t waited_ms = 0; atomic_load(&responder.requests) == 0;)
		wait_a_little(&waited_ms);
	expect_staple(&server, false);
	staple_fetch_stop();
	expect_staple(&server, false);
	test_server_free(&server);
}

static void ends_while_it_waits_for_an_answer(void **state)
{
	atomic_store(&responder.status, -1);
	struct test_server server = test_server_load(fetching);
	assert_int_equal(staple_fetch_start(), 0);
	for (int64_t waited_ms = 0; atomic_load(&responder.requests) == 0;)
		wait_a_little(&waited_ms);
	staple_fetch_stop(); // or the test would wait for longer than it may
	test_server_free(&server);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_FETCHED(name) cmocka_unit_test_setup_teardown(name, set_up_responder, tear_down_responder)
	const struct CMUnitTest tests[] = {
		TEST(reads_answers),
		TEST(refuses_what_is_no_answer),
		TEST(renews_at_half_the_life),
		TEST(staples_what_a_file_holds),
		TEST(staples_to_the_certificate_that_it_is_of),
		TEST(warns_of_files_that_do_not_fit),
		TEST(warns_where_nothing_can_be_fetched),
		TEST_FETCHED(fetches_in_the_background),
		TEST_FETCHED(tells_clients_of_a_revocation),
		TEST_FETCHED(goes_on_without_what_cannot_be_had),
		TEST_FETCHED(ends_while_it_waits_for_an_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
