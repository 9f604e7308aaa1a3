#include "access/remembered.h"

#include "base/check.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

enum { SLOTS = 4096, KEY_BYTES = 32, DIGEST_BYTES = 32, MESSAGE_MAX = 8 * 1024 + 512 };

struct slot {
	unsigned char digest[DIGEST_BYTES];
	int64_t until_ns;
};

static struct {
	pthread_once_t once;
	pthread_mutex_t lock;
	unsigned char key[KEY_BYTES];
	EVP_MD *sha256; // fetched once: looking it up costs as much as a digest
	struct slot slots[SLOTS];
} table = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

static void make_key(void)
{
	check(RAND_bytes(table.key, sizeof table.key) == 1);
	table.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	check(table.sha256);
}

// The parts cannot be taken for others: their lengths stand before them. False for what is too long to be remembered.
static bool digest_of(const struct remembered_login *login, unsigned char ret_digest[DIGEST_BYTES])
{
	unsigned char message[MESSAGE_MAX], *to = message;
	const uint64_t numbers[] = {login->users, login->user.length, login->password.length};
	unsigned length = 0;
	(void)pthread_once(&table.once, make_key);
	if (KEY_BYTES + sizeof numbers + login->user.length + login->password.length > sizeof message)
		return false;
	memcpy(to, table.key, KEY_BYTES);
	memcpy(to += KEY_BYTES, numbers, sizeof numbers);
	memcpy(to += sizeof numbers, login->user.data, login->user.length);
	memcpy(to += login->user.length, login->password.data, login->password.length);
	to += login->password.length;
	bool good = EVP_Digest(message, (size_t)(to - message), ret_digest, &length, table.sha256, NULL) == 1;
	OPENSSL_cleanse(message, (size_t)(to - message));
	return good && length == DIGEST_BYTES;
}

static struct slot *slot_of(const unsigned char digest[DIGEST_BYTES])
{
	return &table.slots[(digest[0] | digest[1] << 8) % SLOTS];
}

bool remembered_has(const struct remembered_login *login, int64_t now_ns)
{
	unsigned char digest[DIGEST_BYTES];
	if (!digest_of(login, digest))
		return false;
	const struct slot *slot = slot_of(digest);
	pthread_mutex_lock(&table.lock);
	bool has = now_ns < slot->until_ns && CRYPTO_memcmp(slot->digest, digest, DIGEST_BYTES) == 0;
	pthread_mutex_unlock(&table.lock);
	return has;
}

void remembered_put(const struct remembered_login *login, int64_t until_ns)
{
	unsigned char digest[DIGEST_BYTES];
	if (!digest_of(login, digest))
		return;
	struct slot *slot = slot_of(digest);
	pthread_mutex_lock(&table.lock);
	memcpy(slot->digest, digest, DIGEST_BYTES);
	slot->until_ns = until_ns;
	pthread_mutex_unlock(&table.lock);
}
