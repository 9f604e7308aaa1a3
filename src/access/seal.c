#include "access/seal.h"

#include "base/base64.h"
#include "base/check.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

enum { NONCE = 12, TAG = 16 };

void seal_key_make(struct slice secret, struct seal_key *ret_key)
{
	static const char purpose[] = "usher: sessions of logins";
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	if (secret.length == 0) {
		check(RAND_bytes(ret_key->bytes, SEAL_KEY_BYTES) == 1);
	} else {
		check(digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
		      EVP_DigestUpdate(digest, purpose, sizeof purpose) == 1 &&
		      EVP_DigestUpdate(digest, secret.data, secret.length) == 1 &&
		      EVP_DigestFinal_ex(digest, ret_key->bytes, NULL) == 1);
	}
	EVP_MD_CTX_free(digest);
}

static bool crypt_scope(EVP_CIPHER_CTX *context, struct slice scope)
{
	int length;
	return scope.length == 0 ||
	       EVP_CipherUpdate(context, NULL, &length, (const unsigned char *)scope.data, (int)scope.length) == 1;
}

// One way or the other; `tag` is written or compared.
static bool run(const struct seal_key *key, bool encrypts, const unsigned char nonce[NONCE], struct slice scope,
		const unsigned char *from, int length, unsigned char *to, unsigned char tag[TAG])
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int written = 0, rest = 0;
	bool good = context && EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes, nonce, encrypts) == 1 &&
		    crypt_scope(context, scope) && EVP_CipherUpdate(context, to, &written, from, length) == 1 &&
		    (encrypts || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1) &&
		    EVP_CipherFinal_ex(context, to + written, &rest) == 1 &&
		    (!encrypts || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, tag) == 1);
	EVP_CIPHER_CTX_free(context);
	return good && written + rest == length;
}

struct slice seal_write(const struct seal_key *key, struct slice plain, struct slice scope, char room[SEAL_TEXT_MAX])
{
	unsigned char sealed[NONCE + SEAL_PLAIN_MAX + TAG];
	if (plain.length > SEAL_PLAIN_MAX || RAND_bytes(sealed, NONCE) != 1 ||
	    !run(key, true, sealed, scope, (const unsigned char *)plain.data, (int)plain.length, sealed + NONCE,
		 sealed + NONCE + plain.length))
		return SLICE_EMPTY;
	struct slice whole = slice_from(sealed, NONCE + plain.length + TAG);
	return slice_from(room, base64_encode(BASE64_URL, whole, room));
}

struct slice seal_read(const struct seal_key *key, struct slice text, struct slice scope, char room[SEAL_TEXT_MAX])
{
	unsigned char sealed[NONCE + SEAL_PLAIN_MAX + TAG];
	int length = base64_decode(BASE64_URL, text, sealed, sizeof sealed) - NONCE - TAG;
	if (length < 0 ||
	    !run(key, false, sealed, scope, sealed + NONCE, length, (unsigned char *)room, sealed + NONCE + length))
		return SLICE_EMPTY;
	return slice_from(room, (size_t)length);
}
