#include "access/jwt.h"

#include "base/base64.h"
#include "base/hash.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEYS_MAX = 64,
	SECRET_MAX = 256,
	SECRET_MIN = 16,
	RSA_MIN_BITS = 2048,
	SIGNATURE_MAX = 1024,
	DER_MAX = 160,
	SMALL_MAX = 4096
};

enum kind { KIND_RSA, KIND_EC, KIND_ED, KIND_SECRET };

// RFC 7518 section 3.1, and RFC 8037 section 3.1.
static const struct algorithm {
	const char *name;
	enum kind kind;
	const char *digest; // NULL: the kind's own
	bool is_pss;
	int half; // bytes of each number of an ECDSA signature
} algorithms[] = {
	{"RS256", KIND_RSA, "SHA256", false, 0},    {"RS384", KIND_RSA, "SHA384", false, 0},
	{"RS512", KIND_RSA, "SHA512", false, 0},    {"PS256", KIND_RSA, "SHA256", true, 0},
	{"PS384", KIND_RSA, "SHA384", true, 0},	    {"PS512", KIND_RSA, "SHA512", true, 0},
	{"ES256", KIND_EC, "SHA256", false, 32},    {"ES384", KIND_EC, "SHA384", false, 48},
	{"ES512", KIND_EC, "SHA512", false, 66},    {"EdDSA", KIND_ED, NULL, false, 0},
	{"HS256", KIND_SECRET, "SHA256", false, 0}, {"HS384", KIND_SECRET, "SHA384", false, 0},
	{"HS512", KIND_SECRET, "SHA512", false, 0},
};

struct key {
	enum kind kind;
	char *id;		      // NULL: none
	const struct algorithm *only; // NULL: all of the kind
	EVP_PKEY *public;	      // but for secrets
	unsigned char secret[SECRET_MAX];
	size_t secret_length;
};

struct jwt_keys {
	uint64_t digest;
	size_t count;
	struct key items[KEYS_MAX];
};

static const struct algorithm *algorithm_of(const char *name)
{
	for (size_t i = 0; name && i < sizeof algorithms / sizeof *algorithms; i++)
		if (strcmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	return NULL;
}

static int decode_member(const json_t *object, const char *name, unsigned char *to, size_t size)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? base64_decode(BASE64_URL, slice_from_string(text), to, size) : -1;
}

// --- Keys (RFC 7518 section 6)

static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *builder)
{
	OSSL_PARAM *parameters = builder ? OSSL_PARAM_BLD_to_param(builder) : NULL;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;
	if (parameters && context && EVP_PKEY_fromdata_init(context) == 1)
		(void)EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters);
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(parameters);
	return key;
}

static bool read_rsa(const json_t *object, struct key *key)
{
	unsigned char n[1024], e[16];
	int n_length = decode_member(object, "n", n, sizeof n), e_length = decode_member(object, "e", e, sizeof e);
	if (n_length <= 0 || e_length <= 0)
		return false;
	BIGNUM *modulus = BN_bin2bn(n, n_length, NULL), *exponent = BN_bin2bn(e, e_length, NULL);
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	if (modulus && exponent && builder && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent))
		key->public = make_key("RSA", builder);
	OSSL_PARAM_BLD_free(builder);
	BN_free(modulus);
	BN_free(exponent);
	return key->public && EVP_PKEY_get_bits(key->public) >= RSA_MIN_BITS;
}

static bool read_ec(const json_t *object, struct key *key)
{
	static const struct {
		const char *name, *group, *algorithm;
		int half;
	} curves[] = {{"P-256", "prime256v1", "ES256", 32},
		      {"P-384", "secp384r1", "ES384", 48},
		      {"P-521", "secp521r1", "ES512", 66}};
	const char *curve = json_string_value(json_object_get(object, "crv"));
	unsigned char point[1 + 2 * 66] = {4}; // uncompressed
	for (size_t i = 0; curve && i < sizeof curves / sizeof *curves; i++) {
		int half = curves[i].half;
		if (strcmp(curve, curves[i].name) != 0)
			continue;
		if (decode_member(object, "x", point + 1, (size_t)half) != half ||
		    decode_member(object, "y", point + 1 + half, (size_t)half) != half)
			return false;
		OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
		if (builder &&
		    OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group, 0) &&
		    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * (size_t)half))
			key->public = make_key("EC", builder);
		OSSL_PARAM_BLD_free(builder);
		const struct algorithm *own = algorithm_of(curves[i].algorithm);
		if (key->only && key->only != own)
			return false;
		key->only = own;
		return key->public != NULL;
	}
	return false;
}

static bool read_ed(const json_t *object, struct key *key)
{
	const char *curve = json_string_value(json_object_get(object, "crv"));
	unsigned char x[32];
	if (!curve || strcmp(curve, "Ed25519") != 0 || decode_member(object, "x", x, sizeof x) != sizeof x)
		return false;
	key->public = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, sizeof x);
	return key->public != NULL;
}

