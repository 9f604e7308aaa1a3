// Routes of any paths, and what strip, rewrite and redirect make of any target. The route that
// is found is the one that walking all of them finds; what is sent on is a valid target; and a
// redirect to a path never leads to another site.
//
// The input is lines: strip, the expression and the text of a rewrite, a redirect, the
// request's target, then the paths of routes.
#include "exchange/exchange.h"
#include "exchange/route_find.h"
#include "exchange/route_match.h"
#include "exchange/snapshot.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"
#include "handlers/handlers.h"
#include "http/syntax.h"
#include "http/uri.h"
#include "support.h"

#include <stdio.h>

enum { LINE_STRIP, LINE_MATCH, LINE_TO, LINE_REDIRECT, LINE_TARGET, LINE_ROUTES };
enum { LINES_MAX = 40 };

static void server_handle(struct exchange *exchange, const void *config)
{
	exchange_answer(exchange, 200, SLICE_EMPTY, SLICE(""));
}

static const struct handler_type server_handler = {
	.order = HANDLER_PROXY, .key = {"server", CONFIG_BOOL, .help = "ends"}, .handle = server_handle, .ends = true};
static const struct handler_type *const handlers[] = {&server_handler, &redirect_handler, &strip_handler,
						      &rewrite_handler, NULL};
static const struct top_section_type *const sections[] = {NULL};
static const struct snapshot_registry registry = {handlers, sections};

// A YAML text in double quotes, whatever the bytes.
static void write_quoted(FILE *file, struct slice text)
{
	fputc('"', file);
	for (size_t i = 0; i < text.length; i++) {
		unsigned char byte = (unsigned char)text.data[i];
		if (byte < ' ' || byte == '"' || byte == '\\' || byte >= 0x7f)
			fprintf(file, "\\x%02x", byte);
		else
			fputc(byte, file);
	}
	fputc('"', file);
}

static void write_key(FILE *file, const char *before, struct slice text, const char *after)
{
	fputs(before, file);
	write_quoted(file, text);
	fputs(after, file);
}

// Site a has the routes, with strip and rewrite; site b the redirect.
static struct snapshot *load(const struct slice *lines, size_t count)
{
	char *text;
	size_t size;
	struct snapshot *snapshot = NULL;
	FILE *file = open_memstream(&text, &size);
	check(file);
	fputs("sites:\n- host: a\n  server: true\n", file);
	if (lines[LINE_STRIP].length > 0)
		write_key(file, "  strip: ", lines[LINE_STRIP], "\n");
	if (lines[LINE_TO].length > 0) {
		fputs("  rewrite: {", file);
		if (lines[LINE_MATCH].length > 0)
			write_key(file, "match: ", lines[LINE_MATCH], ", ");
		write_key(file, "to: ", lines[LINE_TO], "}\n");
	}
	fputs("  routes:\n  - {path: /fixed}\n", file);
	for (size_t i = LINE_ROUTES; i < count; i++)
		write_key(file, "  - {path: ", lines[i], "}\n");
	write_key(file, "- host: b\n  redirect: ", lines[LINE_REDIRECT], "\n");
	fclose(file);
	if (!snapshot_load(config_source_disk(), "fuzz.yaml", slice_from(text, size), &registry, NULL, false,
			   &snapshot))
		snapshot = NULL;
	free(text);
	return snapshot;
}

static enum match_result path_fits(const struct route_path *path, struct slice asked)
{
	switch (path->kind) {
	case PATH_ANY:
		return MATCH_HOLDS;
	case PATH_PREFIX:
		return slice_starts_with(asked, path->text) ? MATCH_HOLDS : MATCH_FAILS;
	case PATH_EXACT:
		return slice_equal(asked, path->text) ? MATCH_HOLDS : MATCH_FAILS;
	case PATH_REGEX:
		return regex_match(path->regex, asked, NULL);
	}
	return MATCH_FAILS;
}

// Walks all routes.
static const struct route *first_fitting(const struct site *site, struct slice path)
{
	for (size_t i = 0; i < site->route_count; i++) {
		switch (path_fits(&site->routes[i].match->path, path)) {
		case MATCH_HOLDS:
			return &site->routes[i];
		case MATCH_FAILS:
			break;
		case MATCH_GAVE_UP:
			return NULL;
		}
	}
	return NULL;
}

static void check_target(struct slice target, bool was_asterisk)
{
	struct request request = {.method = METHOD_OPTIONS, .target = target};
	const char *detail;
	check(uri_parse_target(&request, &detail));
	check(request.target_form == TARGET_ORIGIN || (was_asterisk && request.target_form == TARGET_ASTERISK));
}

static void check_location(struct slice location, struct slice text)
{
	bool path = slice_starts_with(text, SLICE("/")) && !slice_starts_with(text, SLICE("//"));
	for (size_t i = 0; i < location.length; i++)
		check(location.data[i] > ' ' && location.data[i] < 0x7f && location.data[i] != '\\');
	check(!path || !slice_starts_with(location, SLICE("//")));
}

static void serve(const struct snapshot *snapshot, struct slice host, const struct slice *lines)
{
	static const struct client client;
	struct exchange exchange;
	memset(&exchange, 0, sizeof exchange);
	exchange.transaction.client = &client;
	struct request *request = exchange_request(&exchange);
	const char *detail;
	arena_init(exchange_arena(&exchange), FUZZ_ARENA_BYTES);
	request->method = METHOD_OPTIONS;
	request->method_name = SLICE("OPTIONS");
	request->target = lines[LINE_TARGET];
	if (uri_parse_target(request, &detail) && request->target_form != TARGET_ABSOLUTE) {
		const struct uri_normal_options options = {0};
		exchange.snapshot = snapshot;
		exchange.host = host;
		exchange.scheme = SLICE("http");
		exchange.target = request->target;
		exchange.path = uri_normal_path(request->path, &options, exchange_arena(&exchange));
		exchange.site = site_find(snapshot, host);
		exchange.route = route_find(exchange.site, &exchange);
		check(exchange.route == first_fitting(exchange.site, exchange.path));
		if (exchange.route) {
			exchange.step = exchange.route->steps;
			exchange_next(&exchange);
			check_target(exchange.target, request->target_form == TARGET_ASTERISK);
			check_location(fields_value(&exchange_response(&exchange)->fields, FIELD_LOCATION),
				       lines[LINE_REDIRECT]);
		}
	}
	struct arena arena = *exchange_arena(&exchange);
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice lines[LINES_MAX] = {0}, rest = slice_from(data, size);
	size_t count = 0;
	if (!loop_current())
		check(loop_new(kernel_linux_new()));
	for (bool more = true; more && count < LINES_MAX; count++)
		more = slice_cut(rest, '\n', &lines[count], &rest);
	if (count <= LINE_TARGET)
		return 0;
	struct snapshot *snapshot = load(lines, count);
	if (!snapshot)
		return 0;
	serve(snapshot, SLICE("a"), lines);
	serve(snapshot, SLICE("b"), lines);
	snapshot_unref(snapshot);
	return 0;
}
