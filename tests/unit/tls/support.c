#include "support.h"

#include <sys/socket.h>

// --- Certificates

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	assert_true(X509_add_ext(certificate, extension, -1));
	X509_EXTENSION_free(extension);
}

struct test_identity test_identity(const char *common_name, const char *names, const struct test_identity *issuer,
				   long valid_seconds)
{
	static long serial = 4096;
	struct test_identity identity = {EVP_EC_gen("P-256"), X509_new()};
	assert_true(identity.key && identity.certificate);
	X509 *certificate = identity.certificate;
	if (!issuer)
		issuer = &identity;
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600 * 24 * 30);
	X509_gmtime_adj(X509_getm_notAfter(certificate), valid_seconds);
	X509_NAME *name = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"usher, tests", -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(issuer->certificate));
	X509_set_pubkey(certificate, identity.key);
	if (names)
		add_extension(certificate, issuer->certificate, NID_subject_alt_name, names);
	else
		add_extension(certificate, issuer->certificate, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(certificate, issuer->key, EVP_sha256()) > 0);
	return identity;
}

void test_identity_free(struct test_identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->certificate);
}

// --- Contexts

// Whom the client asks for is the business of configured contexts.
static int greet(SSL *ssl, int *ret_alert, void *argument)
{
	return tls_stream_note_server_name(ssl, SLICE("site.example")) ? SSL_CLIENT_HELLO_SUCCESS
								       : SSL_CLIENT_HELLO_ERROR;
}

SSL_CTX *test_server_context(const struct test_identity *identity)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	assert_non_null(context);
	assert_int_equal(SSL_CTX_use_certificate(context, identity->certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(context, identity->key), 1);
	assert_int_equal(SSL_CTX_set_session_id_context(context, (const unsigned char *)"test", 4), 1);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_client_hello_cb(context, greet, NULL);
	return context;
}

static int session_came(SSL *ssl, SSL_SESSION *session)
{
	struct tls_sessions *sessions = tls_stream_sessions(ssl);
	if (!sessions)
		return 0;
	tls_sessions_keep(sessions, session);
	return 1;
}

void test_world_make(struct test_world *world)
{
	*world = (struct test_world){0};
	world->authority = test_identity("an authority", NULL, NULL, 3600);
	world->site_identity = test_identity("a site", "DNS:site.example,IP:127.0.0.1", &world->authority, 3600);
	world->site.key = 4711;
	world->server.first = test_server_context(&world->site_identity);
	world->client.context = SSL_CTX_new(TLS_client_method());
	world->client.verifies = true;
	SSL_CTX_set_session_cache_mode(world->client.context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(world->client.context, session_came);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(world->client.context), world->authority.certificate);
}

void test_world_free(struct test_world *world)
{
	SSL_CTX_free(world->server.first);
	SSL_CTX_free(world->client.context);
	test_identity_free(&world->authority);
	test_identity_free(&world->site_identity);
}

SSL_CTX *tls_client_context(const struct tls_client *client)
{
	return client->context;
}

bool tls_client_verifies(const struct tls_client *client)
{
	return client->verifies;
}

// --- Both ends

// Of what is sent only: a window below the loopback's segment size makes TCP wait for its timers.
static void set_buffer(const struct tcp_stream *tcp, int size)
{
	assert_int_equal(setsockopt(tcp->io.descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
}

void test_ends_open(struct test_ends *ends, int buffer_size)
{
	*ends = (struct test_ends){tls_stream_new(), tls_stream_new(), TLS_GONE, TLS_GONE};
	assert_true(ends->client && ends->server);
	test_pair(tls_stream_tcp(ends->client), tls_stream_tcp(ends->server));
	if (buffer_size) {
		set_buffer(tls_stream_tcp(ends->client), buffer_size);
		set_buffer(tls_stream_tcp(ends->server), buffer_size);
	}
}

struct accepting {
	struct test_ends *ends;
	struct test_world *world;
};

static void accept_one(void *argument)
{
	struct accepting *accepting = argument;
	struct test_ends *ends = accepting->ends;
	ends->server_result = tls_stream_accept(ends->server, &accepting->world->server, test_deadline());
}

void test_ends_shake(struct test_ends *ends, struct test_world *world, struct tls_sessions *sessions, const char *name,
		     struct slice alpn)
{
	struct accepting accepting = {ends, world};
	struct fiber *fiber = fiber_spawn_joinable("accept", accept_one, &accepting);
	assert_non_null(fiber);
	ends->client_result = tls_stream_connect(ends->client, &world->client, sessions, slice_from_string(name), alpn,
						 test_deadline());
	if (ends->client_result != TLS_DONE)
		(void)stream_shutdown(&tls_stream_tcp(ends->client)->stream);
	fiber_join(fiber);
}

void test_ends_make(struct test_ends *ends, struct test_world *world)
{
	test_ends_open(ends, 0);
	test_ends_shake(ends, world, NULL, "site.example", SLICE_EMPTY);
	assert_int_equal(ends->client_result, TLS_DONE);
	assert_int_equal(ends->server_result, TLS_DONE);
}

void test_ends_close(struct test_ends *ends)
{
	stream_close(tls_stream_stream(ends->client));
	stream_close(tls_stream_stream(ends->server));
}

void test_tls_send(struct tls_stream *to, const char *text)
{
	struct iovec part = {(void *)text, strlen(text)};
	assert_int_equal(stream_write_all(tls_stream_stream(to), &part, 1, false, "test", PATIENCE_NS), 0);
}

void test_tls_expect(struct tls_stream *from, const char *text)
{
	char got[256];
	size_t length = strlen(text), count = 0;
	assert_true(length < sizeof(got));
	while (count < length) {
		ssize_t more =
			stream_read(tls_stream_stream(from), got + count, length - count, "test", test_deadline());
		assert_true(more > 0);
		count += (size_t)more;
	}
	assert_memory_equal(got, text, length);
}

ssize_t test_tls_read_result(struct tls_stream *from)
{
	char byte;
	return stream_read(tls_stream_stream(from), &byte, 1, "test", test_deadline());
}
