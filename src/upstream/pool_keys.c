// The tables of keys for pools and their servers, and the checks of what they hold.
#include "upstream/pool_keys.h"

#include "upstream/balancer.h"
#include "upstream/pool_config.h"

#define ADDRESS_FORM "an address such as 10.0.0.1:8080, app.internal:80, unix:/run/app.sock or http://10.0.0.1"

// --- Servers

const char *server_address_parse(struct slice text, struct endpoint *ret_endpoint)
{
	uint16_t default_port = 0;
	if (slice_starts_with(text, SLICE("http://"))) {
		text = slice_after(text, 7);
		default_port = 80;
		if (slice_ends_with(text, SLICE("/")))
			text = slice_first(text, text.length - 1);
		if (slice_find(text, '/') < text.length || slice_find(text, '?') < text.length ||
		    slice_find(text, '#') < text.length)
			return "a server's address has no path: rewrite or strip change the path that is sent on";
		if (slice_find(text, '@') < text.length)
			return "a server's address has no user name";
		if (slice_starts_with(text, SLICE("unix:")))
			return "a UNIX socket is written unix:/path, without http://";
	} else if (slice_starts_with(text, SLICE("https://"))) {
		return "servers are spoken to without TLS as yet: write http:// or host:port";
	}
	struct endpoint endpoint;
	if (!endpoint_parse(text, default_port, &endpoint))
		return "expected " ADDRESS_FORM;
	if (endpoint.path.length == 0 && endpoint.host.length == 0)
		return "a server's address needs a host: write 127.0.0.1 for this machine";
	if (endpoint.path.length == 0 && endpoint.port == 0)
		return "a server's port is 1 to 65535";
	*ret_endpoint = endpoint;
	return NULL;
}

// The plain form, so that http://10.0.0.1 and 10.0.0.1:80 are the same server.
static bool name_server(struct config_load *load, struct server_config *server)
{
	const struct endpoint *endpoint = &server->endpoint;
	struct arena *arena = config_arena(load);
	bool is_v6 = slice_find(endpoint->host, ':') < endpoint->host.length;
	if (endpoint->path.length > 0)
		server->name = arena_printf(arena, "unix:%.*s", SLICE_ARGUMENTS(endpoint->path));
	else
		server->name = arena_printf(arena, is_v6 ? "[%.*s]:%u" : "%.*s:%u", SLICE_ARGUMENTS(endpoint->host),
					    endpoint->port);
	if (!server->name.data)
		config_error(load, server->address.place, "memory is out");
	return server->name.data != NULL;
}

bool server_config_set_address(struct config_load *load, struct server_config *server,
			       const struct config_text *address)
{
	server->address = *address;
	const char *wrong = server_address_parse(address->text, &server->endpoint);
	if (wrong) {
		config_error(load, address->place, "%s", wrong);
		return false;
	}
	return name_server(load, server);
}

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
		.help = "Where the server listens. All addresses of a name are used.",
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
		.help = "Gets requests only when no other server is left.",
	},
	{0},
};

static const struct config_section server_section = {
	.name = "pools.NAME.servers",
	.help = "A server: its address, or a map.",
	.size = sizeof(struct server_config),
	.keys = server_keys,
	.place_offset = offsetof(struct server_config, place),
	.name_offset = CONFIG_NO_OFFSET,
	.shorthand = "address",
};

// --- Idle connections, rest, DNS

static const struct config_key idle_keys[] = {
	{
		.name = "connections",
		.kind = CONFIG_INTEGER,
		.offset = offsetof(struct pool_idle_config, connections),
		.standard = "512",
		.max = 100000,
		.help = "Idle connections that each thread keeps to one server. 0: none.",
	},
	{
		.name = "pool_connections",
		.kind = CONFIG_INTEGER,
		.offset = offsetof(struct pool_idle_config, pool_connections),
		.standard = "4096",
		.max = 1000000,
		.help = "Idle connections that each thread keeps to all servers of the pool.",
	},
	{
		.name = "timeout",
		.kind = CONFIG_DURATION,
		.offset = offsetof(struct pool_idle_config, timeout_ns),
		.standard = "55s",
		.help = "How long a connection may lie idle before it is closed; off: until the server closes it.",
	},
	{
		.name = "age",
		.kind = CONFIG_DURATION,
		.offset = offsetof(struct pool_idle_config, age_ns),
		.standard = "1h",
		.help = "A connection older than this is closed after its request; off: never.",
	},
	{0},
};

