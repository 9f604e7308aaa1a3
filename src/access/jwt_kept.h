// Tokens that were signed a short while ago, so that one visitor's requests do not each cost a signature.
#ifndef USHER_ACCESS_JWT_KEPT_H
#define USHER_ACCESS_JWT_KEPT_H

#include "base/arena.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

// From any thread. The token for these claims (without their times) by that signer, copied to the arena; .data is NULL
// when none is kept.
struct slice jwt_kept_find(uint64_t signer, struct slice claims, int64_t now_s, struct arena *arena);

// Keeps it until then. What is very long is not kept, and of very many the older ones are forgotten.
void jwt_kept_put(uint64_t signer, struct slice claims, struct slice token, int64_t until_s);

#endif
