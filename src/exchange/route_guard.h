// Paths that servers may read in another way than usher, so that they would get by a rule of access.
//
// A server may take "/Admin", "//admin", "/admin;x", "/%2fadmin", "/admin." or "/%2561dmin" for "/admin". Where a site
// has rules of access, a request is looked at as such a server would read it, too: the rule that then holds holds.
#ifndef USHER_EXCHANGE_ROUTE_GUARD_H
#define USHER_EXCHANGE_ROUTE_GUARD_H

#include "base/arena.h"
#include "base/slice.h"

#include <stdbool.h>

struct exchange;
struct route;

// Whether a rule of the route keeps anybody out.
bool route_has_guard(const struct route *route);

// A normal path (uri_normal_path) as the most lenient of servers reads it: decoded to the end, in lower case, with "/"
// for
// "\", without parameters, without dots and blanks at the end of segments, without empty and dot segments. The path
// itself when that is the same; .data is NULL when memory is out.
struct slice route_lenient_path(struct slice path, struct arena *arena);

// The route whose rules hold for the exchange, of which `route` was found by its path: that one, or a guarded one.
// NULL, with the fault noted, where both are guarded, each in its way.
const struct route *route_guarded(struct exchange *exchange, const struct route *route);

#endif
