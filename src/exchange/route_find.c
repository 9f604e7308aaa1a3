#include "exchange/route_find.h"

#include "exchange/exchange.h"
#include "exchange/route_index.h"
#include "exchange/route_match.h"
#include "exchange/site_index.h"
#include "exchange/snapshot.h"

#include <string.h>

const struct site *site_find(const struct snapshot *snapshot, struct slice host)
{
	return site_index_find(snapshot->sites, host);
}

static enum match_result path_holds(const struct route *route, struct exchange *exchange)
{
	const struct route_path *path = &route->match->path;
	if (path->kind != PATH_REGEX)
		return MATCH_HOLDS; // the index saw to it
	if (path->regex->captures == 0)
		return regex_match(path->regex, exchange->path, NULL);
	struct slice captures[REGEX_CAPTURES_MAX];
	enum match_result result = regex_match(path->regex, exchange->path, captures);
	if (result != MATCH_HOLDS)
		return result;
	struct slice *kept = arena_alloc(exchange_arena(exchange), sizeof captures);
	if (!kept)
		return MATCH_GAVE_UP;
	memcpy(kept, captures, sizeof captures);
	exchange->captures = kept;
	return MATCH_HOLDS;
}

// Conditions come first: they cost less than a regular expression.
static enum match_result route_holds(const struct route *route, struct exchange *exchange)
{
	enum match_result result = route_match_holds(route->match, exchange);
	return result == MATCH_HOLDS ? path_holds(route, exchange) : result;
}

const struct route *route_find(const struct site *site, struct exchange *exchange)
{
	struct route_candidates candidates;
	route_candidates_begin(&candidates, site->index, exchange->path);
	for (uint32_t i; (i = route_candidates_next(&candidates)) != ROUTE_NONE;) {
		const struct route *route = &site->routes[i];
		switch (route_holds(route, exchange)) {
		case MATCH_HOLDS:
			return route;
		case MATCH_FAILS:
			break;
		case MATCH_GAVE_UP:
			exchange_fail(exchange, FAULT_INTERNAL, "find route",
				      "matching a regular expression went beyond its bounds");
			trace_note(&exchange->trace, "gave_up", route->path_text, route->place.file, route->place.line,
				   TRACE_NO_VALUE);
			return NULL;
		}
	}
	return NULL;
}
