// filter: refuses what has no business at a site, and takes off answers what gives the servers away.
//
// What it looks at is the request as the client sent it, and its path decoded to the end: a server may decode once
// more.
#include "config/load.h"
#include "config/utf8.h"
#include "exchange/exchange.h"
#include "exchange/regex.h"
#include "exchange/route_guard.h"
#include "exchange/route_match.h"
#include "exchange/snapshot.h"
#include "handlers/handlers.h"
#include "http/uri.h"

#include <stddef.h>
#include <string.h>

// --- Keys

struct filter_config {
	struct config_place place;
	bool on;
	struct config_texts methods, names, extensions, path_texts, hide;
	struct config_list deny_list;
	int64_t path_bytes, query_bytes;
	bool double_encoding, invalid_utf8, high_bits, locations;
	// Made of these.
	const struct regex **paths;
	struct route_match *denied;
};

static const char *const standard_names[] = {".git",	   ".svn",	".hg",	    ".bzr", ".env",
					     ".htaccess",  ".htpasswd", ".ssh",	    ".aws", ".ds_store",
					     "web.config", "web-inf",	"meta-inf", NULL};
static const char *const standard_extensions[] = {"bak", "old", "orig", "save", "swp", "sql", "sqlite", "ini", "conf",
						  "cfg", "log", "pem",	"key",	"pfx", "p12", "mdb",	"inc", NULL};
static const char *const standard_hidden[] = {"Server",
					      "X-Powered-By",
					      "X-AspNet-Version",
					      "X-AspNetMvc-Version",
					      "X-Generator",
					      "X-Runtime",
					      "X-Version",
					      "X-Backend-Server",
					      "X-Server",
					      "X-Powered-CMS",
					      "MicrosoftSharePointTeamServices",
					      "X-OWA-Version",
					      "X-FEServer",
					      "X-BEServer",
					      "X-CalculatedBETarget",
					      "X-DiagInfo",
					      NULL};

static const struct config_key filter_keys[] = {
	{"on", CONFIG_BOOL, offsetof(struct filter_config, on), "true", "false: nothing is filtered here"},
	{"methods", CONFIG_TEXTS, offsetof(struct filter_config, methods),
	 .help = "the methods that are let through; all unless they are written"},
	{"names", CONFIG_TEXTS, offsetof(struct filter_config, names),
	 .help = "names of files and directories that are refused wherever they stand in a path, in either case; "
		 "unless they "
		 "are written: .git, .svn, .hg, .bzr, .env, .htaccess, .htpasswd, .ssh, .aws, .DS_Store, web.config, "
		 "WEB-INF, META-INF"},
	{"extensions", CONFIG_TEXTS, offsetof(struct filter_config, extensions),
	 .help = "ends of names that are refused; unless they are written: bak, old, orig, save, swp, sql, sqlite, "
		 "ini, conf, "
		 "cfg, log, pem, key, pfx, p12, mdb, inc"},
	{"paths", CONFIG_TEXTS, offsetof(struct filter_config, path_texts),
	 .help = "regular expressions; a path that one of them matches is refused"},
	{"deny", CONFIG_LIST, offsetof(struct filter_config, deny_list),
	 .help = "requests that are refused: as in `match`", .section = &route_match_section},
	{"path_bytes", CONFIG_SIZE, offsetof(struct filter_config, path_bytes), "2KiB", "longer paths are refused",
	 .min = 1},
	{"query_bytes", CONFIG_SIZE, offsetof(struct filter_config, query_bytes), "8KiB", "longer queries are refused",
	 .min = 1},
	{"double_encoding", CONFIG_BOOL, offsetof(struct filter_config, double_encoding), "false",
	 "paths that are still percent-encoded when they have been decoded are let through"},
	{"invalid_utf8", CONFIG_BOOL, offsetof(struct filter_config, invalid_utf8), "false",
	 "paths that are no UTF-8 when they are decoded are let through"},
	{"high_bits", CONFIG_BOOL, offsetof(struct filter_config, high_bits), "true",
	 "paths with other than ASCII characters are let through"},
	{"hide", CONFIG_TEXTS, offsetof(struct filter_config, hide),
	 .help = "fields that are taken off answers; unless they are written: those that tell what the servers are "
		 "(Server, "
		 "X-Powered-By, X-AspNet-Version, ...)"},
	{"locations", CONFIG_BOOL, offsetof(struct filter_config, locations), "true",
	 "a redirect to the server's own address leads to the host that the visitor knows instead"},
	{0},
};

