// The tables of what stands at the top of a configuration, in sites and in routes.
#include "exchange/snapshot_keys.h"

#include "base/check.h"
#include "exchange/country.h"
#include "exchange/error_page.h"
#include "exchange/listen.h"
#include "exchange/route_match.h"
#include "exchange/scope.h"
#include "observe/access_log.h"
#include "tls/server.h"

#include <stdlib.h>
#include <string.h>

static bool refine_log_format(struct config_load *load, void *section_struct, const struct config_text *text)
{
	struct slice wrong;
	if (access_log_check_format(text->text, &wrong))
		return true;
	config_error(load, text->place, "the format of an access log does not know \"%.*s\"", SLICE_ARGUMENTS(wrong));
	return false;
}

static const struct config_key access_log_keys[] = {
	{"path", CONFIG_TEXT, offsetof(struct access_log_config, path), "off", "a file, `stdout`, `stderr`, or `off`"},
	{"format", CONFIG_TEXT, offsetof(struct access_log_config, format), "combined",
	 "`combined` (Apache's), `json`, or a text with variables such as $client, $request, $status",
	 .refine = refine_log_format},
	{0},
};

static const struct config_section access_log_section = {
	.name = "access_log",
	.help = "A line for each request. Opened anew on SIGUSR1.",
	.size = sizeof(struct access_log_config),
	.keys = access_log_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.shorthand = "path",
};

static const struct config_key http2_keys[] = {
	{"streams", CONFIG_INTEGER, offsetof(struct http2_settings, streams), "128",
	 "requests under way at once on one connection", .min = 1, .max = 10000},
	{"window", CONFIG_SIZE, offsetof(struct http2_settings, window), "1MiB",
	 "how much of requests' bodies usher takes from one connection before their readers go on", .min = 64 << 10,
	 .max = 1 << 30},
	{"stream_window", CONFIG_SIZE, offsetof(struct http2_settings, stream_window), "256KiB",
	 "the same of one request's body", .min = 16 << 10, .max = 1 << 30},
	{"resets", CONFIG_INTEGER, offsetof(struct http2_settings, resets), "500",
	 "requests that a client may take back, or spoil, in ten seconds; beyond it the connection ends "
	 "(ENHANCE_YOUR_CALM); 0: no limit",
	 .max = 1000000},
	{"controls", CONFIG_INTEGER, offsetof(struct http2_settings, controls), "1000",
	 "frames that serve no request (PING, SETTINGS, PRIORITY, empty ones) in ten seconds; beyond it the connection "
	 "ends; 0: no limit",
	 .max = 1000000},
	{0},
};

static const struct config_section http2_section = {
	.name = "http2",
	.help = "Bounds of HTTP/2 connections of clients. Which listeners speak it, `listen` says.",
	.size = sizeof(struct http2_settings),
	.keys = http2_keys,
	.place_offset = offsetof(struct http2_settings, place),
};

static const struct config_key error_pages_key = {
	.name = "error_pages",
	.kind = CONFIG_OPTIONAL,
	.section = &error_pages_section,
	.help = "what visitors see when something went wrong",
};

static const struct config_key route_keys[] = {
	{"path", CONFIG_TEXT, offsetof(struct route_config, path),
	 .help = "ending in /: everything below it (/api/ takes /api/x, not /api); else exactly this path; \"~ regex\" "
		 "for a "
		 "regular expression; absent: every path. Compared after dot segments and needless percent-encodings "
		 "are "
		 "gone",
	 .form = "a path such as /api/, /report or \"~ ^/item/[0-9]+$\""},
	{"match", CONFIG_OPTIONAL, offsetof(struct route_config, match), .section = &route_match_section,
	 .help = "what the request must be like beside its path"},
	{0},
};

