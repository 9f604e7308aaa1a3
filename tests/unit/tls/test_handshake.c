// Handshakes: what they find out, and how they fail, in words.
#include "fail_alloc.h"
#include "support.h"
#include "tls/client.h"

#include <stdlib.h>

static struct test_world world;

static int world_make(void **state)
{
	test_world_make(&world);
	return 0;
}

static int world_free(void **state)
{
	test_world_free(&world);
	return 0;
}

static void in_both(fiber_function *run)
{
	SSL_CTX_set_max_proto_version(world.client.context, TLS1_2_VERSION);
	test_run(run, "TLSv1.2");
	SSL_CTX_set_max_proto_version(world.client.context, TLS1_3_VERSION);
	test_run(run, "TLSv1.3");
}

// Opens, shakes hands, and says how it went; the ends are still to be closed.
static void shake(struct test_ends *ends, const char *name)
{
	test_ends_open(ends, 0);
	test_ends_shake(ends, &world, NULL, name, SLICE_EMPTY);
}

// --- What it finds

static void look_at_the_peer(void *argument)
{
	struct test_ends ends;
	shake(&ends, "site.example");
	assert_int_equal(ends.client_result, TLS_DONE);
	assert_int_equal(ends.server_result, TLS_DONE);
	const struct tls_peer *peer = tls_stream_peer(ends.server);
	assert_true(slice_equal(peer->server_name, SLICE("site.example")));
	assert_string_equal(peer->version, argument);
	assert_non_null(peer->cipher);
	assert_false(peer->resumed);
	assert_null(peer->certificate);
	assert_int_equal(tls_stream_protocol(ends.server).length, 0);
	assert_string_equal(tls_stream_reason(ends.server), "");
	assert_string_equal(tls_stream_peer(ends.client)->version, argument);
	test_ends_close(&ends);
}

static void tells_of_the_peer(void **state)
{
	in_both(look_at_the_peer);
}

