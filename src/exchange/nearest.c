// The site or route that a request perhaps meant, for the log.
#include "config/suggest.h"
#include "exchange/exchange.h"
#include "exchange/route_find.h"
#include "exchange/route_match.h"
#include "exchange/site_index.h"
#include "exchange/snapshot.h"
#include "fiber/loop.h"

// What a search may cost: names looked at, and compared because their lengths are near.
enum { LOOKED_AT_MAX = 10000, COMPARED_MAX = 200 };
// Searches a second, of each thread.
enum { SEARCHES_MAX = 20 };
enum { LENGTH_DIFFERENCE_MAX = 3 };

static bool may_search(void)
{
	static _Thread_local int64_t second;
	static _Thread_local unsigned searches;
	int64_t now = loop_now() / SECOND_NS;
	if (now != second) {
		second = now;
		searches = 0;
	}
	return searches++ < SEARCHES_MAX;
}

// A search under way.
struct search {
	struct suggestion suggestion;
	unsigned compared;
};

// Whether the name is nearer than all before it.
static bool search_compare(struct search *search, struct slice name)
{
	size_t given = search->suggestion.given.length;
	size_t difference = given > name.length ? given - name.length : name.length - given;
	if (difference > LENGTH_DIFFERENCE_MAX || search->compared == COMPARED_MAX)
		return false;
	search->compared++;
	const char *before = search->suggestion.nearest.data;
	suggest_compare(&search->suggestion, name);
	return search->suggestion.nearest.data != before;
}

const struct site *site_nearest(const struct snapshot *snapshot, struct slice host)
{
	size_t count;
	const struct site_host *hosts = site_index_hosts(snapshot->sites, &count);
	const struct site *nearest = NULL;
	struct search search = {.compared = 0};
	suggest_begin(&search.suggestion, host);
	if (!may_search())
		return NULL;
	for (size_t i = 0; i < count && i < LOOKED_AT_MAX; i++)
		if (search_compare(&search, hosts[i].host))
			nearest = hosts[i].site;
	return nearest;
}

const struct route *route_nearest(const struct site *site, struct slice path)
{
	const struct route *nearest = NULL;
	struct search search = {.compared = 0};
	suggest_begin(&search.suggestion, path);
	if (!may_search())
		return NULL;
	for (size_t i = 0; i < site->route_count && i < LOOKED_AT_MAX; i++) {
		const struct route_path *wanted = &site->routes[i].match->path;
		if ((wanted->kind == PATH_EXACT || wanted->kind == PATH_PREFIX) &&
		    search_compare(&search, wanted->text))
			nearest = &site->routes[i];
	}
	return nearest;
}

void note_nearest_site(struct exchange *exchange)
{
	const struct site *site = site_nearest(exchange->snapshot, exchange->host);
	if (site)
		trace_note(&exchange->trace, "nearest_site", site->name, site->place.file, site->place.line,
			   TRACE_NO_VALUE);
}

void note_nearest_route(struct exchange *exchange)
{
	const struct route *route = route_nearest(exchange->site, exchange->path);
	if (route)
		trace_note(&exchange->trace, "nearest_route", route->path_text, route->place.file, route->place.line,
			   TRACE_NO_VALUE);
}
