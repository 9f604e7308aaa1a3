// Servers as a pool lists them: their addresses, and the table of their keys.
#include "upstream/pool_config.h"
#include "upstream/pool_keys.h"

#include <stdio.h>

#define ADDRESS_FORM "an address such as 10.0.0.1:8080, app.internal:80, unix:/run/app.sock or http://10.0.0.1"

// --- Addresses

// What the schemes of addresses mean. h2 and h2c are not URI schemes: they are the names of
// the protocols (RFC 7540 section 3.1), for what https and http do not tell.
struct scheme {
	struct slice prefix;
	uint16_t port;
	bool over_tls, is_http2;
};

static const struct scheme schemes[] = {
	{{"http://", 7}, 80, false, false},
	{{"https://", 8}, 443, true, false},
	{{"h2://", 5}, 443, true, true},
	{{"h2c://", 6}, 80, false, true},
};

enum { SCHEMES = sizeof(schemes) / sizeof(schemes[0]) };

static const struct scheme *scheme_of(struct slice text)
{
	for (unsigned i = 0; i < SCHEMES; i++)
		if (slice_starts_with(text, schemes[i].prefix))
			return &schemes[i];
	return NULL;
}

struct slice server_address_scheme(struct slice text, struct server_address *ret_address)
{
	const struct scheme *scheme = scheme_of(text);
	*ret_address = (struct server_address){0};
	if (!scheme)
		return slice_first(text, 0);
	ret_address->over_tls = scheme->over_tls;
	ret_address->is_http2 = scheme->is_http2;
	return scheme->prefix;
}

// What stands behind the scheme is a host, with a port perhaps, and no more.
static const char *check_authority(struct slice text)
{
	if (slice_find(text, '/') < text.length || slice_find(text, '?') < text.length ||
	    slice_find(text, '#') < text.length)
		return "a server's address has no path: rewrite or strip change the path that is sent on";
	if (slice_find(text, '@') < text.length)
		return "a server's address has no user name";
	if (slice_starts_with(text, SLICE("unix:")))
		return "a UNIX socket is written unix:/path, without http://";
	return NULL;
}

const char *server_address_parse(struct slice text, struct server_address *ret_address)
{
	struct server_address address = {0};
	uint16_t default_port = 0;
	const struct scheme *scheme = scheme_of(text);
	if (scheme) {
		text = slice_after(text, scheme->prefix.length);
		if (slice_ends_with(text, SLICE("/")))
			text = slice_first(text, text.length - 1);
		const char *wrong = check_authority(text);
		if (wrong)
			return wrong;
		default_port = scheme->port;
		address.over_tls = scheme->over_tls;
		address.is_http2 = scheme->is_http2;
	}
	struct endpoint *endpoint = &address.endpoint;
	if (!endpoint_parse(text, default_port, endpoint))
		return "expected " ADDRESS_FORM;
	if (endpoint->path.length == 0 && endpoint->host.length == 0)
		return "a server's address needs a host: write 127.0.0.1 for this machine";
	if (endpoint->path.length == 0 && endpoint->port == 0)
		return "a server's port is 1 to 65535";
	*ret_address = address;
	return NULL;
}

bool server_config_set_address(struct config_load *load, struct server_config *server,
			       const struct config_text *address)
{
	server->address = *address;
	const char *wrong = server_address_parse(address->text, &server->where);
	if (wrong)
		config_error(load, address->place, "%s", wrong);
	return !wrong;
}

static enum server_protocol protocol_of(const struct server_address *where, enum server_protocol of_pool)
{
	if (where->is_http2)
		return SERVER_HTTP2;
	// Without TLS nothing is negotiated (RFC 9113 section 3.3).
	return of_pool == SERVER_NEGOTIATED && !where->over_tls ? SERVER_HTTP1 : of_pool;
}

// The scheme that tells what is spoken; none for plain HTTP/1.1.
static const char *prefix_of(const struct server_config *server)
{
	bool is_http2 = server->protocol == SERVER_HTTP2;
	if (server->where.over_tls)
		return is_http2 ? "h2://" : "https://";
	return is_http2 ? "h2c://" : "";
}

