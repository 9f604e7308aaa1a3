#include "exchange/scope.h"

#include "fiber/loop.h"

#include <string.h>

// 10 Mi of connections: more than a machine has descriptors.
#define CONNECTIONS_MAX (INT64_C(10) << 20)
#define YEAR_NS (INT64_C(365) * 24 * 3600 * 1000000000)

static const struct config_key limits_keys[] = {
	{"header", CONFIG_SIZE, offsetof(struct limits, header_bytes), "64KiB",
	 "the largest header section, of requests and of responses; memory is taken as needed. Only at the top",
	 .min = 1024, .max = 16 << 20},
	{"fields", CONFIG_INTEGER, offsetof(struct limits, fields), "200",
	 "how many fields a header section may have. Only at the top", .min = 16, .max = 10000},
	{"target", CONFIG_SIZE, offsetof(struct limits, target_bytes), "16KiB",
	 "the longest request target (path and query). Only at the top", .min = 128, .max = 1 << 20},
	{"body", CONFIG_SIZE, offsetof(struct limits, body_bytes), "off",
	 "the largest body of a request; beyond it the client gets 413. `off`: no limit, bodies are never stored"},
	{"connections", CONFIG_INTEGER, offsetof(struct limits, connections), "100000",
	 "how many connections of clients there may be in all; 0: no limit. Only at the top", .max = CONNECTIONS_MAX},
	{"connections_per_client", CONFIG_INTEGER, offsetof(struct limits, connections_per_client), "0",
	 "how many connections one client address may have; 0: no limit. Only at the top", .max = CONNECTIONS_MAX},
	{"handshakes", CONFIG_INTEGER, offsetof(struct limits, handshakes), "2000",
	 "TLS handshakes under way at once in each thread; others wait; 0: no limit. Only at the top",
	 .max = CONNECTIONS_MAX},
	{"handshake_rate", CONFIG_INTEGER, offsetof(struct limits, handshake_rate), "0",
	 "TLS handshakes that one client address (of IPv6: its /64) may begin in a second; beyond it "
	 "connections are closed; 0: no limit. Only at the top",
	 .max = 1000000},
	{"handshake_burst", CONFIG_INTEGER, offsetof(struct limits, handshake_burst), "50",
	 "with handshake_rate: how many may come at once. Only at the top", .min = 1, .max = 1000000},
	{0},
};

static const struct config_section limits_section = {
	.name = "limits",
	.help = "Bounds of what a client may send. Each is inherited on its own: what a route does not say, its site "
		"says, or the top.",
	.size = sizeof(struct limits),
	.keys = limits_keys,
	.place_offset = offsetof(struct limits, place),
};

const struct config_key limits_key = {
	.name = "limits",
	.kind = CONFIG_OPTIONAL,
	.section = &limits_section,
	.help = "bounds of what a client may send",
};

const struct limits limits_standard = {
	.header_bytes = 64 * 1024,
	.fields = 200,
	.target_bytes = 16 * 1024,
	.connections = 100000,
	.handshakes = 2000,
	.handshake_burst = 50,
};

