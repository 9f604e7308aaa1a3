// From a request to its site, and from there to its route.
#ifndef USHER_EXCHANGE_ROUTE_FIND_H
#define USHER_EXCHANGE_ROUTE_FIND_H

#include "base/slice.h"

struct exchange;
struct route;
struct site;
struct snapshot;

// The site of a host (as uri_normal_host makes it): the one that names it, else the one with
// the longest wildcard, else the default site, else NULL. Does not allocate.
const struct site *site_find(const struct snapshot *snapshot, struct slice host);

// The first route, in the order written, that the exchange's path, method, fields, query
// and client fit, and fills in exchange->captures; NULL when there is none. When that
// cannot be told (a regular expression went beyond its bounds), fails the exchange and
// returns NULL. Does not allocate but for captures and long query values.
const struct route *route_find(const struct site *site, struct exchange *exchange);

// For the log of what was not found: the site whose host is most like this one, or the
// route whose path is; NULL when none is near. Looks at a bounded number only, and only a
// few times a second, so that floods of wrong requests cost little.
const struct site *site_nearest(const struct snapshot *snapshot, struct slice host);
const struct route *route_nearest(const struct site *site, struct slice path);

// The same, noted on the exchange's trace as "nearest_site" or "nearest_route".
void note_nearest_site(struct exchange *exchange);
void note_nearest_route(struct exchange *exchange);

#endif
