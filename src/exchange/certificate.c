#include "exchange/certificate.h"

#include "exchange/exchange.h"
#include "http/fields.h"
#include "tls/peer.h"

const struct tls_certificate *certificate_verified(const struct exchange *exchange)
{
	const struct tls_peer *peer = exchange->transaction.client->tls;
	return peer && peer->certificate && peer->certificate->is_verified ? peer->certificate : NULL;
}

void certificate_texts(const struct exchange *exchange, struct certificate_texts *ret_texts)
{
	const struct tls_peer *peer = exchange->transaction.client->tls;
	*ret_texts = (struct certificate_texts){0};
	if (!peer)
		return;
	const struct tls_certificate *certificate = peer->certificate;
	if (!certificate) {
		ret_texts->verification = SLICE("NONE");
		return;
	}
	ret_texts->verification = certificate->verification;
	ret_texts->fingerprint = certificate->fingerprint;
	if (!certificate->is_verified)
		return;
	ret_texts->subject = certificate->subject;
	ret_texts->issuer = certificate->issuer;
	ret_texts->names = certificate->names;
	ret_texts->serial = certificate->serial;
}

// Whether the name begins with `known`, which is in lower case, and ends there if `whole`.
static bool name_is(struct slice name, struct slice known, bool whole)
{
	if (name.length < known.length || (whole && name.length > known.length))
		return false;
	for (size_t i = 0; i < known.length; i++) {
		char byte = name.data[i] == '_' ? '-' : ascii_lower(name.data[i]);
		if (byte != known.data[i])
			return false;
	}
	return true;
}

static bool is_of_certificate(struct slice name)
{
	return name_is(name, SLICE("x-client-certificate-"), false) || name_is(name, SLICE("client-cert"), true) ||
	       name_is(name, SLICE("client-cert-chain"), true);
}

void certificate_remove_fields(struct fields *fields)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct field *field = &fields->items[i];
		if (field->id != FIELD_OTHER || !is_of_certificate(field->name))
			fields->items[kept++] = *field;
	}
	fields->count = kept;
}