static const struct config_section filter_section = {
	.name = "filter",
	.help = "Refuses what has no business here, with 403, and takes off answers what gives the servers away.",
	.size = sizeof(struct filter_config),
	.keys = filter_keys,
	.place_offset = offsetof(struct filter_config, place),
	.shorthand = "on",
};

// --- Loading

static bool load_paths(struct config_load *load, struct filter_config *config)
{
	const struct config_texts *texts = &config->path_texts;
	config->paths = config_alloc(load, (texts->count + 1) * sizeof *config->paths);
	for (size_t i = 0; config->paths && i < texts->count; i++)
		if (!(config->paths[i] = regex_load(load, &texts->items[i], texts->items[i].text)))
			return false;
	return config->paths != NULL;
}

static bool load_denied(struct config_load *load, const struct snapshot *snapshot, struct filter_config *config)
{
	const struct config_list *list = &config->deny_list;
	config->denied = config_alloc(load, (list->count + 1) * sizeof *config->denied);
	if (!config->denied)
		return false;
	for (size_t i = 0; i < list->count; i++) {
		const char *item = (const char *)list->items + i * route_match_section.size;
		if (!route_match_load(load, snapshot, (const struct route_match_config *)item, &config->denied[i]))
			return false;
		if (!config->denied[i].conditions) {
			config_error(load, config_where(load, config, "deny"),
				     "a condition that says nothing holds for all requests");
			return false;
		}
	}
	return true;
}

// What is not written is as the tables above have it; what is written as an empty list is none.
static bool fill_in(struct config_load *load, struct filter_config *config, const char *key,
		    const char *const *standard, struct config_texts *texts)
{
	size_t count = 0;
	if (config_is_set(load, config, key))
		return true;
	while (standard[count])
		count++;
	texts->items = config_alloc(load, count * sizeof *texts->items);
	for (; texts->items && texts->count < count; texts->count++)
		texts->items[texts->count].text = slice_from_string(standard[texts->count]);
	return texts->items != NULL;
}

static bool filter_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
			const void **ret_config)
{
	struct filter_config *config = value;
	*ret_config = config;
	if (config->denied) // several routes share the value
		return true;
	return fill_in(load, config, "names", standard_names, &config->names) &&
	       fill_in(load, config, "extensions", standard_extensions, &config->extensions) &&
	       fill_in(load, config, "hide", standard_hidden, &config->hide) && load_paths(load, config) &&
	       load_denied(load, snapshot, config);
}

// --- Requests

static bool is_among(const struct config_texts *texts, struct slice text)
{
	for (size_t i = 0; i < texts->count; i++)
		if (slice_equal_nocase(texts->items[i].text, text))
			return true;
	return false;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

// "%2541" is "%41" when it is decoded; "%25" alone is a percent sign.
static bool has_double_encoding(struct slice path)
{
	for (size_t i = 0; i + 4 < path.length; i++)
		if (memcmp(path.data + i, "%25", 3) == 0 && is_hex(path.data[i + 3]) && is_hex(path.data[i + 4]))
			return true;
	return false;
}

static bool is_utf8(struct slice text)
{
	while (text.length > 0) {
		size_t length = utf8_length(text);
		if (length == 0)
			return false;
		text = slice_after(text, length);
	}
	return true;
}

static bool has_high_bits(struct slice text)
{
	for (size_t i = 0; i < text.length; i++)
		if ((unsigned char)text.data[i] >= 0x80)
			return true;
	return false;
}

// Of a path as a lenient server reads it, whose segments are in lower case.
static const char *fault_of_names(const struct filter_config *config, struct slice path)
{
	struct slice segment;
	for (bool more = true; more;) {
		more = slice_cut(path, '/', &segment, &path);
		size_t dot = segment.length;
		while (dot > 0 && segment.data[dot - 1] != '.')
			dot--;
		if (is_among(&config->names, segment))
			return "filter.names";
		if (dot > 0 && is_among(&config->extensions, slice_after(segment, dot)))
			return "filter.extensions";
		if (slice_ends_with(segment, SLICE("~")) && is_among(&config->extensions, SLICE("bak")))
			return "filter.extensions"; // what editors leave
	}
	return NULL;
}

static const char *fault_of_rules(const struct filter_config *config, struct exchange *exchange)
{
	for (size_t i = 0; i < config->path_texts.count; i++)
		if (regex_match(config->paths[i], exchange->path, NULL) != MATCH_FAILS)
			return "filter.paths";
	for (size_t i = 0; i < config->deny_list.count; i++)
		if (route_match_holds(&config->denied[i], exchange) != MATCH_FAILS)
			return "filter.deny";
	return NULL;
}

// The key that refuses the request; NULL: none does.
static const char *fault_of(const struct filter_config *config, struct exchange *exchange)
{
	const struct request *request = exchange_request(exchange);
	struct slice lenient = route_lenient_path(exchange->path, exchange_arena(exchange));
	if (config->methods.count > 0 && !is_among(&config->methods, request->method_name))
		return "filter.methods";
	if (request->path.length > (uint64_t)config->path_bytes)
		return "filter.path_bytes";
	if (request->query.length > (uint64_t)config->query_bytes)
		return "filter.query_bytes";
	if (!config->double_encoding && has_double_encoding(request->path))
		return "filter.double_encoding";
	if (!lenient.data)
		return "no memory";
	if (!config->invalid_utf8 && !is_utf8(lenient))
		return "filter.invalid_utf8";
	if (!config->high_bits && has_high_bits(lenient))
		return "filter.high_bits";
	const char *fault = fault_of_names(config, lenient);
	return fault ? fault : fault_of_rules(config, exchange);
}

// --- Answers

static void hide(const struct filter_config *config, struct fields *fields)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < fields->count; i++)
		if (!is_among(&config->hide, fields->items[i].name))
			fields->items[kept++] = fields->items[i];
	fields->count = kept;
}

