// Handshakes: which site, which of its certificates, which protocol.
#include "tls/server.h"

#include "base/check.h"
#include "tls/context.h"
#include "tls/server_name.h"
#include "tls/site.h"
#include "tls/tickets.h"

#include <openssl/err.h>
#include <openssl/tls1.h>

// --- The hello

// The host that the client asks for, empty when it asks for none. False when it cannot be one.
static bool read_host(SSL *ssl, char buffer[SERVER_NAME_MAX], struct slice *ret_host)
{
	const unsigned char *extension;
	size_t length;
	*ret_host = SLICE_EMPTY;
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &extension, &length) != 1)
		return true;
	return server_name_parse(slice_from(extension, length), buffer, ret_host);
}

static const struct tls_site *choose_site(const struct tls_server *server, struct slice host)
{
	const struct tls_site *site = host.length > 0 ? server->find(server, host) : NULL;
	return site ? site : server->standard;
}

// Goes on as the site says. OpenSSL takes certificates and suites from the new context, but
// keeps what it copied when the connection began; each of that has a follow function.
static bool follow(SSL *ssl, SSL_CTX *context, const struct tls_contexts *contexts)
{
	if (SSL_set_SSL_CTX(ssl, context) != context)
		return false;
	tls_policy_follow(ssl, context);
	client_auth_follow(ssl, context);
	tickets_follow(ssl, context);
	return SSL_set_session_id_context(ssl, contexts->session_context, sizeof(contexts->session_context)) == 1;
}

// Before OpenSSL looks at versions or at a session to resume: whatever follows from the site is
// decided here, so that no session of one site opens another.
static int choose(SSL *ssl, int *ret_alert, void *argument)
{
	const struct tls_server *server = tls_stream_server(ssl);
	char buffer[SERVER_NAME_MAX];
	struct slice host;
	if (!read_host(ssl, buffer, &host)) {
		tls_stream_note_reason(ssl, "the server name that was asked for is malformed");
		*ret_alert = SSL_AD_DECODE_ERROR;
		return SSL_CLIENT_HELLO_ERROR;
	}
	if (!tls_stream_note_server_name(ssl, host)) {
		*ret_alert = SSL_AD_INTERNAL_ERROR;
		return SSL_CLIENT_HELLO_ERROR;
	}
	const struct tls_site *site = choose_site(server, host);
	if (!site) {
		tls_stream_note_reason(ssl, "no site has the server name that was asked for");
		*ret_alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_CLIENT_HELLO_ERROR;
	}
	const struct tls_contexts *contexts = site->contexts;
	if (!follow(ssl, tls_contexts_find(contexts, host)->context, contexts)) {
		*ret_alert = SSL_AD_INTERNAL_ERROR;
		return SSL_CLIENT_HELLO_ERROR;
	}
	tls_stream_note_site(ssl, site);
	return SSL_CLIENT_HELLO_SUCCESS;
}

// --- The protocol (RFC 7301 section 3.2)

static bool offers(const unsigned char *offered, unsigned length, struct slice protocol, const unsigned char **ret_at)
{
	for (unsigned at = 0; at < length; at += 1U + offered[at]) {
		if (!slice_equal(slice_from(offered + at + 1, offered[at]), protocol))
			continue;
		*ret_at = offered + at + 1;
		return true;
	}
	return false;
}

// OpenSSL has checked that the entries fill the list.
static int choose_protocol(SSL *ssl, const unsigned char **ret_chosen, unsigned char *ret_length,
			   const unsigned char *offered, unsigned length, void *argument)
{
	static const struct slice h2 = {"h2", 2}, http1 = {"http/1.1", 8};
	const struct tls_server *server = tls_stream_server(ssl);
	struct slice chosen = h2;
	if (!server->http2 || !offers(offered, length, h2, ret_chosen)) {
		chosen = http1;
		if (!offers(offered, length, http1, ret_chosen)) {
			tls_stream_note_reason(ssl, "the client speaks no protocol that is served here (ALPN)");
			return SSL_TLSEXT_ERR_ALERT_FATAL;
		}
	}
	*ret_length = (unsigned char)chosen.length;
	return SSL_TLSEXT_ERR_OK;
}

void tls_server_attach(SSL_CTX *context)
{
	SSL_CTX_set_client_hello_cb(context, choose, NULL);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
}

// --- The context to begin with

static void free_context(void *context)
{
	SSL_CTX_free(context);
}

bool tls_server_prepare(struct config_load *load, struct tls_server *server)
{
	if (server->standard) {
		// Most handshakes go on with it.
		const struct tls_contexts *contexts = server->standard->contexts;
		server->first = contexts->standard->context;
		return true;
	}
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	// It has no certificate; what counts is that sessions are unsealed by what it says.
	bool good = context && tls_policy_apply(TLS_POLICY_INTERMEDIATE, context) && tickets_apply(true, context);
	ERR_clear_error();
	if (!good) {
		SSL_CTX_free(context);
		config_error(load, (struct config_place){0}, "OpenSSL cannot be set up: memory is out");
		return false;
	}
	tls_server_attach(context);
	server->first = context;
	return config_at_free(load, free_context, context);
}
