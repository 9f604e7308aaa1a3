// The routes of a site.
#include "base/check.h"
#include "exchange/error_page.h"
#include "exchange/route_guard.h"
#include "exchange/route_index.h"
#include "exchange/snapshot_load.h"

#include <stdlib.h>
#include <string.h>

// Lookups that the search for routes that nothing reaches may cost a site.
enum { REACH_LOOKUPS_MAX = 1000000 };

// "shop.yaml:12": the file without its directory.
static struct slice name_of(struct config_load *load, struct config_place place)
{
	const char *file = place.file ? place.file : "";
	const char *slash = strrchr(file, '/');
	return arena_printf(config_arena(load), "%s:%u", slash ? slash + 1 : file, place.line);
}

static bool load_path_and_match(struct snapshot_loading *loading, struct route *route,
				const struct route_config *config)
{
	struct route_match *match = config_alloc(loading->load, sizeof *match);
	if (!match)
		return false;
	route->match = match;
	route->path_text = SLICE("*");
	if (!config)
		return true;
	if (config->path.text.length > 0)
		route->path_text = config->path.text;
	bool good = route_path_load(loading->load, &config->path, route->site->merge_slashes, &match->path);
	if (match->path.regex)
		route->captures = match->path.regex->captures;
	return route_match_load(loading->load, loading->snapshot, config->match, match) && good;
}

// `config` is NULL for the route that a site (or the top) is for what its routes leave.
static bool load_route(struct snapshot_loading *loading, struct route *route, const struct route_config *config,
		       const struct scope *site_scope, const struct inherited *outer)
{
	struct inherited inherited = *outer;
	route->place = config ? config->scope.place : route->site->place;
	route->name = name_of(loading->load, route->place);
	bool good = load_path_and_match(loading, route, config);
	if (config)
		good = scope_inherit(loading, &config->scope, outer, &inherited) && good;
	if (!good || !route->name.data)
		return false;
	route->limits = inherited.limits;
	route->timeouts = inherited.timeouts;
	route->errors = inherited.errors;
	const struct scope *scopes[SCOPES] = {config ? &config->scope : NULL, site_scope, &loading->top->scope};
	route->steps = steps_load(loading, route, scopes);
	return route->steps != NULL;
}

// The first route that takes every request for the path before `limit`, or ROUTE_NONE.
// With `below`, it must take what is below the path, too.
static uint32_t find_cover(const struct site *site, struct slice path, bool below, uint32_t limit, size_t *budget)
{
	struct route_candidates candidates;
	route_candidates_begin(&candidates, site->index, path);
	for (uint32_t i; (i = route_candidates_next(&candidates)) < limit && *budget > 0; (*budget)--) {
		const struct route_match *match = site->routes[i].match;
		if (match->conditions)
			continue;
		switch (match->path.kind) {
		case PATH_ANY:
		case PATH_PREFIX:
			return i;
		case PATH_EXACT:
			if (!below)
				return i;
			break;
		case PATH_REGEX:
			if (!below && regex_match(match->path.regex, path, NULL) == MATCH_HOLDS)
				return i;
			break;
		}
	}
	return ROUTE_NONE;
}

// A route that can never be reached is not what somebody meant.
static void warn_of_unreachable(struct snapshot_loading *loading, const struct site *site, size_t written)
{
	size_t budget = REACH_LOOKUPS_MAX;
	for (uint32_t i = 1; i < written; i++) {
		const struct route *route = &site->routes[i];
		const struct route_path *path = &route->match->path;
		bool exact = path->kind == PATH_EXACT;
		// What has a regular expression, or no path, is covered by what takes every path.
		struct slice probe = exact || path->kind == PATH_PREFIX ? path->text : SLICE("/");
		uint32_t cover = find_cover(site, probe, !exact, i, &budget);
		if (cover == ROUTE_NONE)
			continue;
		const struct route *first = &site->routes[cover];
		if (path->kind == PATH_ANY && first->match->path.kind != PATH_ANY && route->match->conditions == false)
			continue; // "*" is left to it
		config_warning(
			loading->load, route->place,
			"this route is never reached: the one at %s:%u takes all of its requests; routes are tried in "
			"the order written",
			first->place.file, first->place.line);
	}
}

static bool index_routes(struct snapshot_loading *loading, struct site *site)
{
	const struct route_path **paths = calloc(site->route_count + 1, sizeof *paths);
	if (!paths)
		return false;
	for (size_t i = 0; i < site->route_count; i++)
		paths[i] = &site->routes[i].match->path;
	uint32_t too_deep;
	site->index = route_index_new(paths, (uint32_t)site->route_count, config_arena(loading->load), &too_deep);
	free(paths);
	if (too_deep != ROUTE_NONE)
		config_error(
			loading->load, site->routes[too_deep].place,
			"more than %d prefixes lie one within the other; a regular expression can take their place",
			ROUTE_PREFIXES_MAX);
	return site->index != NULL;
}

bool routes_load(struct snapshot_loading *loading, struct site *site, const struct config_list *list,
		 const struct scope *scope, const struct inherited *inherited)
{
	const struct route_config *configs = list->items;
	bool own = (scope && scope_ends(loading->schema, scope)) || scope_ends(loading->schema, &loading->top->scope) ||
		   list->count == 0;
	site->route_count = list->count + own;
	site->routes = config_alloc(loading->load, site->route_count * sizeof *site->routes);
	if (!site->routes)
		return false;
	bool good = true;
	for (size_t i = 0; i < site->route_count; i++) {
		struct route *route = &site->routes[i];
		route->site = site;
		good = load_route(loading, route, i < list->count ? &configs[i] : NULL, scope, inherited) && good;
	}
	if (!good || !index_routes(loading, site))
		return false;
	for (size_t i = 0; i < site->route_count; i++)
		site->is_guarded |= route_has_guard(&site->routes[i]);
	warn_of_unreachable(loading, site, list->count);
	return true;
}