static bool read_secret(const json_t *object, struct key *key)
{
	int length = decode_member(object, "k", key->secret, sizeof key->secret);
	key->secret_length = length > 0 ? (size_t)length : 0;
	return length >= SECRET_MIN;
}

// False for one that is passed over.
static bool read_key(const json_t *object, bool secrets_allowed, struct key *key)
{
	static const struct {
		const char *name;
		enum kind kind;
		bool (*read)(const json_t *object, struct key *key);
	} kinds[] = {{"RSA", KIND_RSA, read_rsa},
		     {"EC", KIND_EC, read_ec},
		     {"OKP", KIND_ED, read_ed},
		     {"oct", KIND_SECRET, read_secret}};
	const char *type = json_string_value(json_object_get(object, "kty")),
		   *use = json_string_value(json_object_get(object, "use")),
		   *id = json_string_value(json_object_get(object, "kid")),
		   *only = json_string_value(json_object_get(object, "alg"));
	*key = (struct key){.only = algorithm_of(only)};
	if (!type || (use && strcmp(use, "sig") != 0) || (only && !key->only))
		return false;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (strcmp(type, kinds[i].name) != 0)
			continue;
		key->kind = kinds[i].kind;
		if ((key->only && key->only->kind != key->kind) || (key->kind == KIND_SECRET && !secrets_allowed))
			return false;
		if (!kinds[i].read(object, key) || (id && !(key->id = strdup(id)))) {
			EVP_PKEY_free(key->public);
			return false;
		}
		return true;
	}
	return false;
}

struct jwt_keys *jwt_keys_read(struct slice content, bool secrets_allowed, const char **ret_why)
{
	json_t *set = json_loadb(content.data ? content.data : "", content.length, JSON_REJECT_DUPLICATES, NULL);
	json_t *list = json_object_get(set, "keys"), *object;
	struct jwt_keys *keys = calloc(1, sizeof *keys);
	size_t i;
	*ret_why = "expected a JWK set: {\"keys\": [...]}";
	if (keys && json_is_array(list))
		json_array_foreach(list, i, object) if (keys->count < KEYS_MAX &&
							read_key(object, secrets_allowed, &keys->items[keys->count]))
			keys->count++;
	if (json_array_size(list) > 0)
		*ret_why =
			"none of its keys is one for signatures that usher knows (RSA of 2048 bits, EC, Ed25519, or a "
			"secret of 16 bytes, at least)";
	json_decref(set);
	if (keys && keys->count > 0) {
		keys->digest = hash_fast(content);
		return keys;
	}
	free(keys);
	return NULL;
}

void jwt_keys_free(struct jwt_keys *keys)
{
	for (size_t i = 0; keys && i < keys->count; i++) {
		EVP_PKEY_free(keys->items[i].public);
		free(keys->items[i].id);
	}
	if (keys)
		OPENSSL_cleanse(keys, sizeof *keys);
	free(keys);
}

uint64_t jwt_keys_digest(const struct jwt_keys *keys)
{
	return keys->digest;
}

// --- Signatures

static bool verify_secret(const struct key *key, const struct algorithm *algorithm, struct slice message,
			  const unsigned char *signature, size_t length)
{
	unsigned char made[EVP_MAX_MD_SIZE];
	unsigned made_length = 0;
	return HMAC(EVP_get_digestbyname(algorithm->digest), key->secret, (int)key->secret_length,
		    (const unsigned char *)message.data, message.length, made, &made_length) &&
	       made_length == length && CRYPTO_memcmp(made, signature, length) == 0;
}

// The two numbers of an ECDSA signature (RFC 7518 section 3.4) as OpenSSL takes them.
static int make_der(const struct algorithm *algorithm, const unsigned char *signature, size_t length,
		    unsigned char der[DER_MAX])
{
	size_t half = (size_t)algorithm->half;
	if (length != 2 * half)
		return -1;
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(signature, (int)half, NULL), *s = BN_bin2bn(signature + half, (int)half, NULL);
	int made = -1;
	if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
		unsigned char *at = der;
		r = s = NULL;
		if (i2d_ECDSA_SIG(pair, NULL) <= DER_MAX)
			made = i2d_ECDSA_SIG(pair, &at);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(pair);
	return made;
}

static bool verify_public(const struct key *key, const struct algorithm *algorithm, struct slice message,
			  const unsigned char *signature, size_t length)
{
	unsigned char der[DER_MAX];
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *settings = NULL;
	if (algorithm->kind == KIND_EC) {
		int made = make_der(algorithm, signature, length, der);
		signature = der;
		length = made > 0 ? (size_t)made : 0;
	}
	bool good = context && length > 0 &&
		    EVP_DigestVerifyInit_ex(context, &settings, algorithm->digest, NULL, NULL, key->public, NULL) == 1;
	if (good && algorithm->is_pss)
		good = EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) == 1;
	good = good &&
	       EVP_DigestVerify(context, signature, length, (const unsigned char *)message.data, message.length) == 1;
	EVP_MD_CTX_free(context);
	return good;
}

