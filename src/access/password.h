// Passwords and their hashes, as htpasswd files have them. What verifies or makes one takes long, on purpose: call it
// off the loop.
#ifndef USHER_ACCESS_PASSWORD_H
#define USHER_ACCESS_PASSWORD_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

enum password_kind {
	PASSWORD_UNKNOWN, // no hash that can be verified
	PASSWORD_OLD,	  // DES, MD5 ("$1$", "$apr1$"), SHA-1: guessed at a billion a second
	PASSWORD_BCRYPT,
	PASSWORD_SHA256, // of crypt
	PASSWORD_SHA512, // of crypt
	PASSWORD_YESCRYPT,
	PASSWORD_ARGON2,
};

enum { PASSWORD_MAX = 256, PASSWORD_HASH_MAX = 384 };

enum password_kind password_kind_of(struct slice hash);

// Whether the password is the one that the hash was made of. Both have a NUL behind them; false also for a hash that
// cannot be verified here, and for passwords with a NUL in them, or longer than PASSWORD_MAX.
bool password_verify(struct slice hash, struct slice password);

// A hash (yescrypt) for a file: 0 or -errno.
int password_hash(struct slice password, char ret_hash[PASSWORD_HASH_MAX]);

#endif
