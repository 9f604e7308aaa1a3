// What a handshake found out about the other side.
#include "tls/peer.h"

#include "base/block.h"
#include "base/text.h"
#include "tls/local.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

// --- The texts of a certificate. One that does not fit into the block is left empty.

static struct slice text_since(const struct text *text, size_t start)
{
	return slice_from(text->data + start, text->length - start);
}

static struct slice name_text(struct text *text, const X509_NAME *name)
{
	size_t start = text->length;
	BIO *bio = BIO_new(BIO_s_mem());
	// Everything but printable ASCII is escaped.
	if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
		char *printed = NULL;
		long length = BIO_get_mem_data(bio, &printed);
		text_add(text, slice_from(printed, length > 0 ? (size_t)length : 0));
	}
	BIO_free(bio);
	return text_since(text, start);
}

// A name that a stranger chose must not look like two, nor break a field: RFC 2253's way of
// writing such bytes.
static void add_escaped(struct text *text, struct slice bytes)
{
	for (size_t i = 0; i < bytes.length; i++) {
		char c = bytes.data[i];
		if (c > ' ' && c < 0x7f && c != ',' && c != '"' && c != '\\') {
			text_add_char(text, c);
			continue;
		}
		text_add_char(text, '\\');
		text_add_hex(text, (unsigned char)c, 2);
	}
}

static void add_string_name(struct text *text, const char *kind, const ASN1_STRING *string)
{
	text_add_string(text, kind);
	add_escaped(text, slice_from(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string)));
}

static void add_address_name(struct text *text, const ASN1_STRING *address)
{
	char printed[INET6_ADDRSTRLEN];
	int length = ASN1_STRING_length(address);
	int family = length == sizeof(struct in_addr) ? AF_INET : AF_INET6;
	text_add_string(text, "IP:");
	if ((family == AF_INET || length == sizeof(struct in6_addr)) &&
	    inet_ntop(family, ASN1_STRING_get0_data(address), printed, sizeof printed))
		text_add_string(text, printed);
}

static struct slice names_text(struct text *text, const X509 *certificate)
{
	size_t start = text->length;
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		struct slice before = text_since(text, start);
		if (before.length > 0 && (name->type == GEN_DNS || name->type == GEN_EMAIL || name->type == GEN_URI ||
					  name->type == GEN_IPADD))
			text_add_string(text, ", ");
		if (name->type == GEN_DNS)
			add_string_name(text, "DNS:", name->d.dNSName);
		else if (name->type == GEN_EMAIL)
			add_string_name(text, "email:", name->d.rfc822Name);
		else if (name->type == GEN_URI)
			add_string_name(text, "URI:", name->d.uniformResourceIdentifier);
		else if (name->type == GEN_IPADD)
			add_address_name(text, name->d.iPAddress);
	}
	GENERAL_NAMES_free(names);
	return text_since(text, start);
}

static struct slice serial_text(struct text *text, const X509 *certificate)
{
	size_t start = text->length;
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
	char *printed = number ? BN_bn2hex(number) : NULL;
	if (printed)
		text_add_string(text, printed);
	OPENSSL_free(printed);
	BN_free(number);
	return text_since(text, start);
}

static struct slice fingerprint_text(struct text *text, const X509 *certificate)
{
	size_t start = text->length;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;
	if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1)
		return text_since(text, start);
	for (unsigned i = 0; i < size; i++)
		text_add_hex(text, digest[i], 2);
	return text_since(text, start);
}

static struct slice verification_text(struct text *text, long result)
{
	size_t start = text->length;
	text_add_string(text, result == X509_V_OK ? "SUCCESS" : "FAILED:");
	if (result != X509_V_OK)
		text_add_string(text, X509_verify_cert_error_string(result));
	return text_since(text, start);
}

static void describe(struct text *text, const SSL *ssl, const X509 *certificate, struct tls_certificate *ret_described)
{
	long result = SSL_get_verify_result(ssl);
	*ret_described = (struct tls_certificate){
		.is_verified = result == X509_V_OK,
		.verification = verification_text(text, result),
		.fingerprint = fingerprint_text(text, certificate),
		.serial = serial_text(text, certificate),
		.subject = name_text(text, X509_get_subject_name(certificate)),
		.issuer = name_text(text, X509_get_issuer_name(certificate)),
		.names = names_text(text, certificate),
	};
	ERR_clear_error();
}

// --- The peer

static struct slice moved(struct slice slice, const char *from, const char *to)
{
	return slice_from(to + (slice.data - from), slice.length);
}

// Keeps what was described: its texts go into the peer's own memory, and the certificate with
// them.
static bool keep_certificate(struct tls_stream *tls, const X509 *shown, const struct tls_certificate *described,
			     struct slice texts)
{
	int der_size = i2d_X509(shown, NULL);
	if (der_size <= 0)
		return false;
	struct tls_certificate *kept = malloc(sizeof *kept + texts.length + (size_t)der_size);
	if (!kept)
		return false;
	char *to = (char *)(kept + 1);
	unsigned char *der = (unsigned char *)to + texts.length;
	memcpy(to, texts.data, texts.length);
	*kept = (struct tls_certificate){
		.is_verified = described->is_verified,
		.verification = moved(described->verification, texts.data, to),
		.subject = moved(described->subject, texts.data, to),
		.issuer = moved(described->issuer, texts.data, to),
		.names = moved(described->names, texts.data, to),
		.serial = moved(described->serial, texts.data, to),
		.fingerprint = moved(described->fingerprint, texts.data, to),
		.der = slice_from(der, (size_t)der_size),
	};
	(void)i2d_X509(shown, &der);
	tls->peer.certificate = kept;
	return true;
}

static bool fill_certificate(struct tls_stream *tls)
{
	const X509 *shown = SSL_get0_peer_certificate(tls->ssl);
	if (!shown)
		return true;
	char *block = block_take();
	if (!block)
		return false;
	struct text text;
	struct tls_certificate described;
	text_init(&text, block, BLOCK_SIZE);
	describe(&text, tls->ssl, shown, &described);
	bool kept = keep_certificate(tls, shown, &described, text_slice(&text));
	block_give(block);
	return kept;
}

bool tls_peer_fill(struct tls_stream *tls)
{
	tls->peer.version = SSL_get_version(tls->ssl);
	tls->peer.cipher = SSL_get_cipher_name(tls->ssl);
	tls->peer.resumed = SSL_session_reused(tls->ssl);
	return !SSL_is_server(tls->ssl) || fill_certificate(tls);
}

void tls_peer_clear(struct tls_stream *tls)
{
	free((void *)tls->peer.server_name.data);
	free((void *)tls->peer.certificate);
	tls->peer.server_name = SLICE_EMPTY;
	tls->peer.certificate = NULL;
}