static bool verify(const struct key *key, const struct algorithm *algorithm, struct slice message,
		   const unsigned char *signature, size_t length)
{
	return algorithm->kind == KIND_SECRET ? verify_secret(key, algorithm, message, signature, length)
					      : verify_public(key, algorithm, message, signature, length);
}

static bool fits(const struct key *key, const struct algorithm *algorithm, const char *id)
{
	return key->kind == algorithm->kind && (!key->only || key->only == algorithm) &&
	       (!id || !key->id || strcmp(id, key->id) == 0);
}

// --- Tokens

const char jwt_no_key[] = "there is no key for it";

static json_t *read_part(struct slice text)
{
	char few[SMALL_MAX], *bytes = text.length <= sizeof few ? few : malloc(text.length);
	int length = bytes ? base64_decode(BASE64_URL, text, bytes, text.length) : -1;
	json_t *part = length > 0 ? json_loadb(bytes, (size_t)length, JSON_REJECT_DUPLICATES, NULL) : NULL;
	if (bytes != few)
		free(bytes);
	if (json_is_object(part))
		return part;
	json_decref(part);
	return NULL;
}

static const char *fault_of_signature(const struct jwt_keys *keys, const json_t *header, struct slice message,
				      struct slice text)
{
	const struct algorithm *algorithm = algorithm_of(json_string_value(json_object_get(header, "alg")));
	const char *id = json_string_value(json_object_get(header, "kid"));
	unsigned char signature[SIGNATURE_MAX];
	int length = base64_decode(BASE64_URL, text, signature, sizeof signature);
	bool has_key = false;
	if (!algorithm)
		return "its algorithm is none that is taken";
	// RFC 7515 section 4.1.11: what has to be understood, and is not.
	if (json_object_get(header, "crit"))
		return "it has critical extensions";
	for (size_t i = 0; i < keys->count; i++) {
		if (!fits(&keys->items[i], algorithm, id))
			continue;
		has_key = true;
		if (length > 0 && verify(&keys->items[i], algorithm, message, signature, (size_t)length))
			return NULL;
	}
	return has_key ? "its signature is wrong" : jwt_no_key;
}

static bool read_time(const json_t *claims, const char *name, double *ret_time)
{
	const json_t *value = json_object_get(claims, name);
	if (!json_is_number(value))
		return false;
	*ret_time = json_number_value(value);
	return true;
}

static bool is_text(const json_t *value, struct slice text)
{
	return json_is_string(value) &&
	       slice_equal(slice_from(json_string_value(value), json_string_length(value)), text);
}

static bool has_audience(const json_t *claims, struct slice audience)
{
	json_t *value = json_object_get(claims, "aud"), *one;
	size_t i;
	json_array_foreach(value, i, one) if (is_text(one, audience)) return true;
	return is_text(value, audience);
}

// RFC 7519 section 4.1.
static const char *fault_of_claims(const struct jwt_rules *rules, const json_t *claims, int64_t now_s)
{
	double time, now = (double)now_s, leeway = (double)rules->leeway_s;
	if (!read_time(claims, "exp", &time))
		return "it has no end (exp)";
	if (now >= time + leeway)
		return "it has expired";
	if (json_object_get(claims, "nbf") && (!read_time(claims, "nbf", &time) || now < time - leeway))
		return "it does not hold yet";
	if (rules->issuer.data && !is_text(json_object_get(claims, "iss"), rules->issuer))
		return "it is another issuer's";
	if (rules->audience.data && !has_audience(claims, rules->audience))
		return "it is for another audience";
	return NULL;
}

json_t *jwt_verify(const struct jwt_rules *rules, struct slice token, bool is_known, int64_t now_s,
		   const char **ret_why)
{
	struct slice head, rest, body, signature;
	*ret_why = "it is no token";
	if (token.length > JWT_MAX || !slice_cut(token, '.', &head, &rest) || !slice_cut(rest, '.', &body, &signature))
		return NULL;
	if (!is_known) {
		json_t *header = read_part(head);
		struct slice message = slice_first(token, head.length + 1 + body.length);
		const char *fault = header ? fault_of_signature(rules->keys, header, message, signature) : *ret_why;
		json_decref(header);
		*ret_why = fault;
		if (fault)
			return NULL;
	}
	// Only what is signed is looked at.
	json_t *claims = read_part(body);
	*ret_why = claims ? fault_of_claims(rules, claims, now_s) : "it has no claims";
	if (!*ret_why)
		return claims;
	json_decref(claims);
	return NULL;
}
