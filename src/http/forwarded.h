// Whose word is taken for the client's address: Forwarded (RFC 7239) and X-Forwarded-For.
#ifndef USHER_HTTP_FORWARDED_H
#define USHER_HTTP_FORWARDED_H

#include "base/arena.h"
#include "base/slice.h"
#include "http/fields.h"

#include <stdbool.h>

struct forwarded_hop {
	struct slice node;  // "192.0.2.1", "2001:db8::1", "[2001:db8::1]", "unknown", "_hidden",
			    // empty when absent; port cut off
	struct slice proto; // a scheme; empty when absent or malformed
	struct slice host;  // host and port; empty when absent or malformed
};

// Reads the fields from the nearest proxy outwards: calls `visit` with the last hop first,
// until it returns false. Hops are from Forwarded and X-Forwarded-For; X-Forwarded-Proto
// and -Host are for the last hop. Where both fields name a node for a hop it must be the
// same one: many proxies write only one of them and pass the other on as the client made it
// up, and which one to believe cannot be known here. False when they differ, or a field is
// malformed (what was visited before stands). What stands to the left of a hop never
// changes how it is read.
typedef bool forwarded_visitor(void *argument, const struct forwarded_hop *hop);
bool forwarded_read(const struct fields *fields, forwarded_visitor *visit, void *argument);

// One element: for=...;proto=...;host=...;by=..., quoted where RFC 7239 section 4 wants it;
// empty parts are left out. .data is NULL when memory is out.
struct slice forwarded_format(struct arena *arena, struct slice node, struct slice proto, struct slice host);

#endif
