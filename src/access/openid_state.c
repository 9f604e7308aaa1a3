#include "access/openid_state.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/random.h"

#include <openssl/crypto.h>

enum { VERSION = 1 };

// Of fixed size, in front of the target.
struct record {
	uint64_t version;
	int64_t created_s;
	struct openid_secret binding, verifier, nonce;
	char unused[7];
};
_Static_assert(SEAL_TEXT_LENGTH(sizeof(struct record) + OPENID_TARGET_MAX) <= OPENID_STATE_MAX, "a state fits");

bool openid_is_target(struct slice text)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] <= ' ' || text.data[i] > '~')
			return false;
	return text.length > 0 && text.length <= OPENID_TARGET_MAX && text.data[0] == '/';
}

void openid_secret_make(struct openid_secret *ret_secret)
{
	unsigned char bytes[OPENID_SECRET_BYTES];
	char text[BASE64_LENGTH(OPENID_SECRET_BYTES)];
	random_secret(bytes, sizeof bytes);
	check(base64_encode(BASE64_URL, slice_from(bytes, sizeof bytes), text) == OPENID_SECRET_TEXT);
	memcpy(ret_secret->text, text, OPENID_SECRET_TEXT);
}

bool openid_secret_is(const struct openid_secret *secret, struct slice text)
{
	return text.length == OPENID_SECRET_TEXT && CRYPTO_memcmp(secret->text, text.data, OPENID_SECRET_TEXT) == 0;
}

struct slice openid_state_write(const struct seal_key *key, const struct openid_state *state, struct slice scope,
				struct arena *arena)
{
	char plain[sizeof(struct record) + OPENID_TARGET_MAX];
	struct record record = {.version = VERSION,
				.created_s = state->created_s,
				.binding = state->binding,
				.verifier = state->verifier,
				.nonce = state->nonce};
	if (state->target.length > OPENID_TARGET_MAX)
		return SLICE_EMPTY;
	memcpy(plain, &record, sizeof record);
	memcpy(plain + sizeof record, state->target.data, state->target.length);
	return seal_write(key, slice_from(plain, sizeof record + state->target.length), scope, arena);
}

bool openid_state_read(const struct seal_key *key, struct slice text, struct slice scope, char *room,
		       struct openid_state *ret_state)
{
	struct slice plain = seal_read(key, text, scope, room);
	struct record record;
	if (plain.length < sizeof record)
		return false;
	memcpy(&record, plain.data, sizeof record);
	*ret_state = (struct openid_state){record.created_s, record.binding, record.verifier, record.nonce,
					   slice_after(plain, sizeof record)};
	return record.version == VERSION;
}
