#include "access/remembered.h"

#include "base/check.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4096, KEY_BYTES = 32, DIGEST_BYTES = 32, MESSAGE_MAX = 8 * 1024 + 512 };

struct slot {
	unsigned char digest[DIGEST_BYTES];
	int64_t until_ns;
	char *said; // NULL: nothing
	size_t said_length;
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

// Without an arena, what was said is not asked for.
static bool find(const struct remembered_login *login, int64_t now_ns, struct arena *arena, struct slice *ret_said)
{
	unsigned char digest[DIGEST_BYTES];
	struct slice said = {0};
	if (!digest_of(login, digest))
		return false;
	const struct slot *slot = slot_of(digest);
	pthread_mutex_lock(&table.lock);
	bool has = now_ns < slot->until_ns && CRYPTO_memcmp(slot->digest, digest, DIGEST_BYTES) == 0;
	if (has && arena) {
		said = arena_copy(arena, slice_from(slot->said ? slot->said : "", slot->said_length));
		has = said.data != NULL;
	}
	pthread_mutex_unlock(&table.lock);
	*ret_said = said;
	return has;
}

bool remembered_has_said(const struct remembered_login *login, int64_t now_ns, struct arena *arena,
			 struct slice *ret_said)
{
	return find(login, now_ns, arena, ret_said);
}

bool remembered_has(const struct remembered_login *login, int64_t now_ns)
{
	struct slice said;
	return find(login, now_ns, NULL, &said);
}

void remembered_put_said(const struct remembered_login *login, int64_t until_ns, struct slice said)
{
	unsigned char digest[DIGEST_BYTES];
	if (said.length > REMEMBERED_SAID_MAX || !digest_of(login, digest))
		return;
	char *copy = said.length > 0 ? malloc(said.length) : NULL;
	if (said.length > 0 && !copy)
		return;
	if (copy)
		memcpy(copy, said.data, said.length);
	struct slot *slot = slot_of(digest);
	pthread_mutex_lock(&table.lock);
	char *former = slot->said;
	memcpy(slot->digest, digest, DIGEST_BYTES);
	slot->until_ns = until_ns;
	slot->said = copy;
	slot->said_length = said.length;
	pthread_mutex_unlock(&table.lock);
	free(former);
}

void remembered_put(const struct remembered_login *login, int64_t until_ns)
{
	remembered_put_said(login, until_ns, SLICE_EMPTY);
}