static int choose_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_length,
			   const unsigned char *offered, unsigned length, void *argument)
{
	tls_stream_note_site(ssl, &world.site);
	assert_ptr_equal(tls_stream_site(ssl), &world.site);
	assert_ptr_equal(tls_stream_server(ssl), &world.server);
	return SSL_select_next_proto((unsigned char **)ret_name, ret_length, (const unsigned char *)"\2h2", 3, offered,
				     length) == OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void agree_on_a_protocol(void *argument)
{
	struct test_ends ends;
	SSL_CTX_set_alpn_select_cb(world.server.first, choose_protocol, NULL);
	test_ends_open(&ends, 0);
	test_ends_shake(&ends, &world, NULL, "site.example", SLICE("\x08http/1.1\x02h2"));
	assert_true(slice_equal(tls_stream_protocol(ends.client), SLICE("h2")));
	assert_true(slice_equal(tls_stream_protocol(ends.server), SLICE("h2")));
	assert_int_equal(tls_stream_peer(ends.server)->site, world.site.key);
	test_ends_close(&ends);

	test_ends_open(&ends, 0);
	test_ends_shake(&ends, &world, NULL, "site.example", SLICE("\x08http/1.1"));
	assert_int_equal(ends.client_result, TLS_FAILED);
	assert_int_equal(ends.server_result, TLS_FAILED);
	assert_string_equal(tls_stream_reason(ends.client), "no application protocol (alert from the server)");
	test_ends_close(&ends);
	SSL_CTX_set_alpn_select_cb(world.server.first, NULL, NULL);
}

static void agrees_on_a_protocol(void **state)
{
	in_both(agree_on_a_protocol);
}

static void resume(void *argument)
{
	struct tls_sessions *sessions = tls_sessions_new();
	for (int i = 0; i < 3; i++) {
		struct test_ends ends;
		test_ends_open(&ends, 0);
		test_ends_shake(&ends, &world, sessions, "site.example", SLICE_EMPTY);
		assert_int_equal(ends.client_result, TLS_DONE);
		assert_int_equal(ends.server_result, TLS_DONE);
		assert_int_equal(tls_stream_peer(ends.client)->resumed, i > 0);
		assert_int_equal(tls_stream_peer(ends.server)->resumed, i > 0);
		assert_true(slice_equal(tls_stream_peer(ends.server)->server_name, SLICE("site.example")));
		test_tls_send(ends.server, "tickets leave with it");
		test_tls_expect(ends.client, "tickets leave with it");
		test_ends_close(&ends);
	}
	tls_sessions_free(sessions);
}

static void resumes_sessions(void **state)
{
	SSL_CTX_set_session_cache_mode(world.server.first, SSL_SESS_CACHE_SERVER);
	in_both(resume);
	SSL_CTX_set_session_cache_mode(world.server.first, SSL_SESS_CACHE_OFF);
}

// --- Who the server is

static void shake_as(const char *name, const char *reason)
{
	struct test_ends ends;
	shake(&ends, name);
	assert_int_equal(ends.client_result, reason ? TLS_FAILED : TLS_DONE);
	assert_int_equal(ends.server_result, reason ? TLS_FAILED : TLS_DONE);
	assert_string_equal(tls_stream_reason(ends.client), reason ? reason : "");
	test_ends_close(&ends);
}

static void check_names(void *argument)
{
	shake_as("site.example", NULL);
	shake_as("127.0.0.1", NULL);
	shake_as("other.example", "hostname mismatch");
	shake_as("127.0.0.2", "IP address mismatch");
	shake_as("::1", "IP address mismatch");
	shake_as("a site", "hostname mismatch"); // the common name is none
	world.client.verifies = false;
	shake_as("other.example", NULL);
	shake_as("", NULL);
	world.client.verifies = true;
}

static void checks_names(void **state)
{
	in_both(check_names);
}

static void meet_a_bad_certificate(void *argument)
{
	struct test_identity expired = test_identity("site", "DNS:site.example", &world.authority, -10);
	struct test_identity own = test_identity("site", "DNS:site.example", NULL, 3600);
	SSL_CTX *good = world.server.first;
	struct test_ends ends;

	world.server.first = test_server_context(&expired);
	shake(&ends, "site.example");
	assert_int_equal(ends.client_result, TLS_FAILED);
	assert_string_equal(tls_stream_reason(ends.client), "certificate has expired");
	assert_int_equal(ends.server_result, TLS_FAILED);
	assert_string_equal(tls_stream_reason(ends.server), "certificate expired (alert from the client)");
	test_ends_close(&ends);
	SSL_CTX_free(world.server.first);

	world.server.first = test_server_context(&own);
	shake(&ends, "site.example");
	assert_string_equal(tls_stream_reason(ends.client), "self-signed certificate");
	assert_string_equal(tls_stream_reason(ends.server), "unknown CA (alert from the client)");
	test_ends_close(&ends);
	SSL_CTX_free(world.server.first);

	world.server.first = good;
	test_identity_free(&expired);
	test_identity_free(&own);
}

static void refuses_bad_certificates(void **state)
{
	in_both(meet_a_bad_certificate);
}

static void speak_different_versions(void *argument)
{
	SSL_CTX_set_min_proto_version(world.server.first, TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(world.client.context, TLS1_2_VERSION);
	struct test_ends ends;
	shake(&ends, "site.example");
	assert_string_equal(tls_stream_reason(ends.server), "unsupported protocol");
	assert_string_equal(tls_stream_reason(ends.client), "protocol version (alert from the server)");
	test_ends_close(&ends);
	SSL_CTX_set_min_proto_version(world.server.first, 0);
	SSL_CTX_set_max_proto_version(world.client.context, 0);
}

static void needs_a_common_version(void **state)
{
	test_run(speak_different_versions, NULL);
}

// --- Who the client is

static void show(const struct test_identity *identity, struct test_ends *ends)
{
	SSL_CTX *plain = world.client.context;
	world.client.context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(world.client.context, SSL_CTX_get_max_proto_version(plain));
	X509_STORE_add_cert(SSL_CTX_get_cert_store(world.client.context), world.authority.certificate);
	SSL_CTX_use_certificate(world.client.context, identity->certificate);
	SSL_CTX_use_PrivateKey(world.client.context, identity->key);
	shake(ends, "site.example");
	SSL_CTX_free(world.client.context);
	world.client.context = plain;
}

static int accept_any(int good, X509_STORE_CTX *context)
{
	return 1;
}

static bool contains(struct slice text, const char *wanted)
{
	return memmem(text.data, text.length, wanted, strlen(wanted)) != NULL;
}

static void look_at_certificate(const struct test_identity *identity)
{
	struct test_ends ends;
	show(identity, &ends);
	assert_int_equal(ends.server_result, TLS_DONE);
	const struct tls_certificate *shown = tls_stream_peer(ends.server)->certificate;
	assert_non_null(shown);
	assert_true(shown->is_verified);
	assert_true(slice_equal(shown->verification, SLICE("SUCCESS")));
	assert_true(slice_equal(shown->subject, SLICE("CN=J\\C3\\BCrgen \\\"x\\\",O=usher\\, tests")));
	assert_true(slice_equal(shown->issuer, SLICE("CN=an authority,O=usher\\, tests")));
	// What looks like another name is none.
	assert_true(slice_equal(shown->names, SLICE("DNS:a.example, email:j@a.example, URI:spiffe://a/b, IP:192.0.2.1, "
						    "IP:2001:db8::1, DNS:b.example\\2c\\20DNS:c.example")));
	assert_true(shown->serial.length > 0 && strspn(shown->serial.data, "0123456789ABCDEF") >= shown->serial.length);

	unsigned char digest[EVP_MAX_MD_SIZE], *der = NULL;
	unsigned size;
	assert_true(X509_digest(identity->certificate, EVP_sha256(), digest, &size));
	char *hex = OPENSSL_buf2hexstr(digest, size);
	assert_int_equal(shown->fingerprint.length, 64);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(ascii_lower(hex[i / 2 * 3 + i % 2]), shown->fingerprint.data[i]);
	OPENSSL_free(hex);
	int length = i2d_X509(identity->certificate, &der);
	assert_int_equal(shown->der.length, length);
	assert_memory_equal(shown->der.data, der, (size_t)length);
	OPENSSL_free(der);
	test_ends_close(&ends);
}

// One more DNS name, which no configuration could have.
static void add_name(struct test_identity *identity, const char *name)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(identity->certificate, NID_subject_alt_name, NULL, NULL);
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	GENERAL_NAME *added = GENERAL_NAME_new();
	assert_true(ASN1_STRING_set(text, name, -1));
	GENERAL_NAME_set0_value(added, GEN_DNS, text);
	sk_GENERAL_NAME_push(names, added);
	assert_int_equal(X509_add1_ext_i2d(identity->certificate, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE),
			 1);
	GENERAL_NAMES_free(names);
	assert_true(X509_sign(identity->certificate, world.authority.key, EVP_sha256()) > 0);
}

static void show_certificates(void *argument)
{
	SSL_CTX *context = world.server.first;
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(context), world.authority.certificate);
	struct test_identity good = test_identity("J\xc3\xbcrgen \"x\"",
						  "DNS:a.example,email:j@a.example,URI:spiffe://a/b,IP:192.0.2.1,"
						  "IP:2001:db8::1",
						  &world.authority, 3600);
	add_name(&good, "b.example, DNS:c.example");
	look_at_certificate(&good);

	// One that nobody vouches for: the handshake fails, or the certificate is marked.
	struct test_identity own = test_identity("me", NULL, NULL, 3600);
	struct test_ends ends;
	show(&own, &ends);
	assert_int_equal(ends.server_result, TLS_FAILED);
	assert_string_equal(tls_stream_reason(ends.server), "self-signed certificate");
	test_ends_close(&ends);

	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, accept_any);
	show(&own, &ends);
	assert_int_equal(ends.server_result, TLS_DONE);
	const struct tls_certificate *shown = tls_stream_peer(ends.server)->certificate;
	assert_false(shown->is_verified);
	assert_true(contains(shown->verification, "FAILED:self-signed certificate"));
	assert_int_equal(shown->names.length, 0);
	test_ends_close(&ends);
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	test_identity_free(&own);
	test_identity_free(&good);
}

