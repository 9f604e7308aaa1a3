// JSON Web Tokens (RFC 7519) that usher signs itself (RFC 7515), for the servers behind it.
#ifndef USHER_ACCESS_JWT_SIGN_H
#define USHER_ACCESS_JWT_SIGN_H

#include "base/arena.h"
#include "base/slice.h"

struct jwt_signer;

// From a private key in PEM: RS256 by RSA of 2048 bits or more, ES256, ES384 or ES512 by EC, EdDSA by Ed25519. NULL,
// with words of what is wrong (a literal), for others.
struct jwt_signer *jwt_signer_by_key(struct slice pem, const char **ret_why);

// From a secret, which is copied: HS256. At least 32 bytes (RFC 7518 section 3.2), at most 256. As above.
struct jwt_signer *jwt_signer_by_secret(struct slice secret, const char **ret_why);

void jwt_signer_free(struct jwt_signer *signer); // NULL is allowed

// The token of these claims, an object of JSON, in the arena; `key_id` is told in its head unless it is empty, and has
// no characters that JSON escapes. .data is NULL when memory is out.
struct slice jwt_sign(const struct jwt_signer *signer, struct slice key_id, struct slice claims, struct arena *arena);

#endif