// "http://10.0.0.5:8080/next" is "https://shop.example.com/next" for the visitor, where 10.0.0.5:8080 is the server
// that answered.
static void mend_location(struct exchange *exchange)
{
	struct fields *fields = &exchange_response(exchange)->fields;
	struct slice location = fields_value(fields, FIELD_LOCATION), server = exchange->server.address;
	size_t colon = slice_find(location, ':');
	struct slice rest = slice_after(location, colon);
	if (server.length == 0 || !slice_starts_with(rest, SLICE("://")))
		return;
	size_t scheme_end = slice_find(server, '/'); // of a server named with its scheme
	if (scheme_end < server.length)
		server = slice_after(server, scheme_end + 2);
	rest = slice_after(rest, 3);
	struct slice authority = slice_first(rest, slice_find(rest, '/'));
	size_t port = server.length;
	while (port > 0 && server.data[port - 1] != ':')
		port--;
	bool is_server = slice_equal_nocase(authority, server) ||
			 (port > 0 && slice_equal_nocase(authority, slice_first(server, port - 1)));
	if (!is_server)
		return;
	struct slice own =
		exchange->forwarded_host.length > 0 ? exchange->forwarded_host : exchange_request(exchange)->authority;
	struct slice mended =
		arena_printf(exchange_arena(exchange), "%.*s://%.*s%.*s", SLICE_ARGUMENTS(exchange->scheme),
			     SLICE_ARGUMENTS(own), SLICE_ARGUMENTS(slice_after(rest, authority.length)));
	if (!mended.data || !fields_set(fields, exchange_arena(exchange), FIELD_LOCATION, mended))
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "hide a server's address", NULL);
}

static void filter_handle(struct exchange *exchange, const void *value)
{
	const struct filter_config *config = value;
	const char *fault = config->on ? fault_of(config, exchange) : NULL;
	if (fault) {
		trace_note(&exchange->trace, "filter", slice_from_string(fault), config->place.file, config->place.line,
			   TRACE_NO_VALUE);
		exchange_fail(exchange, FAULT_REFUSED, "filter", "the request has no business here");
		exchange->transaction.fault.setting = fault;
		return;
	}
	exchange_next(exchange);
	if (!config->on || exchange_failed(exchange))
		return;
	hide(config, &exchange_response(exchange)->fields);
	if (config->locations)
		mend_location(exchange);
}

const struct handler_type filter_handler = {
	.order = HANDLER_FILTER,
	.key = {.name = "filter",
		.kind = CONFIG_OPTIONAL,
		.section = &filter_section,
		.help = "Refuses what has no business here, and takes off answers what gives the servers away.",
		.form = "true, false, or a map such as {methods: [GET, HEAD, POST]}"},
	.load = filter_load,
	.handle = filter_handle,
};
