#include "access/jwt_sign.h"

#include "base/base64.h"
#include "tls/pem.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

enum { RSA_MIN_BITS = 2048, SECRET_MIN = 32, SECRET_MAX = 256, SIGNATURE_MAX = 1024 };

struct jwt_signer {
	const char *algorithm, *digest; // digest: NULL: the key's own
	size_t half;			// bytes of each number of an ECDSA signature; 0: it is none
	EVP_PKEY *private;		// NULL: by the secret
	unsigned char secret[SECRET_MAX];
	size_t secret_length;
};

// --- Signers

// RFC 7518 section 3.1, and RFC 8037 section 3.1. False for a key of another kind.
static bool choose(struct jwt_signer *signer, const char **ret_why)
{
	static const struct {
		const char *group, *algorithm, *digest;
		size_t half;
	} curves[] = {{"prime256v1", "ES256", "SHA256", 32},
		      {"secp384r1", "ES384", "SHA384", 48},
		      {"secp521r1", "ES512", "SHA512", 66}};
	char group[32] = "";
	*ret_why = "its key is none that tokens are signed with: EC (P-256, P-384 or P-521), Ed25519, or RSA of 2048 "
		   "bits or more";
	if (EVP_PKEY_is_a(signer->private, "RSA")) {
		signer->algorithm = "RS256";
		signer->digest = "SHA256";
		return EVP_PKEY_get_bits(signer->private) >= RSA_MIN_BITS &&
		       EVP_PKEY_get_size(signer->private) <= SIGNATURE_MAX;
	}
	if (EVP_PKEY_is_a(signer->private, "ED25519")) {
		signer->algorithm = "EdDSA";
		return true;
	}
	(void)EVP_PKEY_get_utf8_string_param(signer->private, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL);
	for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
		if (strcmp(group, curves[i].group) != 0)
			continue;
		signer->algorithm = curves[i].algorithm;
		signer->digest = curves[i].digest;
		signer->half = curves[i].half;
		return true;
	}
	return false;
}

struct jwt_signer *jwt_signer_by_key(struct slice pem, const char **ret_why)
{
	struct jwt_signer *signer = calloc(1, sizeof *signer);
	*ret_why = "memory is out";
	if (signer && (signer->private = pem_private_key(pem, ret_why)) && choose(signer, ret_why))
		return signer;
	jwt_signer_free(signer);
	return NULL;
}

struct jwt_signer *jwt_signer_by_secret(struct slice secret, const char **ret_why)
{
	*ret_why = "a secret that signs tokens has 32 to 256 bytes";
	if (secret.length < SECRET_MIN || secret.length > SECRET_MAX)
		return NULL;
	struct jwt_signer *signer = calloc(1, sizeof *signer);
	*ret_why = "memory is out";
	if (!signer)
		return NULL;
	signer->algorithm = "HS256";
	signer->digest = "SHA256";
	signer->secret_length = secret.length;
	memcpy(signer->secret, secret.data, secret.length);
	return signer;
}

void jwt_signer_free(struct jwt_signer *signer)
{
	if (!signer)
		return;
	EVP_PKEY_free(signer->private);
	OPENSSL_cleanse(signer, sizeof *signer);
	free(signer);
}

// --- Signing

// The two numbers of an ECDSA signature, out of what OpenSSL makes of them (RFC 7518 section 3.4).
static size_t take_numbers(size_t half, unsigned char *signature, size_t length)
{
	const unsigned char *at = signature;
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)length);
	bool good = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, (int)half) == (int)half &&
		    BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + half, (int)half) == (int)half;
	ECDSA_SIG_free(pair);
	return good ? 2 * half : 0;
}

// How many bytes it has; 0 when memory is out.
static size_t sign(const struct jwt_signer *signer, struct slice message, unsigned char signature[SIGNATURE_MAX])
{
	const unsigned char *bytes = (const unsigned char *)message.data;
	size_t length = SIGNATURE_MAX;
	unsigned made = 0;
	if (!signer->private)
		return HMAC(EVP_get_digestbyname(signer->digest), signer->secret, (int)signer->secret_length, bytes,
			    message.length, signature, &made)
			       ? made
			       : 0;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context &&
		    EVP_DigestSignInit_ex(context, NULL, signer->digest, NULL, NULL, signer->private, NULL) == 1 &&
		    EVP_DigestSign(context, signature, &length, bytes, message.length) == 1;
	EVP_MD_CTX_free(context);
	if (!good)
		return 0;
	return signer->half > 0 ? take_numbers(signer->half, signature, length) : length;
}

static struct slice encode(struct slice bytes, char *to)
{
	return slice_from(to, base64_encode(BASE64_URL, bytes, to));
}

struct slice jwt_sign(const struct jwt_signer *signer, struct slice key_id, struct slice claims, struct arena *arena)
{
	unsigned char signature[SIGNATURE_MAX];
	struct slice head =
		arena_printf(arena, "{\"alg\":\"%s\",\"typ\":\"JWT\"%s%.*s%s}", signer->algorithm,
			     key_id.length ? ",\"kid\":\"" : "", SLICE_ARGUMENTS(key_id), key_id.length ? "\"" : "");
	char *text = head.data ? arena_alloc(arena, BASE64_LENGTH(head.length) + BASE64_LENGTH(claims.length) +
							    BASE64_LENGTH(SIGNATURE_MAX) + 2)
			       : NULL;
	if (!text)
		return (struct slice){0};
	size_t length = encode(head, text).length;
	text[length++] = '.';
	length += encode(claims, text + length).length;
	size_t signature_length = sign(signer, slice_from(text, length), signature);
	if (signature_length == 0)
		return (struct slice){0};
	text[length++] = '.';
	length += encode(slice_from((const char *)signature, signature_length), text + length).length;
	return slice_from(text, length);
}
