// strip and rewrite: another path for the server than the client asked for.
//
// What is sent on is the client's exact target while nothing is rewritten. After a rewrite it
// is the path as rules see it (normal), changed, correctly percent-encoded, and the client's
// query. strip comes first.
#include "config/load.h"
#include "exchange/escape.h"
#include "exchange/exchange.h"
#include "exchange/regex.h"
#include "exchange/route_match.h"
#include "exchange/snapshot.h"
#include "exchange/variables.h"
#include "handlers/handlers.h"
#include "http/uri.h"

#include <stddef.h>
#include <string.h>

// --- Keys

struct rewrite_config {
	struct config_place place;
	struct config_text match, to;
};

static const struct config_key keys[] = {
	{"match", CONFIG_TEXT, offsetof(struct rewrite_config, match),
	 .help = "a regular expression; paths in which it is not found stay as they are. Absent: every path",
	 .form = "a regular expression such as ^/old/(.*)"},
	{"to", CONFIG_TEXT, offsetof(struct rewrite_config, to),
	 .help = "the new path, with variables; $1 to $9 are the groups of `match`, or without it of the route's path. "
		 "With a "
		 "\"?\" in it, it is the query, too; otherwise the client's query stays",
	 .form = "a path such as /new/$1 or /index.php?page=$1", .required = true},
	{0},
};

static const struct config_section section = {
	.name = "rewrite",
	.help = "Another path, and if need be another query, for the server than the client asked for.",
	.size = sizeof(struct rewrite_config),
	.keys = keys,
	.place_offset = offsetof(struct rewrite_config, place),
	.shorthand = "to",
};

// --- Loading

struct rewrite {
	const struct regex *match; // NULL: every path
	struct template path, query;
	bool has_query;
	bool merge_slashes;
};

struct strip {
	struct slice prefix; // without a slash at its end
};

static bool strip_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
		       const void **ret_config)
{
	const struct config_text *text = value;
	struct route_path path;
	if (!route_path_load(load, text, route->site->merge_slashes, &path))
		return false;
	if (path.kind != PATH_PREFIX && path.kind != PATH_EXACT) {
		config_error(load, text->place, "expected the start of a path, such as /api");
		return false;
	}
	struct strip *strip = config_alloc(load, sizeof *strip);
	if (!strip)
		return false;
	strip->prefix = path.text;
	if (slice_ends_with(strip->prefix, SLICE("/")))
		strip->prefix.length--;
	*ret_config = strip;
	return true;
}

static bool rewrite_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
			 const void **ret_config)
{
	const struct rewrite_config *config = value;
	struct config_text path = config->to, query = config->to;
	unsigned captures = route->captures;
	struct rewrite *rewrite = config_alloc(load, sizeof *rewrite);
	if (!rewrite)
		return false;
	*ret_config = rewrite;
	rewrite->merge_slashes = route->site->merge_slashes;
	if (config->match.text.data) {
		rewrite->match = regex_load(load, &config->match, config->match.text);
		if (!rewrite->match)
			return false;
		captures = rewrite->match->captures;
	}
	if (!slice_starts_with(path.text, SLICE("/")) && !slice_starts_with(path.text, SLICE("$"))) {
		config_error(load, path.place, "expected a path that starts with \"/\"");
		return false;
	}
	// A request for it would be refused, too.
	if (strstr(path.text.data, "%00")) {
		config_error(load, path.place, "a target cannot hold %%00");
		return false;
	}
	rewrite->has_query = slice_cut(config->to.text, '?', &path.text, &query.text);
	// Literals are encoded once, here; "$" and parentheses may stand in both.
	path.text = escape(path.text, ESCAPE_PATH, config_arena(load));
	if (!path.text.data || !variables_load(load, &path, captures, &rewrite->path))
		return false;
	if (rewrite->path.used >> VARIABLE_URI & 1) {
		config_error(load, path.place, "$uri has the query in it; the path is $path");
		return false;
	}
	if (!rewrite->has_query)
		return true;
	query.text = escape(query.text, ESCAPE_QUERY, config_arena(load));
	return query.text.data && variables_load(load, &query, captures, &rewrite->query);
}

// --- Handling

static bool set_target(struct exchange *exchange, struct slice path, bool has_query, struct slice query);
static bool rewrite_path(struct exchange *exchange, const struct rewrite *rewrite, const struct slice *captures);

static void strip_handle(struct exchange *exchange, const void *config)
{
	const struct strip *strip = config;
	const struct request *request = exchange_request(exchange);
	struct slice path = exchange->path, rest = slice_after(path, strip->prefix.length);
	// Only whole segments: /api is no prefix of /apis.
	bool fits = slice_starts_with(path, strip->prefix) && (rest.length == 0 || rest.data[0] == '/');
	if (fits && !set_target(exchange, rest, request->has_query, request->query)) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "strip path", NULL);
		return;
	}
	exchange_next(exchange);
}

