// What a request that changes something makes stale (RFC 9111 section 4.4). For the files of the handler `cache`.
#ifndef USHER_HANDLERS_CACHE_INVALIDATE_H
#define USHER_HANDLERS_CACHE_INVALIDATE_H

#include "cache/store.h"
#include "exchange/exchange.h"
#include "handlers/cache_config.h"

// Forgets what is stored for the exchange's target (with this key), and for what its response names in Location and
// Content-Location, where that is of the same origin; when the response says that it succeeded.
void cache_invalidate(struct exchange *exchange, struct cache_store *store, struct slice key, uint64_t hash);

// Whether it asks by the method PURGE, where that is configured.
bool cache_is_purge(const struct exchange *exchange, const struct cache_config *config);

// Answers it: forgets what is stored for the key, if the client may ask so. May suspend.
void cache_answer_purge(struct exchange *exchange, const struct cache_config *config, struct cache_store *store,
			struct slice key, uint64_t hash);

#endif