// The plain form, so that http://10.0.0.1 and 10.0.0.1:80 are the same server.
bool server_config_name(struct server_config *server, enum server_protocol of_pool, char room[SERVER_NAME_MAX])
{
	const struct endpoint *endpoint = &server->where.endpoint;
	server->protocol = protocol_of(&server->where, of_pool);
	const char *prefix = prefix_of(server);
	bool is_v6 = slice_find(endpoint->host, ':') < endpoint->host.length;
	int length;
	if (endpoint->path.length > 0)
		length = snprintf(room, SERVER_NAME_MAX, "%sunix:%.*s", prefix, SLICE_ARGUMENTS(endpoint->path));
	else
		length = snprintf(room, SERVER_NAME_MAX, is_v6 ? "%s[%.*s]:%u" : "%s%.*s:%u", prefix,
				  SLICE_ARGUMENTS(endpoint->host), endpoint->port);
	if (length < 0 || length >= SERVER_NAME_MAX)
		return false;
	server->name = slice_from(room, (size_t)length);
	server->authority = slice_after(server->name, strlen(prefix));
	return true;
}

bool server_config_complete(struct config_load *load, struct server_config *server, enum server_protocol of_pool)
{
	char room[SERVER_NAME_MAX];
	if (!server_config_name(server, of_pool, room)) {
		config_error(load, server->address.place, "a server's address has at most %d bytes", SERVER_NAME_MAX);
		return false;
	}
	size_t prefix = server->name.length - server->authority.length;
	server->name = arena_copy(config_arena(load), server->name);
	if (!server->name.data) {
		config_error(load, server->address.place, "memory is out");
		return false;
	}
	server->authority = slice_after(server->name, prefix);
	return true;
}

// --- Keys

static bool refine_address(struct config_load *load, void *section_struct, const struct config_text *text)
{
	return server_config_set_address(load, section_struct, text);
}

static const struct config_key server_keys[] = {
	{
		.name = "address",
		.kind = CONFIG_TEXT,
		.offset = offsetof(struct server_config, address),
		.required = true,
		.help = "Where the server listens: host:port or http:// (HTTP/1.1), https:// (over TLS), h2:// (HTTP/2 "
			"over "
			"TLS), h2c:// (HTTP/2 without TLS), unix:/path. All addresses of a name are used.",
		.form = ADDRESS_FORM,
		.refine = refine_address,
	},
	{
		.name = "weight",
		.kind = CONFIG_INTEGER,
		.offset = offsetof(struct server_config, weight),
		.standard = "1",
		.max = POOL_WEIGHT_MAX,
		.help = "The server's share, in proportion to the others'. 0: it gets no requests.",
	},
	{
		.name = "backup",
		.kind = CONFIG_BOOL,
		.offset = offsetof(struct server_config, backup),
		.standard = "false",
		.help = "Gets requests only when no other server is left: the last of the priorities.",
	},
	{
		.name = "priority",
		.kind = CONFIG_INTEGER,
		.offset = offsetof(struct server_config, priority),
		.standard = "0",
		.max = SERVER_PRIORITY_MAX,
		.help = "Servers of a higher number get requests only when none of a lower number is left.",
	},
	{
		.name = "max_requests",
		.kind = CONFIG_INTEGER,
		.offset = offsetof(struct server_config, max_requests),
		.standard = "0",
		.max = 1000000,
		.help = "Requests that it may have at once, over all threads; 0: no bound.",
	},
	{
		.name = "max_connections",
		.kind = CONFIG_INTEGER,
		.offset = offsetof(struct server_config, max_connections),
		.standard = "0",
		.max = 1000000,
		.help = "Connections to it that there may be at once, idle ones included, over all threads; 0: no "
			"bound. "
			"At the bound requests wait, no longer than timeouts.connect.",
	},
	{
		.name = "route",
		.kind = CONFIG_TEXT,
		.offset = offsetof(struct server_config, route),
		.help = "What the application's cookie ends in, behind a dot, when this server set it (sticky.learn); "
			"as "
			"jvmRoute in Tomcat.",
	},
	{0},
};

const struct config_section server_config_section = {
	.name = "pools.NAME.servers",
	.help = "A server: its address, or a map.",
	.size = sizeof(struct server_config),
	.keys = server_keys,
	.place_offset = offsetof(struct server_config, place),
	.name_offset = CONFIG_NO_OFFSET,
	.shorthand = "address",
};