static const struct config_section idle_section = {
	.name = "pools.NAME.idle",
	.help = "Connections that are kept open for the next request.",
	.size = sizeof(struct pool_idle_config),
	.keys = idle_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

static const struct config_key rest_keys[] = {
	{
		.name = "after",
		.kind = CONFIG_INTEGER,
		.offset = offsetof(struct pool_rest_config, after),
		.standard = "3",
		.max = 1000000,
		.help = "Failures in a row after which a server rests. 0: it never does.",
	},
	{
		.name = "for",
		.kind = CONFIG_DURATION,
		.offset = offsetof(struct pool_rest_config, for_ns),
		.standard = "5s",
		.min = 1000000,
		.help = "How long the first rest is; then one request finds out whether the server is back, and "
			"each further rest is twice as long.",
	},
	{
		.name = "max",
		.kind = CONFIG_DURATION,
		.offset = offsetof(struct pool_rest_config, max_ns),
		.standard = "1m",
		.min = 1000000,
		.help = "The longest rest.",
	},
	{0},
};

static const struct config_section rest_section = {
	.name = "pools.NAME.rest",
	.help = "When a server that fails gets no requests for a while. The only server of a pool never rests.",
	.size = sizeof(struct pool_rest_config),
	.keys = rest_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

static const struct config_key dns_keys[] = {
	{
		.name = "refresh",
		.kind = CONFIG_DURATION,
		.offset = offsetof(struct pool_dns_config, refresh_ns),
		.standard = "off",
		.help = "How often names are resolved again; off: as the time to live of the answer says.",
	},
	{
		.name = "min",
		.kind = CONFIG_DURATION,
		.offset = offsetof(struct pool_dns_config, min_ns),
		.standard = "1s",
		.min = 1000000,
		.help = "The least time between look-ups, whatever the time to live.",
	},
	{
		.name = "max",
		.kind = CONFIG_DURATION,
		.offset = offsetof(struct pool_dns_config, max_ns),
		.standard = "1h",
		.min = 1000000,
		.help = "The most time between look-ups, whatever the time to live.",
	},
	{
		.name = "timeout",
		.kind = CONFIG_DURATION,
		.offset = offsetof(struct pool_dns_config, timeout_ns),
		.standard = "5s",
		.min = 1000000,
		.help = "How long one look-up may take.",
	},
	{0},
};

static const struct config_section dns_section = {
	.name = "pools.NAME.dns",
	.help = "How servers that are given by name are resolved. Old addresses stay in use while this fails.",
	.size = sizeof(struct pool_dns_config),
	.keys = dns_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

// --- Pools

static bool finish_pool(struct config_load *load, void *section_struct)
{
	struct pool_config *pool = section_struct;
	return pool_config_check(load, pool);
}

static const struct config_key pool_keys[] = {
	{
		.name = "servers",
		.kind = CONFIG_LIST,
		.offset = offsetof(struct pool_config, servers),
		.section = &server_section,
		.required = true,
		.help = "The servers: addresses, or maps with more.",
	},
	{
		.name = "balance",
		.kind = CONFIG_CHOICE,
		.offset = offsetof(struct pool_config, balance),
		.standard = "round_robin",
		.choices = balancer_names,
		.help = "How a server is chosen: each in its turn, or the one with the fewest requests under way; "
			"both by weight.",
	},
	{
		.name = "tries",
		.kind = CONFIG_INTEGER,
		.offset = offsetof(struct pool_config, tries),
		.standard = "5",
		.min = 1,
		.max = PICK_TRIES_MAX,
		.help = "How many servers one request may be tried at, where it may be repeated.",
	},
	{
		.name = "idle",
		.kind = CONFIG_SECTION,
		.offset = offsetof(struct pool_config, idle),
		.section = &idle_section,
		.help = "Connections that are kept open for the next request.",
	},
	{
		.name = "rest",
		.kind = CONFIG_SECTION,
		.offset = offsetof(struct pool_config, rest),
		.section = &rest_section,
		.help = "When a server that fails gets no requests for a while.",
	},
	{
		.name = "dns",
		.kind = CONFIG_SECTION,
		.offset = offsetof(struct pool_config, dns),
		.section = &dns_section,
		.help = "How servers that are given by name are resolved.",
	},
	{0},
};

const struct config_section pool_config_section = {
	.name = "pools.NAME",
	.help = "Servers that can stand in for each other, under the name that `proxy` uses.",
	.size = sizeof(struct pool_config),
	.keys = pool_keys,
	.place_offset = offsetof(struct pool_config, place),
	.name_offset = offsetof(struct pool_config, name),
	.finish = finish_pool,
};