static void tells_of_certificates(void **state)
{
	in_both(show_certificates);
}

// --- What is no handshake

struct accepting {
	struct tls_stream *tls;
	int64_t deadline_ns;
	enum tls_result result;
};

static void accept_one(void *argument)
{
	struct accepting *accepting = argument;
	accepting->result = tls_stream_accept(accepting->tls, &world.server, accepting->deadline_ns);
}

// A client who says this and no more: how the handshake ends. With `cancels` the server is
// cancelled, with `leaves` the client closes.
static enum tls_result hear(const char *said, size_t size, int64_t patience_ns, bool cancels, bool leaves,
			    char *ret_reason)
{
	struct tcp_stream client;
	struct accepting accepting = {tls_stream_new(), loop_now() + patience_ns, TLS_DONE};
	assert_non_null(accepting.tls);
	test_pair(&client, tls_stream_tcp(accepting.tls));
	struct fiber *fiber = fiber_spawn_joinable("accept", accept_one, &accepting);
	struct iovec part = {(void *)said, size};
	if (size)
		assert_int_equal(stream_write_all(&client.stream, &part, 1, false, "test", PATIENCE_NS), 0);
	if (leaves)
		stream_close(&client.stream);
	if (cancels) {
		fiber_sleep("test", loop_now() + 5 * MILLISECOND_NS);
		fiber_cancel(fiber);
	}
	fiber_join(fiber);
	(void)snprintf(ret_reason, 100, "%s", tls_stream_reason(accepting.tls));
	stream_close(&client.stream);
	stream_close(tls_stream_stream(accepting.tls));
	return accepting.result;
}