static const struct config_key timeouts_keys[] = {
	{"handshake", CONFIG_DURATION, offsetof(struct timeouts, handshake_ns), "10s",
	 "from a client's connection, or from its turn where limits.handshakes made it wait, to the end of its "
	 "TLS handshake. Only at the top",
	 .min = 1, .max = YEAR_NS},
	{"header", CONFIG_DURATION, offsetof(struct timeouts, header_ns), "10s",
	 "from the first byte of a request's header section to its last. Only at the top", .min = 1, .max = YEAR_NS},
	{"idle", CONFIG_DURATION, offsetof(struct timeouts, idle_ns), "75s",
	 "how long a client's connection is kept between requests. Only at the top", .min = 1, .max = YEAR_NS},
	{"body", CONFIG_DURATION, offsetof(struct timeouts, body_ns), "30s", "without progress of a request's body",
	 .min = 1, .max = YEAR_NS},
	{"send", CONFIG_DURATION, offsetof(struct timeouts, send_ns), "60s",
	 "without progress of a response to the client", .min = 1, .max = YEAR_NS},
	{"tunnel", CONFIG_DURATION, offsetof(struct timeouts, tunnel_ns), "1h",
	 "without a byte either way in a tunnel (WebSocket)", .min = 1, .max = YEAR_NS},
	{"connect", CONFIG_DURATION, offsetof(struct timeouts, connect_ns), "5s", "to connect to a server", .min = 1,
	 .max = YEAR_NS},
	{"response", CONFIG_DURATION, offsetof(struct timeouts, response_ns), "60s",
	 "from the request sent to the header section of a server's response", .min = 1, .max = YEAR_NS},
	{"read", CONFIG_DURATION, offsetof(struct timeouts, read_ns), "60s",
	 "without progress of a body, to or from a server", .min = 1, .max = YEAR_NS},
	{"try", CONFIG_DURATION, offsetof(struct timeouts, try_ns), "off",
	 "from the choice of a server to the header section of its response; then another server is tried, where the "
	 "request may be sent again (retry)",
	 .max = YEAR_NS},
	{"total", CONFIG_DURATION, offsetof(struct timeouts, total_ns), "off",
	 "from a request's first byte to the last of its response, whatever the progress, but for tunnels",
	 .max = YEAR_NS},
	{0},
};

static const struct config_section timeouts_section = {
	.name = "timeouts",
	.help = "How long usher waits. All but `try` and `total` are times without progress, never of a whole body. "
		"Each is inherited on its "
		"own: what a route does not say, its site says, or the top.",
	.size = sizeof(struct timeouts),
	.keys = timeouts_keys,
	.place_offset = offsetof(struct timeouts, place),
};

const struct config_key timeouts_key = {
	.name = "timeouts",
	.kind = CONFIG_OPTIONAL,
	.section = &timeouts_section,
	.help = "how long usher waits",
};

const struct timeouts timeouts_standard = {
	.handshake_ns = 10 * SECOND_NS,
	.header_ns = 10 * SECOND_NS,
	.idle_ns = 75 * SECOND_NS,
	.body_ns = 30 * SECOND_NS,
	.send_ns = 60 * SECOND_NS,
	.tunnel_ns = 3600 * SECOND_NS,
	.connect_ns = 5 * SECOND_NS,
	.response_ns = 60 * SECOND_NS,
	.read_ns = 60 * SECOND_NS,
};

// Fields that rule connections, before it is known which site or route a request is for.
static const char *const connection_limits[] = {
	"header",     "fields",		"target",	   "connections", "connections_per_client",
	"handshakes", "handshake_rate", "handshake_burst", NULL};
static const char *const connection_timeouts[] = {"handshake", "header", "idle", NULL};

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

// Copies the fields that were written in `from`; all of them are int64_t.
static bool inherit(struct config_load *load, const struct config_section *section, const void *from, void *to,
		    const char *const *top_only)
{
	bool good = true;
	for (const struct config_key *key = section->keys; key->name; key++) {
		if (!config_is_set(load, from, key->name))
			continue;
		if (top_only && is_one_of(key->name, top_only)) {
			config_error(load, config_where(load, from, key->name),
				     "\"%s.%s\" rules whole connections and may stand only at the top of the "
				     "configuration",
				     section->name, key->name);
			good = false;
		}
		memcpy((char *)to + key->offset, (const char *)from + key->offset, sizeof(int64_t));
	}
	return good;
}

const struct limits *limits_inherit(struct config_load *load, const struct limits *value, const struct limits *outer,
				    bool top)
{
	if (!value)
		return outer;
	struct limits *limits = config_alloc(load, sizeof *limits);
	if (!limits)
		return NULL;
	*limits = *outer;
	limits->place = value->place;
	return inherit(load, &limits_section, value, limits, top ? NULL : connection_limits) ? limits : NULL;
}

const struct timeouts *timeouts_inherit(struct config_load *load, const struct timeouts *value,
					const struct timeouts *outer, bool top)
{
	if (!value)
		return outer;
	struct timeouts *timeouts = config_alloc(load, sizeof *timeouts);
	if (!timeouts)
		return NULL;
	*timeouts = *outer;
	timeouts->place = value->place;
	return inherit(load, &timeouts_section, value, timeouts, top ? NULL : connection_timeouts) ? timeouts : NULL;
}