static const struct config_section route_section = {
	.name = "route",
	.help = "What happens to some of a site's requests. Routes are tried in the order written; the first whose "
		"path and "
		"match hold takes the request. What no route takes, the site answers itself where it (or the top) says "
		"how.",
	.size = sizeof(struct route_config),
	.keys = route_keys,
	.extra_offset = offsetof(struct route_config, scope.values),
	.place_offset = offsetof(struct route_config, scope.place),
};

// Keys whose .section is NULL get the one of the schema that they are copied into.
static const struct config_key site_keys[] = {
	{"host", CONFIG_TEXTS, offsetof(struct site_config, hosts),
	 .help = "its names: exact, or \"*.example.com\" for everything below; absent or \"*\": every host that no "
		 "other site "
		 "has",
	 .form = "a host such as www.example.com or \"*.example.com\""},
	{"routes", CONFIG_LIST, offsetof(struct site_config, routes), .help = "what happens to which requests"},
	{"merge_slashes", CONFIG_BOOL, offsetof(struct site_config, merge_slashes), "false",
	 "\"//\" in paths counts as \"/\""},
	{0},
};

static const struct config_section site_section = {
	.name = "site",
	.help = "The host names that share routes.",
	.size = sizeof(struct site_config),
	.extra_offset = offsetof(struct site_config, scope.values),
	.place_offset = offsetof(struct site_config, scope.place),
};

static bool refine_resolver(struct config_load *load, void *section_struct, const struct config_text *text)
{
	struct endpoint endpoint;
	struct address address;
	if (endpoint_parse(text->text, 53, &endpoint) && endpoint.host.length > 0 &&
	    endpoint_to_address(&endpoint, &address))
		return true;
	config_error(load, text->place,
		     "\"%.*s\" is no address of a DNS server: expected one such as 10.0.0.2 or "
		     "127.0.0.1:5353",
		     SLICE_ARGUMENTS(text->text));
	return false;
}

static const struct config_key top_keys[] = {
	{"listen", CONFIG_LIST, offsetof(struct top_config, listens), "\":8080\"",
	 "where clients come in; when it is absent and a site has TLS: [\":80\", {address: \":443\", tls: true}]",
	 .section = &listen_section},
	{"admin", CONFIG_TEXT, offsetof(struct top_config, admin),
	 .help = "a UNIX socket where the admin API is served, for who usher runs as and nobody else; `usher pool` "
		 "speaks to it; none when it is absent",
	 .form = "unix: and a path, such as unix:/run/usher/admin.sock"},
	{"http2", CONFIG_SECTION, offsetof(struct top_config, http2), .help = "bounds of HTTP/2 connections",
	 .section = &http2_section},
	{"workers", CONFIG_INTEGER, offsetof(struct top_config, workers),
	 .help = "threads; one for each core when it is absent", .min = 1, .max = 1024},
	{"access_log", CONFIG_OPTIONAL, offsetof(struct top_config, access_log), "off",
	 "a line for each request: a file, `stdout`, or `off`", .section = &access_log_section},
	{"error_log", CONFIG_TEXT, offsetof(struct top_config, error_log),
	 .help = "a file for usher's own messages; standard error when it is absent"},
	{"pid_file", CONFIG_TEXT, offsetof(struct top_config, pid_file),
	 .help = "a file that holds the number of the master process"},
	{"user", CONFIG_TEXT, offsetof(struct top_config, user),
	 .help = "who the worker runs as, when usher is started as root: \"user\" or \"user:group\""},
	{"resolver", CONFIG_TEXT, offsetof(struct top_config, resolver),
	 .help = "the DNS server that is asked for servers' names; as /etc/resolv.conf says when it is absent. Changes "
		 "count from a restart on",
	 .form = "an address such as 10.0.0.2 or 127.0.0.1:5353", .refine = refine_resolver},
	{"trusted_proxies", CONFIG_TEXTS, offsetof(struct top_config, trusted_proxies),
	 .help = "whose word is taken for a client's address (Forwarded, X-Forwarded-*) and for the request id",
	 .form = "a network such as 10.0.0.0/8, an address, or `unix`"},
	{"geo", CONFIG_OPTIONAL, offsetof(struct top_config, geo),
	 .help = "where addresses are: a database of countries", .section = &geo_section},
	{"sites", CONFIG_LIST, offsetof(struct top_config, sites), .help = "hosts and their routes"},
	{"routes", CONFIG_LIST, offsetof(struct top_config, routes),
	 .help = "those of the only site, when there are no sites"},
	{"merge_slashes", CONFIG_BOOL, offsetof(struct top_config, merge_slashes), "false",
	 "\"//\" in paths counts as \"/\"; for sites that do not say otherwise"},
	{0},
};

