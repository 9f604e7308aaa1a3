// What visitors ask of stored answers (RFC 9111 section 5.2.1), where the operator lets them. For the files of the
// handler `cache`.
#ifndef USHER_HANDLERS_CACHE_WISH_H
#define USHER_HANDLERS_CACHE_WISH_H

#include "cache/directives.h"
#include "cache/object.h"

#include <stdint.h>

// Whether the object answers without the server: it is fresh, and as fresh as is asked for; or it is stale, is asked
// for so, and does not forbid it. The arena is for what reading takes.
bool cache_wish_holds(const struct cache_directives *request_says, const struct cache_object *object, int64_t now_s,
		      struct arena *arena);

// Whether an object that may be used while it is fetched anew is not too old for who asks.
bool cache_wish_holds_meanwhile(const struct cache_directives *request_says, const struct cache_object *object,
				int64_t now_s);

#endif
