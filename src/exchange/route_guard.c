#include "exchange/route_guard.h"

#include "exchange/exchange.h"
#include "exchange/route_find.h"
#include "exchange/route_match.h"
#include "exchange/snapshot.h"
#include "http/syntax.h"

#include <string.h>

// --- Guards

// The configuration of the route's guard; NULL: it has none.
static const void *guard_of(const struct route *route)
{
	for (const struct handler_step *step = route->steps; step->type; step++)
		if (step->type->guards && step->type->guards(step->config))
			return step->config;
	return NULL;
}

bool route_has_guard(const struct route *route)
{
	return guard_of(route) != NULL;
}

// --- Reading leniently

enum { DECODED_MAX = 3 }; // times, one after the other

static size_t decode(char *path, size_t length)
{
	size_t kept = 0;
	for (size_t i = 0; i < length; i++) {
		bool is_encoded = syntax_is_percent_encoded(path + i, path + length);
		path[kept++] = is_encoded ? syntax_percent_value(path + i) : path[i];
		i += is_encoded ? 2 : 0;
	}
	return kept;
}

// Without its parameters, and what is left out at the end of a file's name.
static size_t trim_segment(const char *segment, size_t length)
{
	const char *end = memchr(segment, ';', length);
	const char *nul = memchr(segment, '\0', end ? (size_t)(end - segment) : length);
	length = nul ? (size_t)(nul - segment) : end ? (size_t)(end - segment) : length;
	bool is_up = length >= 2 && segment[0] == '.' && segment[1] == '.';
	while (length > (is_up ? 2 : 0) && (segment[length - 1] == '.' || segment[length - 1] == ' '))
		length--;
	return length;
}

// What was written before goes on; `written` ends in a slash.
static size_t leave_segment(const char *path, size_t written)
{
	while (written > 1 && path[written - 2] != '/')
		written--;
	return written > 1 ? written - 1 : written;
}

static size_t join_segments(char *path, size_t length)
{
	size_t written = 1; // the first slash
	for (size_t at = 1; at < length;) {
		const char *slash = memchr(path + at, '/', length - at);
		size_t whole = slash ? (size_t)(slash - path) - at : length - at;
		size_t kept = trim_segment(path + at, whole);
		if (kept == 2 && path[at] == '.' && path[at + 1] == '.') {
			written = leave_segment(path, written);
		} else if (kept > 0) {
			memmove(path + written, path + at, kept);
			written += kept;
			if (slash)
				path[written++] = '/';
		}
		at += whole + 1;
	}
	return written;
}

static bool is_plain(struct slice path)
{
	for (size_t i = 0; i < path.length; i++) {
		char c = path.data[i], next = i + 1 < path.length ? path.data[i + 1] : '/';
		if (c == '%' || c == ';' || c == '\\' || (c >= 'A' && c <= 'Z') ||
		    (c == '/' && next == '/' && i + 1 < path.length) || (c == '.' && next == '/'))
			return false;
	}
	return true;
}

struct slice route_lenient_path(struct slice path, struct arena *arena)
{
	if (is_plain(path) || path.length == 0 || path.data[0] != '/')
		return path;
	char *copy = arena_alloc(arena, path.length);
	if (!copy)
		return (struct slice){0};
	memcpy(copy, path.data, path.length);
	size_t length = path.length;
	for (unsigned i = 0; i < DECODED_MAX; i++)
		length = decode(copy, length);
	for (size_t i = 0; i < length; i++)
		copy[i] = copy[i] == '\\' ? '/' : ascii_lower(copy[i]);
	return slice_from(copy, join_segments(copy, length));
}

// --- The rule that holds

static const struct route *find_as(struct exchange *exchange, struct slice path)
{
	struct slice own = exchange->path;
	const struct slice *captures = exchange->captures;
	exchange->path = path;
	const struct route *route = route_find(exchange->site, exchange);
	exchange->path = own;
	exchange->captures = captures;
	return route;
}

// The stricter of two readings.
static const struct route *stricter(struct exchange *exchange, const struct route *route, struct slice path)
{
	const struct route *other = find_as(exchange, path);
	if (exchange_failed(exchange))
		return NULL;
	const void *guard = guard_of(route), *other_guard = other ? guard_of(other) : NULL;
	if (!other_guard || other_guard == guard)
		return route;
	if (!guard)
		return other;
	exchange_fail(exchange, FAULT_BAD_TARGET, "find route",
		      "servers may take the path for one that another rule of access is for");
	return NULL;
}

static bool is_for(const struct route *route, enum route_path_kind kind, struct slice path)
{
	return route->match->path.kind == kind && slice_equal(route->match->path.text, path);
}

// "/admin" is what "/admin/" guards, and "/secret/" what "/secret" does: the rule for the path itself holds, if there
// is one.
static const struct route *beside_slash(struct exchange *exchange, const struct route *route, struct slice path)
{
	bool has_slash = slice_ends_with(path, SLICE("/"));
	if (is_for(route, has_slash ? PATH_PREFIX : PATH_EXACT, path))
		return route;
	struct slice beside = has_slash ? slice_first(path, path.length - 1)
					: arena_printf(exchange_arena(exchange), "%.*s/", SLICE_ARGUMENTS(path));
	if (beside.length == 0)
		return route;
	const struct route *other = find_as(exchange, beside);
	if (exchange_failed(exchange))
		return NULL;
	bool is_for_it = other && is_for(other, has_slash ? PATH_EXACT : PATH_PREFIX, beside);
	return is_for_it && guard_of(other) ? other : route;
}

const struct route *route_guarded(struct exchange *exchange, const struct route *route)
{
	struct slice lenient = route_lenient_path(exchange->path, exchange_arena(exchange));
	if (!lenient.data) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "find route", NULL);
		return NULL;
	}
	if (!slice_equal(lenient, exchange->path))
		route = stricter(exchange, route, lenient);
	return route ? beside_slash(exchange, route, lenient) : NULL;
}
