// The key of stored answers: what of a request tells them apart. For the files of the handler `cache`.
#ifndef USHER_HANDLERS_CACHE_KEY_H
#define USHER_HANDLERS_CACHE_KEY_H

#include "cache/store.h"
#include "exchange/exchange.h"
#include "handlers/cache_config.h"

// RFC 9111 section 2: the target URI (what is asked for is always GET), with the chosen parameters of its query. In the
// exchange's memory; .data is NULL when that is out.
struct slice cache_key(struct exchange *exchange, const struct cache_key_config *config);

// What else tells answers with the same key apart: the route's own variant, and the values of chosen fields and
// cookies. False when memory is out.
bool cache_key_variant(struct exchange *exchange, const struct cache_config *config, const struct cache_store *store,
		       uint64_t *ret_variant);

#endif
