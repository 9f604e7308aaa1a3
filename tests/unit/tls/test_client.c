// The client's side of TLS as pools configure it: whom it trusts, as whom it appears, which
// sessions it resumes; against a server of OpenSSL's own in another thread.
#include "../net/support.h"
#include "pki.h"
#include "tls/client.h"
#include "tls/context.h"
#include "tls/stream.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// --- Configurations

struct root {
	struct tls_client_config *tls;
};

static const struct config_key root_keys[] = {
	{.name = "tls", .kind = CONFIG_OPTIONAL, .offset = offsetof(struct root, tls), .section = &tls_client_section},
	{0},
};

static const struct config_section root_section = {
	.name = "root",
	.size = sizeof(struct root),
	.keys = root_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

struct loaded {
	bool good;
	char *messages;
	struct config *config;
	struct tls_client *client;
};

static struct loaded load(const char *text)
{
	struct loaded loaded = {0};
	void *root = NULL;
	struct config_load *load =
		config_load_begin(pki_source(), "a.yaml", slice_from_string(text), &root_section, &root);
	assert_non_null(load);
	struct tls_client_config *config = root ? ((struct root *)root)->tls : NULL;
	if (root && (!config || config_is_whole(load, config)))
		loaded.client = tls_client_load(load, config, (struct config_place){"a.yaml", 1, 1});
	size_t size;
	FILE *messages = open_memstream(&loaded.messages, &size);
	assert_non_null(messages);
	loaded.good = config_load_end(load, messages, false, &loaded.config);
	assert_int_equal(fclose(messages), 0);
	assert_int_equal(ERR_peek_error(), 0);
	return loaded;
}

static void loaded_free(struct loaded *loaded)
{
	if (loaded->good)
		config_free(loaded->config);
	free(loaded->messages);
}

static struct loaded load_good(const char *text)
{
	struct loaded loaded = load(text);
	assert_string_equal(loaded.messages, "");
	assert_true(loaded.good);
	assert_non_null(loaded.client);
	return loaded;
}

// What is said of it, in the first line.
static void expect(const char *text, bool good, const char *message)
{
	struct loaded loaded = load(text);
	assert_int_equal(loaded.good, good);
	size_t length = strcspn(loaded.messages, "\n");
	loaded.messages[length] = '\0';
	assert_string_equal(loaded.messages, message);
	loaded_free(&loaded);
}

// --- A server

static struct {
	struct pki authority, other_authority;
	struct pki good, expired, self_signed, by_address, client, stranger;
} made;

static int make_all(void **state)
{
	made.authority = pki_root("Authority");
	made.other_authority = pki_root("Another Authority");
	made.good = pki_issue(&made.authority, &(struct pki_wishes){.names = "DNS:app.internal,DNS:*.apps.internal"});
	made.expired = pki_issue(&made.authority, &(struct pki_wishes){.names = "DNS:app.internal", .to_seconds = -60});
	made.self_signed =
		pki_issue(NULL, &(struct pki_wishes){.subject = "app.internal", .names = "DNS:app.internal"});
	made.by_address = pki_issue(&made.authority, &(struct pki_wishes){.names = "IP:127.0.0.1"});
	made.client = pki_issue(&made.authority, &(struct pki_wishes){.subject = "usher"});
	made.stranger = pki_issue(&made.other_authority, &(struct pki_wishes){.names = "DNS:app.internal"});
	pki_file_certificates("ca.pem", &made.authority, NULL);
	pki_file_certificates("both.pem", &made.other_authority, &made.authority, NULL);
	pki_file_certificates("self.pem", &made.self_signed, NULL);
	pki_file_certificates("good.pem", &made.good, NULL);
	pki_file_certificates("client.pem", &made.client, NULL);
	pki_file_key("client.key", &made.client);
	pki_file_both("client.both.pem", &made.client, NULL);
	pki_file_key("other.key", &made.good);
	pki_file_locked_key("locked.key", &made.client);
	pki_file("garbage.pem", SLICE("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
	pki_file("empty.pem", SLICE(""));
	return 0;
}

static int free_all(void **state)
{
	pki_free_all();
	return 0;
}

// Serves some connections, one after the other: "ok", then waits for the end.
struct server {
	SSL_CTX *context;
	int listening;
	struct address address;
	unsigned connections;
	unsigned resumed, with_certificate;
	char protocol[16], name[64];
	pthread_t thread;
};

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *length, const unsigned char *in,
			   unsigned in_length, void *argument)
{
	static const unsigned char wanted[] = "\x02h2\x08http/1.1";
	return SSL_select_next_proto((unsigned char **)out, length, wanted, sizeof(wanted) - 1, in, in_length) ==
			       OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void serve_one(struct server *server, int descriptor)
{
	SSL *ssl = SSL_new(server->context);
	SSL_set_fd(ssl, descriptor);
	if (SSL_accept(ssl) == 1) {
		const unsigned char *protocol;
		unsigned length;
		SSL_get0_alpn_selected(ssl, &protocol, &length);
		snprintf(server->protocol, sizeof(server->protocol), "%.*s", (int)length, (const char *)protocol);
		const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
		snprintf(server->name, sizeof(server->name), "%s", name ? name : "");
		server->resumed += SSL_session_reused(ssl) == 1;
		server->with_certificate += SSL_get0_peer_certificate(ssl) != NULL;
		char byte;
		(void)SSL_write(ssl, "ok", 2);
		(void)SSL_read(ssl, &byte, 1);
	}
	SSL_free(ssl);
	ERR_clear_error();
}

static void *serve(void *argument)
{
	struct server *server = argument;
	for (unsigned i = 0; i < server->connections; i++) {
		int descriptor = accept(server->listening, NULL, NULL);
		if (descriptor < 0)
			break;
		serve_one(server, descriptor);
		close(descriptor);
	}
	return NULL;
}

static void server_start(struct server *server, const struct pki *identity, unsigned connections, int version,
			 bool asks)
{
	*server = (struct server){.context = SSL_CTX_new(TLS_server_method()), .connections = connections};
	assert_non_null(server->context);
	assert_int_equal(SSL_CTX_use_certificate(server->context, identity->certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server->context, identity->key), 1);
	SSL_CTX_set_alpn_select_cb(server->context, choose_protocol, NULL);
	if (version)
		SSL_CTX_set_max_proto_version(server->context, version);
	if (asks) {
		X509_STORE_add_cert(SSL_CTX_get_cert_store(server->context), made.authority.certificate);
		SSL_CTX_set_verify(server->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		SSL_CTX_set_session_id_context(server->context, (const unsigned char *)"t", 1);
	}
	struct address wanted = test_ip("127.0.0.1", 0);
	server->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->listening, &wanted.any, wanted.length), 0);
	assert_int_equal(listen(server->listening, 8), 0);
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	assert_int_equal(getsockname(server->listening, (struct sockaddr *)&name, &length), 0);
	address_from_sockaddr((struct sockaddr *)&name, length, &server->address);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_end(struct server *server)
{
	assert_int_equal(pthread_join(server->thread, NULL), 0);
	close(server->listening);
	SSL_CTX_free(server->context);
}

// --- Connections

// What one comes to, and what its handshake was.
struct visit {
	struct server *server;
	struct tls_client *client;
	struct tls_sessions *sessions;
	struct slice name, alpn;
	enum tls_result result;
	enum tls_failure failure;
	char reason[128];
	char protocol[16];
};

static void run_visit(void *argument)
{
	struct visit *visit = argument;
	struct tls_stream *tls = tls_stream_new();
	assert_non_null(tls);
	assert_int_equal(tcp_connect(tls_stream_tcp(tls), &visit->server->address, test_deadline()), 0);
	visit->result =
		tls_stream_connect(tls, visit->client, visit->sessions, visit->name, visit->alpn, test_deadline());
	visit->failure = tls_stream_failure(tls);
	snprintf(visit->reason, sizeof(visit->reason), "%s", tls_stream_reason(tls));
	struct slice protocol = tls_stream_protocol(tls);
	snprintf(visit->protocol, sizeof(visit->protocol), "%.*s", SLICE_ARGUMENTS(protocol));
	if (visit->result == TLS_DONE) {
		char bytes[3];
		ssize_t got = stream_read(tls_stream_stream(tls), bytes, sizeof(bytes), "test", test_deadline());
		if (got != 2)
			visit->result = TLS_GONE;
	}
	stream_close(tls_stream_stream(tls));
}

// Whether a client of this configuration accepts a server of this identity under this name.
static struct visit visit(const char *text, const struct pki *identity, const char *name)
{
	struct loaded loaded = load(text);
	assert_true(loaded.good);
	struct server server;
	server_start(&server, identity, 1, 0, false);
	struct visit visit = {.server = &server, .client = loaded.client, .name = slice_from_string(name)};
	test_run(run_visit, &visit);
	server_end(&server);
	loaded_free(&loaded);
	return visit;
}

static void expect_refusal(const char *text, const struct pki *identity, const char *name, const char *reason)
{
	struct visit refused = visit(text, identity, name);
	assert_int_equal(refused.result, TLS_FAILED);
	assert_int_equal(refused.failure, TLS_FAILURE_CERTIFICATE);
	assert_string_equal(refused.reason, reason);
}

static void expect_trust(const char *text, const struct pki *identity, const char *name)
{
	struct visit accepted = visit(text, identity, name);
	assert_string_equal(accepted.reason, "");
	assert_int_equal(accepted.result, TLS_DONE);
}

// --- Tests

static void verifies_servers(void **state)
{
	expect_trust("tls: {ca: ca.pem}", &made.good, "app.internal");
	expect_trust("tls: {ca: both.pem}", &made.good, "app.internal");
	expect_trust("tls: {ca: ca.pem}", &made.good, "a.apps.internal");
	expect_trust("tls: {ca: ca.pem}", &made.by_address, "127.0.0.1");
	// Trust may begin at any certificate that the file holds.
	expect_trust("tls: {ca: self.pem}", &made.self_signed, "app.internal");
	expect_trust("tls: {ca: good.pem}", &made.good, "app.internal");
	expect_refusal("tls: {ca: ca.pem}", &made.good, "other.internal", "hostname mismatch");
	expect_refusal("tls: {ca: ca.pem}", &made.good, "a.b.apps.internal", "hostname mismatch");
	expect_refusal("tls: {ca: ca.pem}", &made.good, "127.0.0.1", "IP address mismatch");
	expect_refusal("tls: {ca: ca.pem}", &made.by_address, "app.internal", "hostname mismatch");
	expect_refusal("tls: {ca: ca.pem}", &made.expired, "app.internal", "certificate has expired");
	expect_refusal("tls: {ca: ca.pem}", &made.self_signed, "app.internal", "self-signed certificate");
	expect_refusal("tls: {ca: ca.pem}", &made.stranger, "app.internal", "unable to get local issuer certificate");
	// Without a file, the system's authorities: they know none of these.
	pki_file_certificates("/etc/ssl/certs/ca-certificates.crt", &made.other_authority, NULL);
	expect_refusal("{}", &made.good, "app.internal", "unable to get local issuer certificate");
	expect_trust("{}", &made.stranger, "app.internal");
	pki_file_remove("/etc/ssl/certs/ca-certificates.crt");
}

static void trusts_everybody_only_when_told_so(void **state)
{
	expect_trust("tls: {verify: false}", &made.self_signed, "app.internal");
	expect_trust("tls: {verify: false}", &made.expired, "nobody.internal");
	expect("tls: {verify: false}", true,
	       "a.yaml:1:7: warning: certificates of these servers are not verified: whoever stands between usher and "
	       "them can read and change everything; rather name their authority under ca");
}

static void says_what_is_wrong(void **state)
{
	expect("tls: {ca: none.pem}", false, "a.yaml:1:11: cannot read \"none.pem\": No such file or directory");
	expect("tls: {ca: empty.pem}", false,
	       "a.yaml:1:11: empty.pem cannot be used: it holds no certificate (a PEM file has -----BEGIN "
	       "CERTIFICATE----- in it)");
	expect("tls: {ca: client.key}", false,
	       "a.yaml:1:11: client.key cannot be used: it holds no certificate (a PEM file has -----BEGIN "
	       "CERTIFICATE----- in it)");
	expect("tls: {ca: garbage.pem}", false,
	       "a.yaml:1:11: garbage.pem cannot be used: it holds a certificate that is broken");
	expect("tls: {ca: ca.pem, verify: false}", false,
	       "a.yaml:1:11: with verify: false nobody's word is asked for: remove verify, or ca");
	expect("tls: {ca: ca.pem, key: client.key}", false,
	       "a.yaml:1:24: a key needs its certificate: add certificate: FILE");
	expect("tls: {ca: ca.pem, certificate: client.pem}", false,
	       "a.yaml:1:32: client.pem cannot be used: it holds no private key (a PEM file has -----BEGIN PRIVATE "
	       "KEY----- in it)");
	expect("tls: {ca: ca.pem, certificate: client.pem, key: other.key}", false,
	       "a.yaml:1:32: the key does not belong to the certificate in client.pem");
	expect("tls: {ca: ca.pem, certificate: client.pem, key: locked.key}", false,
	       "a.yaml:1:49: locked.key cannot be used: its key is locked by a password; usher needs one without");
	expect("tls: {ca: ca.pem, name: \"app.internal:443\"}", false,
	       "a.yaml:1:25: expected a host name such as app.internal, without scheme and port");
	expect("{}", false,
	       "a.yaml:1:1: this system has no list of authorities to verify servers by "
	       "(/etc/ssl/certs/ca-certificates.crt): install the package ca-certificates, or name a file under tls.ca "
	       "of a pool");
}

static void appears_by_its_certificate(void **state)
{
	static const char *const texts[] = {
		"tls: {ca: ca.pem, certificate: client.pem, key: client.key}",
		"tls: {ca: ca.pem, certificate: client.both.pem}",
	};
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct loaded loaded = load_good(texts[i]);
		struct server server;
		server_start(&server, &made.good, 1, 0, true);
		struct visit visit = {.server = &server, .client = loaded.client, .name = SLICE("app.internal")};
		test_run(run_visit, &visit);
		server_end(&server);
		assert_int_equal(visit.result, TLS_DONE);
		assert_int_equal(server.with_certificate, 1);
		loaded_free(&loaded);
	}
	// One without is told so by an alert: at once with TLS 1.2.
	struct loaded loaded = load_good("tls: {ca: ca.pem}");
	struct server server;
	server_start(&server, &made.good, 1, TLS1_2_VERSION, true);
	struct visit visit = {.server = &server, .client = loaded.client, .name = SLICE("app.internal")};
	test_run(run_visit, &visit);
	server_end(&server);
	assert_int_equal(visit.result, TLS_FAILED);
	assert_int_equal(visit.failure, TLS_FAILURE_ALERT);
	assert_string_equal(visit.reason, "handshake failure (alert from the server)");
	loaded_free(&loaded);
}

static void keeps_to_its_versions(void **state)
{
	struct loaded loaded = load_good("tls: {ca: ca.pem, min_version: 1.3}");
	struct server server;
	server_start(&server, &made.good, 1, TLS1_2_VERSION, false);
	struct visit visit = {.server = &server, .client = loaded.client, .name = SLICE("app.internal")};
	test_run(run_visit, &visit);
	server_end(&server);
	assert_int_equal(visit.result, TLS_FAILED);
	assert_int_equal(visit.failure, TLS_FAILURE_ALERT);
	loaded_free(&loaded);
}

static void sends_name_and_protocols(void **state)
{
	struct loaded loaded = load_good("tls: {ca: ca.pem}");
	static const struct {
		struct slice alpn;
		const char *chosen;
	} rows[] = {
		{{"\x08http/1.1", 9}, "http/1.1"},
		{{"\x02h2", 3}, "h2"},
		{{"\x02h2\x08http/1.1", 12}, "h2"},
		{{NULL, 0}, ""},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct server server;
		server_start(&server, &made.good, 1, 0, false);
		struct visit visit = {.server = &server,
				      .client = loaded.client,
				      .name = SLICE("app.internal"),
				      .alpn = rows[i].alpn};
		test_run(run_visit, &visit);
		server_end(&server);
		assert_int_equal(visit.result, TLS_DONE);
		assert_string_equal(visit.protocol, rows[i].chosen);
		assert_string_equal(server.protocol, rows[i].chosen);
		assert_string_equal(server.name, "app.internal");
	}
	loaded_free(&loaded);
}

static void resumes_sessions(void **state)
{
	enum { VISITS = 5 };
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct loaded loaded = load_good("tls: {ca: ca.pem}");
	for (size_t i = 0; i < COUNT(versions); i++) {
		struct server server;
		server_start(&server, &made.good, VISITS, versions[i], false);
		struct visit visit = {.server = &server,
				      .client = loaded.client,
				      .sessions = tls_sessions_new(),
				      .name = SLICE("app.internal")};
		for (unsigned j = 0; j < VISITS; j++) {
			test_run(run_visit, &visit);
			assert_int_equal(visit.result, TLS_DONE);
		}
		server_end(&server);
		assert_int_equal(server.resumed, VISITS - 1);
		tls_sessions_free(visit.sessions);
	}
	loaded_free(&loaded);
}

static void count_sessions(void *argument)
{
	struct tls_sessions *sessions = argument;
	SSL_SESSION *first = tls_sessions_take(sessions), *second = tls_sessions_take(sessions);
	assert_non_null(first);
	assert_non_null(second); // a server of OpenSSL gives two
	assert_ptr_not_equal(first, second);
	assert_null(tls_sessions_take(sessions));
	// Those that came first make room.
	for (unsigned i = 0; i < 10; i++) {
		SSL_SESSION_up_ref(first);
		tls_sessions_keep(sessions, first);
	}
	SSL_SESSION_up_ref(second);
	tls_sessions_keep(sessions, second);
	SSL_SESSION *newest = tls_sessions_take(sessions);
	assert_ptr_equal(newest, second);
	// One that is over is never given out.
	SSL_SESSION_set_time(first, 1);
	assert_null(tls_sessions_take(sessions));
	tls_sessions_keep(sessions, newest);
	SSL_SESSION_free(second);
	SSL_SESSION_free(first);
}

static void uses_a_ticket_of_tls13_once(void **state)
{
	struct loaded loaded = load_good("tls: {ca: ca.pem}");
	struct server server;
	server_start(&server, &made.good, 2, 0, false);
	struct visit visit = {.server = &server,
			      .client = loaded.client,
			      .sessions = tls_sessions_new(),
			      .name = SLICE("app.internal")};
	test_run(run_visit, &visit);
	test_run(count_sessions, visit.sessions);
	test_run(run_visit, &visit);
	server_end(&server);
	assert_int_equal(server.resumed, 1);
	tls_sessions_free(visit.sessions);
	loaded_free(&loaded);
}

static uint64_t key_of(const char *text)
{
	struct loaded loaded = load(text);
	assert_true(loaded.good);
	uint64_t key = tls_client_key(loaded.client);
	loaded_free(&loaded);
	return key;
}

static void has_a_key_of_all_that_it_is(void **state)
{
	static const char *const texts[] = {
		"tls: {ca: ca.pem}",
		"tls: {ca: both.pem}",
		"tls: {ca: ca.pem, name: app.internal}",
		"tls: {ca: ca.pem, min_version: 1.3}",
		"tls: {ca: ca.pem, certificate: client.both.pem}",
		"tls: {verify: false}",
	};
	for (size_t i = 0; i < COUNT(texts); i++)
		for (size_t j = 0; j < COUNT(texts); j++)
			assert_int_equal(key_of(texts[i]) == key_of(texts[j]), i == j);
	// Of the files' content, too.
	uint64_t before = key_of("tls: {ca: self.pem}");
	pki_file_certificates("self.pem", &made.good, NULL);
	assert_int_not_equal(key_of("tls: {ca: self.pem}"), before);
	pki_file_certificates("self.pem", &made.self_signed, NULL);
	assert_int_equal(key_of("tls: {ca: self.pem}"), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verifies_servers),
		cmocka_unit_test(trusts_everybody_only_when_told_so),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(appears_by_its_certificate),
		cmocka_unit_test(keeps_to_its_versions),
		cmocka_unit_test(sends_name_and_protocols),
		cmocka_unit_test(resumes_sessions),
		cmocka_unit_test(uses_a_ticket_of_tls13_once),
		cmocka_unit_test(has_a_key_of_all_that_it_is),
	};
	return cmocka_run_group_tests(tests, make_all, free_all);
}
