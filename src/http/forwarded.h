// Whose word is taken for the client's address: Forwarded (RFC 7239) and X-Forwarded-For.
#ifndef USHER_HTTP_FORWARDED_H
#define USHER_HTTP_FORWARDED_H

#include "base/arena.h"
#include "base/slice.h"
#include "http/fields.h"

#include <stdbool.h>

struct forwarded_hop {
	struct slice node;  // "192.0.2.1", "[2001:db8::1]", "unknown", "_hidden"; port cut off
	struct slice proto; // empty when absent
	struct slice host;
};

// Reads the fields from the nearest proxy outwards: calls `visit` with the last hop first,
// until it returns false. Forwarded is used when it is there, else X-Forwarded-For with
// X-Forwarded-Proto and -Host for the last hop. False when a field is malformed (what was
// visited before stands).
typedef bool forwarded_visitor(void *argument, const struct forwarded_hop *hop);
bool forwarded_read(const struct fields *fields, forwarded_visitor *visit, void *argument);

// One element: for=...;proto=...;host=...;by=..., quoted where RFC 7239 section 4 wants it;
// empty parts are left out. .data is NULL when memory is out.
struct slice forwarded_format(struct arena *arena, struct slice node, struct slice proto, struct slice host);

#endif
