// Handshakes, as server and as client.
#include "base/check.h"
#include "fiber/wait.h"
#include "tls/local.h"
#include "tls/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	// Messages of the handshake protocol and alerts after the handshake (tickets, KeyUpdate),
	// for nothing and for each MiB of payload. Who sends more keeps us busy for nothing.
	MESSAGES_FREE = 32,
	PAYLOAD_PER_MESSAGE = 1024 * 1024,
	NAME_MAX_LENGTH = 255,
};

// --- What callbacks ask of the stream that a handshake is for (context.h)

const struct tls_server *tls_stream_server(const SSL *ssl)
{
	const struct tls_stream *tls = SSL_get_app_data(ssl);
	return tls->server;
}

bool tls_stream_note_server_name(SSL *ssl, struct slice host)
{
	struct tls_stream *tls = SSL_get_app_data(ssl);
	if (host.length == 0)
		return true;
	char *copy = malloc(host.length);
	if (!copy) {
		tls->wire.failed = -ENOMEM;
		return false;
	}
	memcpy(copy, host.data, host.length);
	free((void *)tls->peer.server_name.data);
	tls->peer.server_name = slice_from(copy, host.length);
	return true;
}

void tls_stream_note_site(SSL *ssl, const struct tls_site *site)
{
	struct tls_stream *tls = SSL_get_app_data(ssl);
	tls->site = site;
	tls->peer.site = site->key;
}

const struct tls_site *tls_stream_site(const SSL *ssl)
{
	const struct tls_stream *tls = SSL_get_app_data(ssl);
	return tls->site;
}

void tls_stream_note_reason(SSL *ssl, const char *reason)
{
	struct tls_stream *tls = SSL_get_app_data(ssl);
	if (!tls->reason)
		tls->reason = reason;
}

struct tls_sessions *tls_stream_sessions(const SSL *ssl)
{
	const struct tls_stream *tls = SSL_get_app_data(ssl);
	return tls->sessions;
}

// --- Why it failed

// OpenSSL 3.0 does not know the two that TLS 1.3 brought (RFC 8446 section 6.2).
static const char *alert_words(int alert)
{
	switch (alert) {
	case TLS13_AD_MISSING_EXTENSION:
		return "missing extension";
	case TLS13_AD_CERTIFICATE_REQUIRED:
		return "certificate required";
	}
	return SSL_alert_desc_string_long(alert);
}

static void explain_alert(struct tls_stream *tls, int alert)
{
	const char *what = alert_words(alert);
	tls->failure = TLS_FAILURE_ALERT;
	if (asprintf(&tls->reason_text, "%s (alert from the %s)", what, tls->server ? "client" : "server") < 0)
		tls->reason_text = NULL;
	tls->reason = tls->reason_text ? tls->reason_text : what;
}

static void explain_certificate(struct tls_stream *tls)
{
	tls->failure = TLS_FAILURE_CERTIFICATE;
	tls->reason = X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl));
}

void tls_stream_explain(struct tls_stream *tls)
{
	unsigned long error = ERR_peek_last_error();
	int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
	ERR_clear_error();
	if (tls->reason)
		return;
	if (tls->wire.is_not_tls)
		tls->reason = "what came is not TLS";
	else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
		explain_certificate(tls);
	else if (reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + UINT8_MAX)
		explain_alert(tls, reason - SSL_AD_REASON_OFFSET);
	else if (error)
		tls->reason = ERR_reason_error_string(error);
	else if (tls->wire.failed)
		tls->reason = strerrordesc_np(-tls->wire.failed);
	if (!tls->reason)
		tls->reason = "internal error";
}

enum tls_failure tls_stream_failure(const struct tls_stream *tls)
{
	return tls->failure;
}

const char *tls_stream_reason(const struct tls_stream *tls)
{
	return tls->reason ? tls->reason : "";
}

// --- One step after the other

// A step computes for up to a millisecond. Between two of them, of all handshakes of this
// thread, every other fiber that is ready has its turn.
static _Thread_local struct {
	bool is_taken;
	struct wait_queue waiting;
} turnstile_;

static int turnstile_enter(int64_t deadline_ns)
{
	if (!turnstile_.waiting.waiters.next)
		wait_queue_init(&turnstile_.waiting);
	while (turnstile_.is_taken) {
		int failed = wait_queue_wait(&turnstile_.waiting, "turn of a tls handshake", deadline_ns);
		if (failed) {
			if (!turnstile_.is_taken)
				wait_queue_wake_one(&turnstile_.waiting);
			return failed;
		}
	}
	turnstile_.is_taken = true;
	return 0;
}

static void turnstile_leave(void)
{
	fiber_yield();
	turnstile_.is_taken = false;
	wait_queue_wake_one(&turnstile_.waiting);
}

static enum tls_result result_of(int failed)
{
	switch (failed) {
	case -ETIMEDOUT:
		return TLS_TIMEOUT;
	case -ECANCELED:
		return TLS_CANCELLED;
	case -ENOMEM:
		return TLS_NO_MEMORY;
	case -EPROTO:
		return TLS_FAILED;
	}
	return TLS_GONE;
}

// 0 when the handshake is done, -EAGAIN when it waits for the other side, or why it failed.
static int step(struct tls_stream *tls)
{
	ERR_clear_error();
	int returned = SSL_do_handshake(tls->ssl);
	if (returned == 1)
		return 0;
	switch (SSL_get_error(tls->ssl, returned)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	}
	if (!tls->wire.failed)
		tls->wire.failed = -EPROTO;
	tls_stream_explain(tls);
	return tls->wire.failed;
}

