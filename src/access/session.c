#include "access/session.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/hash.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { NONCE = 12, TAG = 16, VERSION = 2, TEXTS = 6 };

// Of fixed size, in front of the texts.
struct record {
	uint16_t version, lengths[TEXTS], unused;
	uint64_t id;
	int64_t created_s, seen_s;
	uint64_t proof;
};

void session_key_make(struct slice secret, struct session_key *ret_key)
{
	static const char purpose[] = "usher: sessions of logins";
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	if (secret.length == 0) {
		check(RAND_bytes(ret_key->bytes, SESSION_KEY_BYTES) == 1);
	} else {
		check(digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
		      EVP_DigestUpdate(digest, purpose, sizeof purpose) == 1 &&
		      EVP_DigestUpdate(digest, secret.data, secret.length) == 1 &&
		      EVP_DigestFinal_ex(digest, ret_key->bytes, NULL) == 1);
	}
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

enum { SLOTS = 16384, WAYS = 4 };

struct ended {
	uint64_t key;	  // 0: free
	int64_t before_s; // what was created then or earlier
	uint64_t number;  // of the ending
};

static struct {
	pthread_mutex_t lock;
	_Atomic uint64_t count; // of endings
	struct ended slots[SLOTS / WAYS][WAYS];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t user_key(struct slice login, struct slice user)
{
	return hash_number(hash_fast(login) + 1) ^ hash_fast(user) ^ 1;
}

static uint64_t session_key_of(const struct session *session)
{
	return hash_number(session->id) | 1;
}

static void put(uint64_t key, int64_t before_s)
{
	pthread_mutex_lock(&table.lock);
	struct ended *set = table.slots[hash_number(key) % (SLOTS / WAYS)], *place = set;
	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].key == key || set[i].number < place->number) {
			place = &set[i];
			if (set[i].key == key)
				break;
		}
	uint64_t number = atomic_load(&table.count) + 1;
	*place = (struct ended){key, before_s, number};
	atomic_store(&table.count, number);
	pthread_mutex_unlock(&table.lock);
}

static bool has(uint64_t key, int64_t created_s)
{
	const struct ended *set = table.slots[hash_number(key) % (SLOTS / WAYS)];
	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].key == key && created_s <= set[i].before_s)
			return true;
	return false;
}

void session_end(const struct session *session)
{
	put(session_key_of(session), INT64_MAX);
}

void session_end_all(struct slice login, struct slice user, int64_t now_s)
{
	put(user_key(login, user), now_s);
}

bool session_is_ended(const struct session *session)
{
	if (atomic_load(&table.count) == 0)
		return false;
	pthread_mutex_lock(&table.lock);
	bool is_ended = has(session_key_of(session), session->created_s) ||
			has(user_key(session->login, session->user), session->created_s);
	pthread_mutex_unlock(&table.lock);
	return is_ended;
}
