// What browsers keep for usher, in cookies and URLs: encrypted and signed (AES-256-GCM), for one purpose.
#ifndef USHER_ACCESS_SEAL_H
#define USHER_ACCESS_SEAL_H

#include "base/arena.h"
#include "base/base64.h"
#include "base/slice.h"

#include <stdbool.h>

enum { SEAL_KEY_BYTES = 32, SEAL_ADDED_BYTES = 28, SEAL_PLAIN_MAX = 10760 };

// How long the text of so many bytes may be.
#define SEAL_TEXT_LENGTH(plain_bytes) BASE64_LENGTH((plain_bytes) + SEAL_ADDED_BYTES)
enum { SEAL_TEXT_MAX = SEAL_TEXT_LENGTH(SEAL_PLAIN_MAX) };

struct seal_key {
	unsigned char bytes[SEAL_KEY_BYTES];
	bool is_own; // the process's own stands for them
};

// From a secret of whatever length; an empty one stands for the process's own key, whatever that is when it is used.
void seal_key_make(struct slice secret, struct seal_key *ret_key);

// The process's own key: random bytes, or what a state store has kept. Once it is set, nothing is taken that was sealed
// by another one; from one thread at a time, and not often.
void seal_own_secret(unsigned char ret_secret[SEAL_KEY_BYTES]);
void seal_set_own_secret(const unsigned char secret[SEAL_KEY_BYTES]);

// The bytes, sealed, as a text of base64url in the arena; empty when there are more than SEAL_PLAIN_MAX, or memory is
// out. `scope` says what it is for, and where: as anything else it is not taken.
struct slice seal_write(const struct seal_key *key, struct slice plain, struct slice scope, struct arena *arena);

// The bytes, in `room`, which is for as many as the text has; .data is NULL for what was not sealed by that key and for
// that scope.
struct slice seal_read(const struct seal_key *key, struct slice text, struct slice scope, char *room);

#endif