static int shake(struct tls_stream *tls, int64_t deadline_ns)
{
	for (;;) {
		int failed = turnstile_enter(deadline_ns);
		if (failed)
			return failed;
		int done = step(tls);
		turnstile_leave();
		// The tickets that end a server's handshake (RFC 8446 section 4.6.1) leave with the
		// first bytes that are written; nobody waits for them.
		if (done == 0 && tls->server && SSL_version(tls->ssl) >= TLS1_3_VERSION)
			return 0;
		failed = tls_stream_flush(tls, "tls handshake", deadline_ns);
		if (done != -EAGAIN)
			return done;
		if (!failed)
			failed = io_wait_readable(&tls->wire.tcp.io, "tls handshake", deadline_ns);
		if (failed)
			return failed;
	}
}

// --- Before and after

static void count_message(int is_written, int version, int type, const void *bytes, size_t size, SSL *ssl,
			  void *argument)
{
	struct tls_stream *tls = argument;
	// An attempt to renegotiate shows in the alert that answers it.
	if (type != SSL3_RT_ALERT && (type != SSL3_RT_HANDSHAKE || is_written))
		return;
	uint64_t payload = tls->stream.bytes_read + tls->stream.bytes_written;
	if (++tls->messages <= MESSAGES_FREE + payload / PAYLOAD_PER_MESSAGE)
		return;
	tls_stream_note_reason(ssl, "more handshake messages and alerts than payload");
	tls->wire.failed = -EPROTO;
}

static bool prepare(struct tls_stream *tls, SSL_CTX *context)
{
	check(tls->state == TLS_FRESH && tls->wire.tcp.io.descriptor >= 0);
	tls->state = TLS_SHAKING;
	ERR_clear_error();
	tls->ssl = SSL_new(context);
	BIO *bio = tls->ssl ? tls_bio_new(&tls->wire) : NULL;
	if (!bio || !SSL_set_app_data(tls->ssl, tls)) {
		BIO_free(bio);
		return false;
	}
	SSL_set_bio(tls->ssl, bio, bio);
	SSL_set_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_set_options(tls->ssl, SSL_OP_NO_RENEGOTIATION);
	SSL_set_read_ahead(tls->ssl, 1); // a record's header and body in one system call
	return true;
}

static enum tls_result finish(struct tls_stream *tls, int failed)
{
	if (!failed && !tls_peer_fill(tls))
		failed = -ENOMEM;
	tls->server = NULL;
	tls->site = NULL;
	tls->state = failed ? TLS_BROKEN : TLS_OPEN;
	if (failed && !tls->wire.failed)
		tls->wire.failed = failed;
	if (failed && !tls->reason)
		tls->reason = strerrordesc_np(-failed);
	if (failed)
		return tls->wire.is_not_tls ? TLS_NOT_TLS : result_of(failed);
	SSL_set_msg_callback(tls->ssl, count_message);
	SSL_set_msg_callback_arg(tls->ssl, tls);
	return TLS_DONE;
}

enum tls_result tls_stream_accept(struct tls_stream *tls, const struct tls_server *server, int64_t deadline_ns)
{
	tls->server = server;
	int failed = prepare(tls, server->first) ? 0 : -ENOMEM;
	if (!failed) {
		SSL_set_accept_state(tls->ssl);
		failed = shake(tls, deadline_ns);
	}
	return finish(tls, failed);
}

// Which name to ask for (RFC 6066 section 3: no addresses), and to expect (RFC 9525).
static bool set_name(SSL *ssl, struct slice name, bool verifies)
{
	char host[NAME_MAX_LENGTH + 1];
	unsigned char address[sizeof(struct in6_addr)];
	if (name.length > NAME_MAX_LENGTH)
		return false;
	memcpy(host, name.data, name.length);
	host[name.length] = '\0';
	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		return !verifies || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return (name.length == 0 || SSL_set_tlsext_host_name(ssl, host)) && (!verifies || SSL_set1_host(ssl, host));
}

static bool prepare_client(struct tls_stream *tls, const struct tls_client *client, struct slice name,
			   struct slice alpn)
{
	bool verifies = tls_client_verifies(client);
	if (!prepare(tls, tls_client_context(client)) || !set_name(tls->ssl, name, verifies))
		return false;
	SSL_set_verify(tls->ssl, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	SSL_SESSION *session = tls->sessions ? tls_sessions_take(tls->sessions) : NULL;
	// A session that does not fit is left; the handshake is a full one then.
	if (session)
		(void)SSL_set_session(tls->ssl, session);
	SSL_SESSION_free(session);
	SSL_set_connect_state(tls->ssl);
	return alpn.length == 0 ||
	       SSL_set_alpn_protos(tls->ssl, (const unsigned char *)alpn.data, (unsigned)alpn.length) == 0;
}

enum tls_result tls_stream_connect(struct tls_stream *tls, struct tls_client *client, struct tls_sessions *sessions,
				   struct slice name, struct slice alpn, int64_t deadline_ns)
{
	tls->sessions = sessions;
	int failed = prepare_client(tls, client, name, alpn) ? 0 : -ENOMEM;
	if (!failed)
		failed = shake(tls, deadline_ns);
	return finish(tls, failed);
}

struct slice tls_stream_protocol(const struct tls_stream *tls)
{
	const unsigned char *name;
	unsigned length;
	SSL_get0_alpn_selected(tls->ssl, &name, &length);
	return slice_from(name, length);
}

const struct tls_peer *tls_stream_peer(const struct tls_stream *tls)
{
	return &tls->peer;
}
