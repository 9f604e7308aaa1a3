#include "tls/tickets.h"

#include "base/random.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

// One for a handshake: HTTP/2 needs one connection, and a client that wants more gets one more
// with each.
enum { TICKETS_PER_HANDSHAKE = 1 };

// --- Keys

static bool is_current(const struct ticket_keys *keys, int64_t now_s)
{
	return keys->count > 0 && now_s - keys->keys[0].made_s < TICKETS_NEW_KEY_SECONDS;
}

// With the lock held for writing.
static void add_key(struct ticket_keys *keys, int64_t now_s)
{
	if (keys->count < TICKET_KEYS_MAX)
		keys->count++;
	memmove(&keys->keys[1], &keys->keys[0], (keys->count - 1) * sizeof(keys->keys[0]));
	struct ticket_key *key = &keys->keys[0];
	random_secret(key->name, sizeof(key->name));
	random_secret(key->encryption, sizeof(key->encryption));
	random_secret(key->authentication, sizeof(key->authentication));
	key->made_s = now_s;
}

// With the lock held for writing. Those that nobody may use any more leave memory.
static void forget_old(struct ticket_keys *keys, int64_t now_s)
{
	while (keys->count > 0 && now_s - keys->keys[keys->count - 1].made_s >= TICKETS_KEY_SECONDS)
		OPENSSL_cleanse(&keys->keys[--keys->count], sizeof(keys->keys[0]));
}

void ticket_keys_newest(struct ticket_keys *keys, int64_t now_s, struct ticket_key *ret_key)
{
	pthread_rwlock_rdlock(&keys->lock);
	bool current = is_current(keys, now_s);
	if (current)
		*ret_key = keys->keys[0];
	pthread_rwlock_unlock(&keys->lock);
	if (current)
		return;
	pthread_rwlock_wrlock(&keys->lock);
	// Another thread may have been first.
	if (!is_current(keys, now_s)) {
		add_key(keys, now_s);
		forget_old(keys, now_s);
	}
	*ret_key = keys->keys[0];
	pthread_rwlock_unlock(&keys->lock);
}

bool ticket_keys_find(struct ticket_keys *keys, const unsigned char name[TICKET_NAME_SIZE], int64_t now_s,
		      struct ticket_key *ret_key, bool *ret_newest)
{
	bool found = false;
	pthread_rwlock_rdlock(&keys->lock);
	for (unsigned i = 0; i < keys->count && !found; i++) {
		const struct ticket_key *key = &keys->keys[i];
		if (memcmp(key->name, name, TICKET_NAME_SIZE) != 0 || now_s - key->made_s >= TICKETS_KEY_SECONDS)
			continue;
		*ret_key = *key;
		*ret_newest = i == 0 && is_current(keys, now_s);
		found = true;
	}
	pthread_rwlock_unlock(&keys->lock);
	return found;
}

// --- The process's, for OpenSSL

static struct ticket_keys process_keys = TICKET_KEYS_INITIALIZER;

static int64_t now_seconds(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

// Looked up once: for each ticket it would cost as much as sealing it.
static EVP_CIPHER *cipher;

static void fetch_cipher(void)
{
	cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
}

static bool set_authentication(EVP_MAC_CTX *mac, struct ticket_key *key)
{
	char digest[] = "SHA256";
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->authentication, sizeof(key->authentication)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

static int seal(struct ticket_key *key, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *sealing,
		EVP_MAC_CTX *mac)
{
	ticket_keys_newest(&process_keys, now_seconds(), key);
	memcpy(name, key->name, sizeof(key->name));
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(cipher)) != 1)
		return -1;
	return EVP_EncryptInit_ex2(sealing, cipher, key->encryption, iv, NULL) == 1 && set_authentication(mac, key)
		       ? 1
		       : -1;
}

// 2 asks for a new ticket, sealed with the newest key.
static int unseal(struct ticket_key *key, const unsigned char *name, const unsigned char *iv, EVP_CIPHER_CTX *sealing,
		  EVP_MAC_CTX *mac)
{
	bool newest;
	if (!ticket_keys_find(&process_keys, name, now_seconds(), key, &newest))
		return 0;
	if (!set_authentication(mac, key) || EVP_DecryptInit_ex2(sealing, cipher, key->encryption, iv, NULL) != 1)
		return -1;
	return newest ? 1 : 2;
}

static int use_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *sealing, EVP_MAC_CTX *mac,
		   int is_sealing)
{
	struct ticket_key key;
	int result = is_sealing ? seal(&key, name, iv, sealing, mac) : unseal(&key, name, iv, sealing, mac);
	OPENSSL_cleanse(&key, sizeof(key));
	return result;
}

// A session that a client's certificate was shown for ends with that certificate: it is not
// verified again when the session is resumed.
static SSL_TICKET_RETURN check_session(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_length,
				       SSL_TICKET_STATUS status, void *argument)
{
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	const X509 *certificate = SSL_SESSION_get0_peer(session);
	if (certificate && X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

static int fill_in_nothing(SSL *ssl, void *argument)
{
	return 1;
}

bool tickets_apply(bool is_on, SSL_CTX *context)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, fetch_cipher);
	// Without a cache a session lives in its ticket alone; no thread has to ask another.
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(context, TICKETS_SESSION_SECONDS);
	if (!is_on)
		SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
	return cipher && SSL_CTX_set_num_tickets(context, is_on ? TICKETS_PER_HANDSHAKE : 0) == 1 &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(context, use_key) == 1 &&
	       SSL_CTX_set_session_ticket_cb(context, fill_in_nothing, check_session, NULL) == 1;
}

void tickets_follow(SSL *ssl, const SSL_CTX *context)
{
	(void)SSL_set_num_tickets(ssl, SSL_CTX_get_num_tickets(context));
}
