#include "tls/certificate.h"

#include "tls/certificate_check.h"
#include "tls/pem.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { CHAIN_MAX = 10, NAME_MAX_LENGTH = 253, HOST_BUFFER = 256 };

// --- What is in the files

static void free_chain(void *chain)
{
	sk_X509_pop_free(chain, X509_free);
}

static void free_key(void *key)
{
	EVP_PKEY_free(key);
}

static bool wrong_file(struct config_load *load, struct config_place place, const char *path, const char *why)
{
	config_error(load, place, "\"%s\" cannot be used: %s", path, why);
	return false;
}

static bool load_chain(struct config_load *load, struct slice pem, struct certificate *certificate)
{
	const char *wrong = NULL;
	if (slice_starts_with(pem, SLICE("\x30\x82"))) // an ASN.1 SEQUENCE of more than 255 bytes
		return wrong_file(load, certificate->place, certificate->path,
				  "it is in DER form; `openssl x509 -inform der` makes a PEM file of it");
	certificate->chain = pem_certificates(pem, &wrong);
	if (!certificate->chain)
		return wrong_file(load, certificate->place, certificate->path, wrong);
	if (!config_at_free(load, free_chain, certificate->chain))
		return false;
	if (sk_X509_num(certificate->chain) > CHAIN_MAX)
		return wrong_file(load, certificate->place, certificate->path, "it holds more than 10 certificates");
	certificate->leaf = sk_X509_value(certificate->chain, 0);
	return true;
}

static bool load_key(struct config_load *load, struct slice pem, struct config_place place,
		     struct certificate *certificate)
{
	const char *wrong = NULL;
	certificate->key = pem_private_key(pem, &wrong);
	if (!certificate->key)
		return wrong_file(load, place, certificate->key_path, wrong);
	return config_at_free(load, free_key, certificate->key);
}

static bool find_kind(struct config_load *load, struct certificate *certificate)
{
	switch (EVP_PKEY_get_base_id(X509_get0_pubkey(certificate->leaf))) {
	case EVP_PKEY_EC:
		certificate->kind = CERTIFICATE_ECDSA;
		return true;
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
		certificate->kind = CERTIFICATE_RSA;
		return true;
	case EVP_PKEY_ED25519:
	case EVP_PKEY_ED448:
		certificate->kind = CERTIFICATE_EDDSA;
		return true;
	}
	return wrong_file(load, certificate->place, certificate->path,
			  "its key is for an algorithm that TLS has no use for; expected ECDSA or RSA");
}

static bool find_time(struct config_load *load, struct certificate *certificate)
{
	struct tm from = {0}, until = {0};
	if (ASN1_TIME_to_tm(X509_get0_notBefore(certificate->leaf), &from) != 1 ||
	    ASN1_TIME_to_tm(X509_get0_notAfter(certificate->leaf), &until) != 1)
		return wrong_file(load, certificate->place, certificate->path, "its dates are malformed");
	certificate->from_s = timegm(&from);
	certificate->until_s = timegm(&until);
	return true;
}

// --- The names

// A name that a host can be compared with: no NUL in it, no wildcard but a first label.
static bool is_name(struct slice name)
{
	struct slice rest = slice_starts_with(name, SLICE("*.")) ? slice_after(name, 2) : name;
	if (rest.length == 0 || name.length > NAME_MAX_LENGTH)
		return false;
	for (size_t i = 0; i < rest.length; i++) {
		char c = rest.data[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
			return false;
	}
	return true;
}

static bool add_name(struct config_load *load, const ASN1_STRING *text, struct certificate *certificate)
{
	size_t length = (size_t)ASN1_STRING_length(text);
	char *name = config_alloc(load, length + 1);
	if (!name)
		return false;
	for (size_t i = 0; i < length; i++)
		name[i] = ascii_lower((char)ASN1_STRING_get0_data(text)[i]);
	if (is_name(slice_from(name, length)))
		certificate->names[certificate->name_count++] = slice_from(name, length);
	return true;
}

// Only subject alternative names count (RFC 9525 section 2), as for every browser.
static bool load_names(struct config_load *load, struct certificate *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate->leaf, NID_subject_alt_name, NULL, NULL);
	int count = names ? sk_GENERAL_NAME_num(names) : 0;
	certificate->names = config_alloc(load, (size_t)(count + 1) * sizeof(*certificate->names));
	bool good = certificate->names != NULL;
	for (int i = 0; good && i < count; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type == GEN_DNS)
			good = add_name(load, name->d.dNSName, certificate);
	}
	GENERAL_NAMES_free(names);
	return good;
}

struct slice certificate_wildcard(struct slice host, char *buffer, size_t size)
{
	size_t dot = slice_find(host, '.');
	if (dot + 1 >= host.length || host.length - dot + 1 > size)
		return SLICE_EMPTY;
	buffer[0] = '*';
	memcpy(buffer + 1, host.data + dot, host.length - dot);
	return slice_from(buffer, host.length - dot + 1);
}

static bool is_address_of(const struct certificate *certificate, struct slice host)
{
	char text[HOST_BUFFER];
	if (slice_starts_with(host, SLICE("[")) && slice_ends_with(host, SLICE("]")))
		host = slice_first(slice_after(host, 1), host.length - 2);
	if (host.length == 0 || host.length >= sizeof(text))
		return false;
	memcpy(text, host.data, host.length);
	text[host.length] = '\0';
	return X509_check_ip_asc(certificate->leaf, text, 0) == 1;
}

bool certificate_covers(const struct certificate *certificate, struct slice host)
{
	char lower[HOST_BUFFER], buffer[HOST_BUFFER];
	if (host.length > sizeof(lower))
		return false;
	for (size_t i = 0; i < host.length; i++)
		lower[i] = ascii_lower(host.data[i]);
	host = slice_from(lower, host.length);
	struct slice wildcard = certificate_wildcard(host, buffer, sizeof(buffer));
	for (size_t i = 0; i < certificate->name_count; i++) {
		struct slice name = certificate->names[i];
		if (slice_equal(name, host) || (wildcard.data && slice_equal(name, wildcard)))
			return true;
	}
	return is_address_of(certificate, host);
}

// --- All of it

static bool read_files(struct config_load *load, const struct config_text *path, const struct config_text *key_path,
		       struct certificate *certificate)
{
	struct slice chain, key;
	certificate->place = path->place;
	certificate->path = config_resolve(load, path).data;
	certificate->key_path = config_resolve(load, key_path).data;
	if (!certificate->path || !certificate->key_path || !config_read_watched(load, path, &chain))
		return false;
	bool same = strcmp(certificate->path, certificate->key_path) == 0;
	if (same)
		key = chain;
	else if (!config_read_watched(load, key_path, &key))
		return false;
	// Both are looked at, so that all that is wrong is told at once.
	bool good = load_chain(load, chain, certificate);
	return load_key(load, key, key_path->place, certificate) && good;
}

bool certificate_load(struct config_load *load, const struct config_text *path, const struct config_text *key_path,
		      struct certificate *ret_certificate)
{
	struct certificate certificate = {0};
	bool good = read_files(load, path, key_path, &certificate) && find_kind(load, &certificate) &&
		    find_time(load, &certificate) && load_names(load, &certificate) &&
		    certificate_check(load, &certificate);
	ERR_clear_error();
	if (good)
		*ret_certificate = certificate;
	return good;
}
