// What a visitor takes along to an OpenID Connect provider, and brings back: the state (RFC 6749 section 10.12),
// sealed, so that usher keeps nothing of logins that are under way.
//
// It holds for the browser that has the binding in a cookie, and for no other.
#ifndef USHER_ACCESS_OPENID_STATE_H
#define USHER_ACCESS_OPENID_STATE_H

#include "access/seal.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

// OPENID_STATE_MAX: of its text.
enum { OPENID_SECRET_BYTES = 32, OPENID_SECRET_TEXT = 43, OPENID_TARGET_MAX = 1024, OPENID_STATE_MAX = 2048 };

// A text that nobody can guess: a binding, a verifier of PKCE (RFC 7636 section 4.1), a nonce.
struct openid_secret {
	char text[OPENID_SECRET_TEXT];
};

struct openid_state {
	int64_t created_s;
	struct openid_secret binding, verifier, nonce;
	struct slice target; // that was asked for
};

// Whether a visitor can be sent back to it, on the host that he is at: a path with whatever follows, as requests have
// them, of up to OPENID_TARGET_MAX bytes.
bool openid_is_target(struct slice text);

void openid_secret_make(struct openid_secret *ret_secret);

// Whether the text is the secret; takes as long whatever it is.
bool openid_secret_is(const struct openid_secret *secret, struct slice text);

static inline struct slice openid_secret_text(const struct openid_secret *secret)
{
	return slice_from(secret->text, OPENID_SECRET_TEXT);
}

// As seal_write and seal_read, whose scope, arena and room these are. A target of more than OPENID_TARGET_MAX bytes is
// not written. What is read is in `room`.
struct slice openid_state_write(const struct seal_key *key, const struct openid_state *state, struct slice scope,
				struct arena *arena);
bool openid_state_read(const struct seal_key *key, struct slice text, struct slice scope, char *room,
		       struct openid_state *ret_state);

#endif
