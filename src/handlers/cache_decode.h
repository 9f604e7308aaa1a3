// A stored answer with a content coding, for a visitor who accepts none: the same without it. For the files of the
// handler `cache`.
#ifndef USHER_HANDLERS_CACHE_DECODE_H
#define USHER_HANDLERS_CACHE_DECODE_H

#include "exchange/exchange.h"
#include "http/coding.h"

#include <stdbool.h>

// What the response's head says is not of the coding any more: its entity tag is weak, since another representation has
// the strong one (RFC 9110 section 8.8.3.3). False when memory is out.
bool cache_decode_head(struct exchange *exchange);

// The response's body without the coding. False when memory is out.
bool cache_decode_body(struct exchange *exchange, enum coding coding);

#endif