static void hear_other_things(void *argument)
{
	char reason[100];
	int64_t short_ns = 20 * MILLISECOND_NS, long_ns = PATIENCE_NS;
	assert_int_equal(hear("GET / HTTP/1.1\r\n", 16, long_ns, false, false, reason), TLS_NOT_TLS);
	assert_string_equal(reason, "what came is not TLS");
	assert_int_equal(hear("\x80\x2e\x01", 3, long_ns, false, false, reason), TLS_NOT_TLS);
	assert_int_equal(hear("", 0, short_ns, false, false, reason), TLS_TIMEOUT);
	assert_int_equal(hear("\x16\x03\x01\x02", 4, short_ns, false, false, reason), TLS_TIMEOUT);
	assert_int_equal(hear("", 0, long_ns, true, false, reason), TLS_CANCELLED);
	assert_int_equal(hear("\x16\x03\x01", 3, long_ns, true, false, reason), TLS_CANCELLED);
	assert_int_equal(hear("", 0, long_ns, false, true, reason), TLS_GONE);
	assert_int_equal(hear("\x16\x03\x01", 3, long_ns, false, true, reason), TLS_GONE);
	assert_string_equal(reason, "Connection reset by peer");
	assert_int_equal(hear("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10, long_ns, false, false, reason),
			 TLS_FAILED);
	assert_int_equal(hear("\x15\x03\x01\x00\x02\x02\x28", 7, long_ns, false, false, reason), TLS_FAILED);
}

static void survives_other_things(void **state)
{
	test_run(hear_other_things, NULL);
}

static void shake_beside(void *argument)
{
	struct test_ends *ends = argument;
	test_ends_make(ends, &world);
}

// Many at once, some of them cancelled while they wait for their turn.
static void shake_in_a_crowd(void *argument)
{
	enum { CROWD = 20 };
	struct test_ends ends[CROWD];
	struct fiber *fibers[CROWD];
	for (int i = 0; i < CROWD; i++)
		fibers[i] = fiber_spawn_joinable("crowd", shake_beside, &ends[i]);
	char reason[100];
	assert_int_equal(hear("\x16", 1, PATIENCE_NS, true, false, reason), TLS_CANCELLED);
	for (int i = 0; i < CROWD; i++) {
		fiber_join(fibers[i]);
		test_ends_close(&ends[i]);
	}
}

static void takes_turns(void **state)
{
	in_both(shake_in_a_crowd);
}

// --- Without memory

// Each allocation of usher's fails in turn (those of OpenSSL are not counted): whose it was
// sees it, and the other side sees a connection that ends.
static void shake_without_memory(void *argument)
{
	bool failed = true;
	for (unsigned n = 0; failed; n++) {
		struct test_ends ends;
		test_ends_open(&ends, 0);
		struct accepting accepting = {ends.server, test_deadline(), TLS_DONE};
		struct fiber *fiber = fiber_spawn_joinable("accept", accept_one, &accepting);
		block_trim();
		fail_alloc_after(n);
		enum tls_result result = tls_stream_connect(ends.client, &world.client, NULL, SLICE("site.example"),
							    SLICE_EMPTY, test_deadline());
		if (result != TLS_DONE)
			(void)stream_shutdown(&tls_stream_tcp(ends.client)->stream);
		fiber_join(fiber);
		failed = fail_alloc_stop();
		assert_int_equal(failed, result == TLS_NO_MEMORY || accepting.result == TLS_NO_MEMORY);
		test_ends_close(&ends);
	}
}

static void survives_without_memory(void **state)
{
	in_both(shake_without_memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_of_the_peer),
		cmocka_unit_test(agrees_on_a_protocol),
		cmocka_unit_test(resumes_sessions),
		cmocka_unit_test(checks_names),
		cmocka_unit_test(refuses_bad_certificates),
		cmocka_unit_test(needs_a_common_version),
		cmocka_unit_test(tells_of_certificates),
		cmocka_unit_test(survives_other_things),
		cmocka_unit_test(takes_turns),
		cmocka_unit_test(survives_without_memory),
	};
	return cmocka_run_group_tests(tests, world_make, world_free);
}
