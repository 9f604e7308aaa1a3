#include "access/jwt_kept.h"

#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1024, CLAIMS_MAX = 16 * 1024, TOKEN_MAX = 24 * 1024 };

struct slot {
	uint64_t signer;
	int64_t until_s;
	char *text; // the claims, and the token behind them
	size_t claims_length, token_length;
};

static struct {
	pthread_mutex_t lock;
	struct slot slots[SLOTS];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct slot *slot_of(uint64_t signer, struct slice claims)
{
	return &table.slots[(hash_number(signer) ^ hash_fast(claims)) % SLOTS];
}

// All of the claims are compared: a token is nobody else's.
static bool is_for(const struct slot *slot, uint64_t signer, struct slice claims, int64_t now_s)
{
	return slot->text && slot->signer == signer && now_s < slot->until_s &&
	       slice_equal(slice_from(slot->text, slot->claims_length), claims);
}

struct slice jwt_kept_find(uint64_t signer, struct slice claims, int64_t now_s, struct arena *arena)
{
	struct slice token = {0};
	const struct slot *slot = slot_of(signer, claims);
	pthread_mutex_lock(&table.lock);
	if (is_for(slot, signer, claims, now_s))
		token = arena_copy(arena, slice_from(slot->text + slot->claims_length, slot->token_length));
	pthread_mutex_unlock(&table.lock);
	return token;
}

void jwt_kept_put(uint64_t signer, struct slice claims, struct slice token, int64_t until_s)
{
	if (claims.length > CLAIMS_MAX || token.length > TOKEN_MAX)
		return;
	char *text = malloc(claims.length + token.length), *old;
	if (!text)
		return;
	memcpy(text, claims.data, claims.length);
	memcpy(text + claims.length, token.data, token.length);
	struct slot *slot = slot_of(signer, claims);
	pthread_mutex_lock(&table.lock);
	old = slot->text;
	*slot = (struct slot){signer, until_s, text, claims.length, token.length};
	pthread_mutex_unlock(&table.lock);
	free(old);
}
