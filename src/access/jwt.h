// JSON Web Tokens (RFC 7519) with signatures (RFC 7515, 7518, 8037), by keys of a JWK set (RFC 7517).
//
// A key is for the algorithms of its kind alone: no token turns a public key into a secret, and "none" is no algorithm.
#ifndef USHER_ACCESS_JWT_H
#define USHER_ACCESS_JWT_H

#include "base/slice.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { JWT_MAX = 24 * 1024 }; // bytes of a token

struct jwt_keys;

// The keys of a set, as JSON; those that are not for signatures, or of a kind that is not known, are passed over, and
// so are secrets unless they are allowed: whoever may read the set could sign by them. NULL, with words of what is
// wrong, for what is no set, or has no key.
struct jwt_keys *jwt_keys_read(struct slice content, bool secrets_allowed, const char **ret_why);
void jwt_keys_free(struct jwt_keys *keys); // NULL is allowed

// Of the set: another content is another digest.
uint64_t jwt_keys_digest(const struct jwt_keys *keys);

struct jwt_rules {
	const struct jwt_keys *keys;
	struct slice issuer, audience; // .data NULL: any
	int64_t leeway_s;	       // that clocks may differ by
};

// The claims of a token that holds now, to be given back with json_decref; NULL, with words of what is wrong (a
// literal). One without an end (exp) holds never. `is_known`: its signature was found right before, by these keys.
// *ret_why is jwt_no_key when the set has no key for it.
json_t *jwt_verify(const struct jwt_rules *rules, struct slice token, bool is_known, int64_t now_s,
		   const char **ret_why);
extern const char jwt_no_key[];

#endif
