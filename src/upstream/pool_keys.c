// The tables of keys for pools.
#include "upstream/pool_keys.h"

#include "upstream/balancer.h"
#include "upstream/check.h"
#include "upstream/hash_keys.h"
#include "upstream/pool_config.h"

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
	{
		.name = "statuses",
		.kind = CONFIG_TEXTS,
		.offset = offsetof(struct pool_rest_config, status_texts),
		.help = "Answers that count as failures, such as [503, \"500-599\"]; none when it is absent.",
		.form = STATUS_RANGE_FORM,
	},
	{
		.name = "latency",
		.kind = CONFIG_INTEGER,
		.offset = offsetof(struct pool_rest_config, latency),
		.standard = "0",
		.max = 1000,
		.help = "A server rests, too, whose answers take on average more than so many times what they take "
			"elsewhere in the pool (the median; looked at every ten seconds, where there were twenty); "
			"0: none does.",
	},
	{
		.name = "share",
		.kind = CONFIG_TEXT,
		.offset = offsetof(struct pool_rest_config, share),
		.standard = "50%",
		.help = "How many of a pool's servers may rest at once, at most, because of `statuses` or `latency`, "
			"though they answer.",
		.form = "a percentage such as 50%",
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

// --- When servers are full

static const struct config_key queue_keys[] = {
	{
		.name = "requests",
		.kind = CONFIG_INTEGER,
		.offset = offsetof(struct pool_queue_config, requests),
		.standard = "1000",
		.max = 1000000,
		.help = "Requests that wait, over all threads, at most; more get 503 with Retry-After. 0: none waits.",
	},
	{
		.name = "timeout",
		.kind = CONFIG_DURATION,
		.offset = offsetof(struct pool_queue_config, timeout_ns),
		.standard = "5s",
		.min = 1000000,
		.help = "How long one waits, at most; then it gets 503 with Retry-After.",
	},
	{0},
};

static const struct config_section queue_section = {
	.name = "pools.NAME.queue",
	.help = "Requests that wait, in the order in which they came, since the pool or its servers have as many as "
		"they may have (max_requests).",
	.size = sizeof(struct pool_queue_config),
	.keys = queue_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

// --- HTTP/2

static const struct config_key h2_keys[] = {
	{
		.name = "connections",
		.kind = CONFIG_INTEGER,
		.offset = offsetof(struct pool_h2_config, connections),
		.standard = "16",
		.min = 1,
		.max = 1000,
		.help = "Connections that each thread opens to one server, at most; another one only when those "
			"there are take no more requests.",
	},
	{
		.name = "streams",
		.kind = CONFIG_INTEGER,
		.offset = offsetof(struct pool_h2_config, streams),
		.standard = "100",
		.min = 1,
		.max = 10000,
		.help = "Requests at once on one connection, at most, however many the server allows.",
	},
	{
		.name = "queue",
		.kind = CONFIG_INTEGER,
		.offset = offsetof(struct pool_h2_config, queue),
		.standard = "10000",
		.max = 1000000,
		.help = "Requests of each thread that wait because the connections to one server are full, at most, "
			"and "
			"no longer than timeouts.connect; more get another server, or 503.",
	},
	{
		.name = "window",
		.kind = CONFIG_SIZE,
		.offset = offsetof(struct pool_h2_config, window_bytes),
		.standard = "128KiB",
		.min = 16 * 1024,
		.max = 64 << 20,
		.help = "What usher takes of one response before its visitor has read it.",
	},
	{
		.name = "ping",
		.kind = CONFIG_DURATION,
		.offset = offsetof(struct pool_h2_config, ping_ns),
		.standard = "20s",
		.help = "When nothing has come for so long while requests wait, the server is asked whether it is "
			"there; off: never.",
	},
	{
		.name = "ping_timeout",
		.kind = CONFIG_DURATION,
		.offset = offsetof(struct pool_h2_config, ping_timeout_ns),
		.standard = "10s",
		.min = 1000000,
		.help = "How long its answer may take.",
	},
	{0},
};

static const struct config_section h2_section = {
	.name = "pools.NAME.h2",
	.help = "Connections that speak HTTP/2, and carry many requests at once.",
	.size = sizeof(struct pool_h2_config),
	.keys = h2_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

// --- Pools

static const char *const protocol_names[] = {
	[SERVER_HTTP1] = "http1", [SERVER_HTTP2] = "h2", [SERVER_NEGOTIATED] = "auto", NULL};

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
		.section = &server_config_section,
		.help = "The servers: addresses, or maps with more.",
	},
	{
		.name = "file",
		.kind = CONFIG_FILE,
		.offset = offsetof(struct pool_config, file),
		.watched = true,
		.help = "A file with more servers, one on a line: an address, then weight=N, priority=N, "
			"max_requests=N, route=NAME or backup where wished. When it is replaced, what it says is taken "
			"by itself.",
		.form = "the path of a file",
	},
	{
		.name = "srv",
		.kind = CONFIG_TEXT,
		.offset = offsetof(struct pool_config, srv),
		.help = "Where DNS names more servers by SRV records (RFC 2782), with their ports, weights and "
			"priorities, such as _http._tcp.app.internal; looked up as `dns` says. With a scheme in front "
			"(https://, h2://, h2c://) the servers are spoken to so.",
		.form = "the name of SRV records, such as _http._tcp.app.internal",
	},
	{
		.name = "balance",
		.kind = CONFIG_CHOICE,
		.offset = offsetof(struct pool_config, balance),
		.standard = "round_robin",
		.choices = balancer_names,
		.help = "How a server is chosen, by weight: `round_robin`: each in its turn; `least_requests`: the one "
			"with the fewest requests under way; `least_time`: of two, the one that will probably answer "
			"first; `random`: of two, the one with fewer requests under way; `hash`: by what the request "
			"has (see hash); `first`: the first one up to its max_requests, then the next.",
	},
	{
		.name = "hash",
		.kind = CONFIG_SECTION,
		.offset = offsetof(struct pool_config, hash),
		.section = &hash_section,
		.help = "With `balance: hash`: what requests must have in common to meet the same server.",
	},
	{
		.name = "sticky",
		.kind = CONFIG_OPTIONAL,
		.offset = offsetof(struct pool_config, sticky),
		.section = &sticky_section,
		.help = "Visitors meet the same server again: by a cookie of usher's, or the application's.",
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
		.name = "retry",
		.kind = CONFIG_SECTION,
		.offset = offsetof(struct pool_config, retry),
		.section = &retry_section,
		.help = "When a request is tried at another server.",
	},
	{
		.name = "retry_budget",
		.kind = CONFIG_TEXT,
		.offset = offsetof(struct pool_config, retry_budget),
		.standard = "20%",
		.help = "How many retries there may be: a share of the requests of the last ten seconds, and 100; off: "
			"any "
			"number. So a pool that fails does not get its requests several times over.",
		.form = "off, or a percentage such as 20%",
	},
	{
		.name = "hedge",
		.kind = CONFIG_TEXT,
		.offset = offsetof(struct pool_config, hedge.text),
		.standard = "off",
		.help = "When GET, HEAD and OPTIONS without an answer go to a second server as well, whoever answers "
			"first being taken: after a time such as 200ms, or after what a share of the answers of late "
			"take less than, p50 to p99. retry_budget pays for it.",
		.form = HEDGE_FORM,
	},
	{
		.name = "protocol",
		.kind = CONFIG_CHOICE,
		.offset = offsetof(struct pool_config, protocol),
		.standard = "http1",
		.choices = protocol_names,
		.help = "What is spoken where the address does not say it: HTTP/1.1, HTTP/2, or (auto) what an "
			"https:// "
			"server prefers. h2:// and h2c:// always mean HTTP/2.",
	},
	{
		.name = "tls",
		.kind = CONFIG_OPTIONAL,
		.offset = offsetof(struct pool_config, tls),
		.section = &tls_client_section,
		.help = "TLS with the servers that are written https:// or h2://.",
	},
	{
		.name = "h2",
		.kind = CONFIG_SECTION,
		.offset = offsetof(struct pool_config, h2),
		.section = &h2_section,
		.help = "Connections that speak HTTP/2, and carry many requests at once.",
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
		.name = "health",
		.kind = CONFIG_LIST,
		.offset = offsetof(struct pool_config, health),
		.section = &check_section,
		.help = "What each server is asked again and again, to find out whether it is well: one check, or a "
			"list, "
			"each with a name.",
	},
	{
		.name = "max_requests",
		.kind = CONFIG_INTEGER,
		.offset = offsetof(struct pool_config, max_requests),
		.standard = "0",
		.max = 1000000,
		.help = "Requests that all servers together may have at once, over all threads; 0: no bound.",
	},
	{
		.name = "max_connections",
		.kind = CONFIG_INTEGER,
		.offset = offsetof(struct pool_config, max_connections),
		.standard = "0",
		.max = 1000000,
		.help = "Connections to all servers together that there may be at once, idle ones included, over all "
			"threads; 0: no bound. At the bound requests wait, no longer than timeouts.connect.",
	},
	{
		.name = "queue",
		.kind = CONFIG_SECTION,
		.offset = offsetof(struct pool_config, queue),
		.section = &queue_section,
		.help = "Requests that wait, in the order in which they came, since the pool or its servers have as "
			"many as they may have (max_requests).",
	},
	{
		.name = "slow_start",
		.kind = CONFIG_DURATION,
		.offset = offsetof(struct pool_config, slow_start_ns),
		.standard = "off",
		.help = "How long it takes until a server that is new, or well again, gets its whole share; it begins "
			"with a tenth.",
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
