#include "access/seal.h"

#include "base/check.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { NONCE = 12, TAG = 16 };
_Static_assert(NONCE + TAG == SEAL_ADDED_BYTES, "what is added to the bytes");

// --- Keys

// The current one is the last that was set; those before it may still be looked at.
enum { OWN_KEYS = 16 };

static struct {
	pthread_once_t once;
	unsigned char keys[OWN_KEYS][SEAL_KEY_BYTES];
	_Atomic unsigned current;
} own = {.once = PTHREAD_ONCE_INIT};

static void make_own_key(void)
{
	check(RAND_bytes(own.keys[0], SEAL_KEY_BYTES) == 1);
}

static const unsigned char *own_key(void)
{
	(void)pthread_once(&own.once, make_own_key);
	return own.keys[atomic_load_explicit(&own.current, memory_order_acquire)];
}

void seal_own_secret(unsigned char ret_secret[SEAL_KEY_BYTES])
{
	memcpy(ret_secret, own_key(), SEAL_KEY_BYTES);
}

void seal_set_own_secret(const unsigned char secret[SEAL_KEY_BYTES])
{
	if (CRYPTO_memcmp(own_key(), secret, SEAL_KEY_BYTES) == 0)
		return;
	unsigned next = (atomic_load(&own.current) + 1) % OWN_KEYS;
	memcpy(own.keys[next], secret, SEAL_KEY_BYTES);
	atomic_store_explicit(&own.current, next, memory_order_release);
}

void seal_key_make(struct slice secret, struct seal_key *ret_key)
{
	static const char purpose[] = "usher: sessions of logins";
	*ret_key = (struct seal_key){.is_own = secret.length == 0};
	if (ret_key->is_own)
		return;
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	check(digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
	      EVP_DigestUpdate(digest, purpose, sizeof purpose) == 1 &&
	      EVP_DigestUpdate(digest, secret.data, secret.length) == 1 &&
	      EVP_DigestFinal_ex(digest, ret_key->bytes, NULL) == 1);
	EVP_MD_CTX_free(digest);
}

// --- Encrypting

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
	const unsigned char *bytes = key->is_own ? own_key() : key->bytes;
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int written = 0, rest = 0;
	bool good = context && EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, bytes, nonce, encrypts) == 1 &&
		    crypt_scope(context, scope) && EVP_CipherUpdate(context, to, &written, from, length) == 1 &&
		    (encrypts || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1) &&
		    EVP_CipherFinal_ex(context, to + written, &rest) == 1 &&
		    (!encrypts || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, tag) == 1);
	EVP_CIPHER_CTX_free(context);
	return good && written + rest == length;
}

struct slice seal_write(const struct seal_key *key, struct slice plain, struct slice scope, struct arena *arena)
{
	size_t length = NONCE + plain.length + TAG;
	if (plain.length > SEAL_PLAIN_MAX)
		return SLICE_EMPTY;
	unsigned char *sealed = arena_alloc(arena, length);
	char *text = arena_alloc(arena, BASE64_LENGTH(length));
	if (!sealed || !text || RAND_bytes(sealed, NONCE) != 1 ||
	    !run(key, true, sealed, scope, (const unsigned char *)plain.data, (int)plain.length, sealed + NONCE,
		 sealed + NONCE + plain.length))
		return SLICE_EMPTY;
	return slice_from(text, base64_encode(BASE64_URL, slice_from(sealed, length), text));
}

// Decrypted where it lies: its text is longer than all of it.
struct slice seal_read(const struct seal_key *key, struct slice text, struct slice scope, char *room)
{
	unsigned char *sealed = (unsigned char *)room;
	int length =
		text.length <= SEAL_TEXT_MAX ? base64_decode(BASE64_URL, text, room, text.length) - NONCE - TAG : -1;
	if (length < 0 ||
	    !run(key, false, sealed, scope, sealed + NONCE, length, sealed + NONCE, sealed + NONCE + length))
		return SLICE_EMPTY;
	return slice_from(room + NONCE, (size_t)length);
}