static const struct config_section root_section = {
	.name = "configuration",
	.help = "What may stand at the top of a configuration. Keys that stand in a site or a route as well hold for "
		"all of "
		"them; the innermost one rules.",
	.size = sizeof(struct top_config),
	.extra_offset = offsetof(struct top_config, scope.values),
	.place_offset = offsetof(struct top_config, scope.place),
};

static void copy_keys(struct config_key *to, size_t room, const struct config_key *from, const char *name,
		      const struct config_section *section, const char *other_name,
		      const struct config_section *other_section)
{
	size_t count = 0;
	do {
		check(count < room);
		to[count] = from[count];
		if (from[count].name && strcmp(from[count].name, name) == 0)
			to[count].section = section;
		if (from[count].name && strcmp(from[count].name, other_name) == 0)
			to[count].section = other_section;
	} while (from[count++].name);
}

// Behind the keys that are there; its index.
static size_t add_key(const struct config_key **keys, const struct config_key *key)
{
	size_t count = 0;
	while (keys[count])
		count++;
	check(count < SCOPED_MAX);
	keys[count] = key;
	return count;
}

static void add_scoped(struct snapshot_schema *schema, const struct config_key *key, const struct handler_type *type)
{
	size_t index = add_key(schema->scoped, key);
	schema->types[index] = type;
	schema->scoped_count = index + 1;
}

struct snapshot_schema *snapshot_schema_new(const struct snapshot_registry *registry)
{
	struct snapshot_schema *schema = calloc(1, sizeof *schema);
	if (!schema)
		return NULL;
	add_scoped(schema, &limits_key, NULL);
	add_scoped(schema, &timeouts_key, NULL);
	add_scoped(schema, &error_pages_key, NULL);
	for (const struct handler_type *const *type = registry->handlers; *type; type++)
		if ((*type)->key.name)
			add_scoped(schema, &(*type)->key, *type);
	memcpy(schema->sited, schema->scoped, sizeof schema->sited);
	schema->tls = add_key(schema->sited, &tls_key);
	memcpy(schema->top, schema->sited, sizeof schema->top);
	schema->tls_policy = add_key(schema->top, &tls_policy_key);
	schema->sections = schema->tls_policy + 1;
	for (const struct top_section_type *const *type = registry->sections; *type; type++)
		(void)add_key(schema->top, &(*type)->key);
	schema->route_section = route_section;
	schema->route_section.extra = schema->scoped;
	schema->site_section = site_section;
	schema->site_section.extra = schema->sited;
	schema->site_section.keys = schema->site_keys;
	schema->root = root_section;
	schema->root.extra = schema->top;
	schema->root.keys = schema->top_keys;
	copy_keys(schema->site_keys, sizeof schema->site_keys / sizeof schema->site_keys[0], site_keys, "routes",
		  &schema->route_section, "", NULL);
	copy_keys(schema->top_keys, sizeof schema->top_keys / sizeof schema->top_keys[0], top_keys, "routes",
		  &schema->route_section, "sites", &schema->site_section);
	return schema;
}

const struct config_section *snapshot_schema_root(const struct snapshot_schema *schema)
{
	return &schema->root;
}

void snapshot_schema_free(struct snapshot_schema *schema)
{
	free(schema);
}
