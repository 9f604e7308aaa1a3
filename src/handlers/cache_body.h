// A response's body on its way to the visitor, of which a copy is kept for the cache. For the files of
// the handler `cache`.
#ifndef USHER_HANDLERS_CACHE_BODY_H
#define USHER_HANDLERS_CACHE_BODY_H

#include "exchange/exchange.h"
#include "http/body.h"

#include <stdbool.h>
#include <stddef.h>

struct cache_body;

// Called once, when the whole body has passed: `content` is lent until it returns.
typedef void cache_body_done(void *argument, struct slice content);

// Puts itself in front of the response's body. With more than most_bytes the copy is given up. False
// when memory is out, and nothing changed.
bool cache_body_attach(struct exchange *exchange, size_t most_bytes, cache_body_done *done, void *argument);

#endif
