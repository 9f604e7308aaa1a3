// Tells servers of the certificate that the client showed, in fields of the request.
//
// Every route of a site whose `tls.client_certificate` asks for certificates has this handler.
// What clients say in such fields was taken off before any rule saw it (exchange/certificate.h).
#include "base/base64.h"
#include "base/text.h"
#include "exchange/certificate.h"
#include "exchange/exchange.h"
#include "exchange/snapshot.h"
#include "handlers/handlers.h"
#include "http/syntax.h"
#include "tls/peer.h"
#include "tls/server.h"

static bool client_certificate_applies(const struct route *route)
{
	return route->site->tls && route->site->tls->certificate_fields != TLS_CERTIFICATE_FIELDS_OFF;
}

static bool client_certificate_load(struct config_load *load, struct snapshot *snapshot, const struct route *route,
				    void *value, const void **ret_config)
{
	*ret_config = route->site->tls;
	return true;
}

// --- Handling

static bool add_x_fields(struct exchange *exchange);
static bool add_client_cert(struct exchange *exchange);

static void client_certificate_handle(struct exchange *exchange, const void *config)
{
	const struct tls_site *tls = config;
	bool good = true;
	if (tls->certificate_fields != TLS_CERTIFICATE_FIELDS_STANDARD)
		good = add_x_fields(exchange);
	if (tls->certificate_fields != TLS_CERTIFICATE_FIELDS_X)
		good = good && add_client_cert(exchange);
	if (good)
		exchange_next(exchange);
	else
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "tell of the client's certificate", NULL);
}

// --- Helpers

static bool add(struct exchange *exchange, struct slice name, struct slice value)
{
	// What is read from certificates is made printable there; a line break here would be
	// another field.
	bool is_clean = syntax_skip_value(value.data, value.data + value.length) == value.data + value.length;
	return value.length == 0 || !is_clean ||
	       fields_add_name(&exchange_request(exchange)->fields, exchange_arena(exchange), name, value);
}

static bool add_x_fields(struct exchange *exchange)
{
	struct certificate_texts texts;
	certificate_texts(exchange, &texts);
	struct slice verification = texts.verification.length ? texts.verification : SLICE("NONE");
	return add(exchange, SLICE("X-Client-Certificate-Verification"), verification) &&
	       add(exchange, SLICE("X-Client-Certificate-Subject"), texts.subject) &&
	       add(exchange, SLICE("X-Client-Certificate-Issuer"), texts.issuer) &&
	       add(exchange, SLICE("X-Client-Certificate-Names"), texts.names) &&
	       add(exchange, SLICE("X-Client-Certificate-Serial"), texts.serial) &&
	       add(exchange, SLICE("X-Client-Certificate-Fingerprint"), texts.fingerprint);
}

// RFC 9440 section 2.2: the certificate as a byte sequence (RFC 8941 section 3.3.5).
static bool add_client_cert(struct exchange *exchange)
{
	const struct tls_certificate *certificate = certificate_verified(exchange);
	if (!certificate)
		return true;
	struct text text = {.capacity = BASE64_LENGTH(certificate->der.length) + 2};
	text.data = arena_alloc(exchange_arena(exchange), text.capacity);
	if (!text.data)
		return false;
	text_add_char(&text, ':');
	text_add_base64(&text, certificate->der);
	text_add_char(&text, ':');
	return add(exchange, SLICE("Client-Cert"), text_slice(&text));
}

const struct handler_type client_certificate_handler = {
	.order = HANDLER_CLIENT_CERTIFICATE,
	.applies = client_certificate_applies,
	.load = client_certificate_load,
	.handle = client_certificate_handle,
};
