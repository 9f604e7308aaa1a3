// A request's body that is kept while it is sent, up to a bound, so that it can be sent again
// to another server.
#ifndef USHER_HANDLERS_PROXY_BODY_H
#define USHER_HANDLERS_PROXY_BODY_H

#include "base/arena.h"
#include "http/body.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kept_body {
	struct body body; // first; to be sent in the place of the inner one
	struct body *inner;
	struct arena *arena;
	char *bytes; // kept so far
	size_t length, capacity, limit;
	size_t replayed; // of them handed out anew
	bool touched;	 // some of it was handed out
	bool lost;	 // more than the limit: it cannot be sent again
};

// Keeps at most `limit` bytes of the inner body, in the arena. Nothing is kept of one whose
// length is known to be more.
void kept_body_init(struct kept_body *kept, struct body *inner, size_t limit, struct arena *arena);

// Whether it can be sent from its beginning.
static inline bool kept_body_is_whole(const struct kept_body *kept)
{
	return !kept->touched || !kept->lost;
}

// The next read begins anew. Only where it is whole, and nobody reads it.
void kept_body_rewind(struct kept_body *kept);

#endif
