// What browsers keep for usher, in cookies and URLs: encrypted and signed (AES-256-GCM), for one purpose.
#ifndef USHER_ACCESS_SEAL_H
#define USHER_ACCESS_SEAL_H

#include "base/slice.h"

#include <stdbool.h>

// Browsers keep cookies of up to 4096 bytes, name and attributes included (RFC 6265 section 6.1).
enum { SEAL_KEY_BYTES = 32, SEAL_PLAIN_MAX = 2608, SEAL_TEXT_MAX = 3600 };

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

// The bytes, sealed, as a text of base64url in `room`; empty when there are more than SEAL_PLAIN_MAX, or memory is out.
// `scope` says what it is for, and where: as anything else it is not taken.
struct slice seal_write(const struct seal_key *key, struct slice plain, struct slice scope, char room[SEAL_TEXT_MAX]);

// The bytes, in `room`; .data is NULL for what was not sealed by that key and for that scope.
struct slice seal_read(const struct seal_key *key, struct slice text, struct slice scope, char room[SEAL_TEXT_MAX]);

#endif
