#include "access/session.h"

#include "access/state.h"
#include "base/base64.h"
#include "base/check.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { NONCE = 12, TAG = 16, VERSION = 3, TEXTS = 6 };

// Of fixed size, in front of the texts.
struct record {
	uint16_t version, lengths[TEXTS], unused;
	uint64_t id;
	int64_t created_s, seen_s, ends_s;
	uint64_t proof;
};

// --- Keys

// The current one is the last that was set; those before it may still be looked at.
enum { OWN_KEYS = 16 };

static struct {
	pthread_once_t once;
	unsigned char keys[OWN_KEYS][SESSION_KEY_BYTES];
	_Atomic unsigned current;
} own = {.once = PTHREAD_ONCE_INIT};

static void make_own_key(void)
{
	check(RAND_bytes(own.keys[0], SESSION_KEY_BYTES) == 1);
}

static const unsigned char *own_key(void)
{
	(void)pthread_once(&own.once, make_own_key);
	return own.keys[atomic_load_explicit(&own.current, memory_order_acquire)];
}

void session_own_secret(unsigned char ret_secret[SESSION_KEY_BYTES])
{
	memcpy(ret_secret, own_key(), SESSION_KEY_BYTES);
}

void session_set_own_secret(const unsigned char secret[SESSION_KEY_BYTES])
{
	if (CRYPTO_memcmp(own_key(), secret, SESSION_KEY_BYTES) == 0)
		return;
	unsigned next = (atomic_load(&own.current) + 1) % OWN_KEYS;
	memcpy(own.keys[next], secret, SESSION_KEY_BYTES);
	atomic_store_explicit(&own.current, next, memory_order_release);
}

void session_key_make(struct slice secret, struct session_key *ret_key)
{
	static const char purpose[] = "usher: sessions of logins";
	*ret_key = (struct session_key){.is_own = secret.length == 0};
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
static bool run(const struct session_key *key, bool encrypts, const unsigned char nonce[NONCE], struct slice scope,
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

struct slice session_write(const struct session_key *key, const struct session *session, struct slice scope,
			   char room[SESSION_TEXT_MAX])
{
	unsigned char plain[SESSION_PLAIN_MAX], sealed[NONCE + SESSION_PLAIN_MAX + TAG];
	const struct slice texts[TEXTS] = {session->login, session->user, session->groups,
					   session->email, session->told, session->password};
	struct record record = {
		.version = VERSION,
		.id = session->id,
		.created_s = session->created_s,
		.seen_s = session->seen_s,
		.ends_s = session->ends_s,
		.proof = session->proof,
	};
	size_t length = sizeof record;
	for (size_t i = 0; i < TEXTS; i++) {
		if (texts[i].length > sizeof plain - length)
			return SLICE_EMPTY;
		if (texts[i].length > 0)
			memcpy(plain + length, texts[i].data, texts[i].length);
		record.lengths[i] = (uint16_t)texts[i].length;
		length += texts[i].length;
	}
	memcpy(plain, &record, sizeof record);
	if (RAND_bytes(sealed, NONCE) != 1 ||
	    !run(key, true, sealed, scope, plain, (int)length, sealed + NONCE, sealed + NONCE + length))
		return SLICE_EMPTY;
	return slice_from(room, base64_encode(BASE64_URL, slice_from((char *)sealed, NONCE + length + TAG), room));
}

bool session_read(const struct session_key *key, struct slice text, struct slice scope, char room[SESSION_TEXT_MAX],
		  struct session *ret_session)
{
	unsigned char sealed[NONCE + SESSION_PLAIN_MAX + TAG];
	struct slice texts[TEXTS];
	struct record record;
	int length = base64_decode(BASE64_URL, text, sealed, sizeof sealed);
	if (length < NONCE + TAG + (int)sizeof record)
		return false;
	length -= NONCE + TAG;
	if (!run(key, false, sealed, scope, sealed + NONCE, length, (unsigned char *)room, sealed + NONCE + length))
		return false;
	memcpy(&record, room, sizeof record);
	struct slice rest = slice_from(room + sizeof record, (size_t)length - sizeof record);
	for (size_t i = 0; i < TEXTS; i++) {
		texts[i] = slice_first(rest, record.lengths[i]);
		rest = slice_after(rest, texts[i].length);
	}
	*ret_session = (struct session){
		.id = record.id,
		.created_s = record.created_s,
		.seen_s = record.seen_s,
		.ends_s = record.ends_s,
		.proof = record.proof,
		.login = texts[0],
		.user = texts[1],
		.groups = texts[2],
		.email = texts[3],
		.told = texts[4],
		.password = texts[5],
	};
	return record.version == VERSION;
}

// --- Ended early

void session_end(const struct session *session)
{
	struct kept kept = {.kind = KEPT_SESSION, .value = session->created_s, .until_s = session->ends_s};
	kept_set_session(&kept, session->id);
	(void)state_note(&kept);
}

void session_end_all(struct slice login, struct slice user, int64_t now_s)
{
	struct kept kept = {.kind = KEPT_USER, .value = now_s, .until_s = now_s + SESSION_LIFETIME_MAX_S};
	kept_set_user(&kept, login, user, SLICE_EMPTY);
	(void)state_note(&kept);
}

bool session_is_ended(const struct session *session)
{
	struct kept kept = {.kind = KEPT_SESSION, .value = session->created_s};
	kept_set_session(&kept, session->id);
	if (kept_covers(&kept))
		return true;
	kept.kind = KEPT_USER;
	kept_set_user(&kept, session->login, session->user, SLICE_EMPTY);
	return kept_covers(&kept);
}
