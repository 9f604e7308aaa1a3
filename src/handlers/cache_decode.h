// A stored answer with a content coding, for a visitor who accepts none: the same without it. For the files of the
// handler `cache`.
#ifndef USHER_HANDLERS_CACHE_DECODE_H
#define USHER_HANDLERS_CACHE_DECODE_H

#include "cache/object.h"
#include "exchange/exchange.h"
#include "http/coding.h"

#include <stdbool.h>

// Claims the memory that decoding takes, until the exchange ends: false when all who decode have `most_bytes` already.
// True where nothing is to be undone for the request.
// `beginning` is that of the content, where it is there already.
bool cache_decode_claim(struct exchange *exchange, const struct cache_object *object, const struct fields *request,
			struct slice beginning, uint64_t most_bytes);

// What the response's head says is not of the coding any more: its entity tag is weak, since another representation has
// the strong one (RFC 9110 section 8.8.3.3). False when memory is out.
bool cache_decode_head(struct exchange *exchange);

// The response's body without the coding. False when memory is out.
bool cache_decode_body(struct exchange *exchange, enum coding coding);

#endif