static void rewrite_handle(struct exchange *exchange, const void *config)
{
	const struct rewrite *rewrite = config;
	struct slice captures[REGEX_CAPTURES_MAX];
	enum match_result result = slice_starts_with(exchange->path, SLICE("/")) ? MATCH_HOLDS : MATCH_FAILS;
	if (rewrite->match && result == MATCH_HOLDS)
		result = regex_match(rewrite->match, exchange->path, captures);
	if (result == MATCH_GAVE_UP) {
		exchange_fail(exchange, FAULT_INTERNAL, "rewrite path",
			      "matching a regular expression went beyond its bounds");
		return;
	}
	if (result == MATCH_HOLDS && !rewrite_path(exchange, rewrite, rewrite->match ? captures : exchange->captures)) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "rewrite path", NULL);
		return;
	}
	exchange_next(exchange);
}

// --- Helpers

// One slash at its start: some servers take //host for an authority.
static struct slice with_one_slash(struct slice path, struct arena *arena)
{
	while (slice_starts_with(path, SLICE("//")))
		path = slice_after(path, 1);
	if (slice_starts_with(path, SLICE("/")))
		return path;
	return path.length == 0 ? SLICE("/") : arena_printf(arena, "/%.*s", SLICE_ARGUMENTS(path));
}

// From here on the exchange has this path. False when memory is out.
static bool set_target(struct exchange *exchange, struct slice path, bool has_query, struct slice query)
{
	struct arena *arena = exchange_arena(exchange);
	path = with_one_slash(path, arena);
	if (!path.data)
		return false;
	exchange->path = exchange->target = path;
	if (!has_query)
		return true;
	char *target = arena_alloc(arena, path.length + 1 + query.length);
	if (!target)
		return false;
	memcpy(target, path.data, path.length);
	target[path.length] = '?';
	if (query.length > 0)
		memcpy(target + path.length + 1, query.data, query.length);
	exchange->target = slice_from(target, path.length + 1 + query.length);
	return true;
}

// The template with each value encoded for where it stands. `as_it_is` is a variable that
// needs none, or -1.
static struct slice expand_encoded(struct exchange *exchange, const struct template *template,
				   const struct slice *captures, enum escape_kind kind, int as_it_is)
{
	struct slice values[VARIABLE_COUNT];
	struct arena *arena = exchange_arena(exchange);
	if (template_is_literal(template))
		return template_expand(template, NULL, arena);
	variables_fill(exchange, template, captures, values);
	for (int i = 0; i < VARIABLE_COUNT; i++) {
		if (!(template->used >> i & 1) || i == as_it_is || values[i].length == 0)
			continue;
		values[i] = escape(values[i], kind, arena);
		if (!values[i].data)
			return SLICE_EMPTY;
	}
	return template_expand(template, values, arena);
}

static bool rewrite_path(struct exchange *exchange, const struct rewrite *rewrite, const struct slice *captures)
{
	struct arena *arena = exchange_arena(exchange);
	const struct request *request = exchange_request(exchange);
	struct uri_normal_options options = {.merge_slashes = rewrite->merge_slashes};
	struct slice query = request->query;
	struct slice path = expand_encoded(exchange, &rewrite->path, captures, ESCAPE_PATH, -1);
	if (!path.data)
		return false;
	// Normal once more: groups put together can make what none of them was: "..".
	path = with_one_slash(path, arena);
	path = path.data ? uri_normal_path(path, &options, arena) : path;
	if (!path.data)
		return false;
	if (rewrite->has_query) {
		query = expand_encoded(exchange, &rewrite->query, captures, ESCAPE_PARAMETER, VARIABLE_QUERY);
		if (!query.data)
			return false;
	}
	return set_target(exchange, path, rewrite->has_query || request->has_query, query);
}

const struct handler_type strip_handler = {
	.order = HANDLER_STRIP,
	.key =
		{
			.name = "strip",
			.kind = CONFIG_TEXT,
			.help = "takes this off the start of paths before they are sent on: with /api, /api/x becomes "
				"/x",
			.form = "the start of a path, such as /api",
		},
	.load = strip_load,
	.handle = strip_handle,
};

const struct handler_type rewrite_handler = {
	.order = HANDLER_REWRITE,
	.key =
		{
			.name = "rewrite",
			.kind = CONFIG_OPTIONAL,
			.section = &section,
			.help = "another path for the server than the client asked for",
		},
	.load = rewrite_load,
	.handle = rewrite_handle,
};
