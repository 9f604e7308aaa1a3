// Sends the request to a server of a pool and passes its response on.
#include "handlers/proxy.h"

#include "exchange/snapshot.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "handlers/proxy_hedge.h"
#include "handlers/proxy_response.h"
#include "handlers/proxy_try.h"
#include "http/syntax.h"
#include "http/uri.h"
#include "upstream/check.h"
#include "upstream/pool_config.h"
#include "upstream/pool_queue.h"

// More of our own names in Via (RFC 9110 section 7.6.3) than any sensible setup has.
enum { VIA_LOOP_MAX = 8 };

// --- Keys

static const char *const forwarded_choices[] = {"both", "x-forwarded", "forwarded", "off", NULL};

static bool refine_deadline(struct config_load *load, void *section_struct, const struct config_text *text)
{
	if (syntax_all(text->text, SYNTAX_TOKEN))
		return true;
	config_error(load, text->place, "\"%.*s\" is not the name of a field", SLICE_ARGUMENTS(text->text));
	return false;
}

static const struct config_key proxy_keys[] = {
	{.name = "to",
	 .kind = CONFIG_TEXTS,
	 .offset = offsetof(struct proxy_config, to),
	 .required = true,
	 .help = "The name of a pool, or one or several addresses of servers.",
	 .form = "a pool's name, or an address such as http://127.0.0.1:3000 or unix:/run/app.sock"},
	{.name = "host",
	 .kind = CONFIG_TEXT,
	 .offset = offsetof(struct proxy_config, host),
	 .standard = "preserve",
	 .help = "The Host that servers get: `preserve` the client's, `server` for the address of the server, or a "
		 "name.",
	 .form = "preserve, server, or a host name"},
	{.name = "forwarded",
	 .kind = CONFIG_CHOICE,
	 .offset = offsetof(struct proxy_config, forwarded),
	 .choices = forwarded_choices,
	 .standard = "both",
	 .help = "How servers learn of the client: X-Forwarded-For, -Proto and -Host, Forwarded (RFC 7239), both, or "
		 "not at all."},
	{.name = "deadline",
	 .kind = CONFIG_TEXT,
	 .offset = offsetof(struct proxy_config, deadline),
	 .help = "A request field that tells servers how many milliseconds are left of timeouts.total, such as "
		 "X-Request-Timeout.",
	 .form = "the name of a field",
	 .refine = refine_deadline},
	{.name = "checks",
	 .kind = CONFIG_TEXTS,
	 .offset = offsetof(struct proxy_config, checks),
	 .help = "Which of the pool's checks (health) a server must pass for these requests; all when it is absent.",
	 .form = "the name of a check"},
	{.name = "retry",
	 .kind = CONFIG_OPTIONAL,
	 .offset = offsetof(struct proxy_config, retry),
	 .section = &retry_section,
	 .help = "When requests of this route are tried at another server, in the place of what the pool says."},
	{0},
};

static const struct config_section proxy_section = {
	.name = "proxy",
	.help = "Sends requests to a server of a pool.",
	.size = sizeof(struct proxy_config),
	.keys = proxy_keys,
	.place_offset = offsetof(struct proxy_config, place),
	.shorthand = "to",
};

static bool find_check(struct config_load *load, const struct pool_config *pool, const struct config_text *name,
		       uint64_t *bits)
{
	struct slice names[CHECKS_MAX];
	const struct check_config *checks = pool->health.items;
	for (size_t i = 0; i < pool->health.count; i++) {
		names[i] = checks[i].name.text.data ? checks[i].name.text : SLICE("health");
		if (slice_equal(name->text, names[i])) {
			*bits |= UINT64_C(1) << i;
			return true;
		}
	}
	config_error(load, name->place, "the pool has no check \"%.*s\"%s", SLICE_ARGUMENTS(name->text),
		     config_suggestion(load, name->text, names, pool->health.count));
	return false;
}

static bool find_checks(struct config_load *load, struct proxy_config *config)
{
	bool good = true;
	config->check_bits = config->checks.count > 0 ? 0 : UINT64_MAX;
	for (size_t i = 0; i < config->checks.count; i++)
		good &= find_check(load, config->pool, &config->checks.items[i], &config->check_bits);
	return good;
}

static bool proxy_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
		       const void **ret_config)
{
	struct proxy_config *config = value;
	uint16_t port;
	struct slice host;
	config->request.forwarded = (enum proxy_forwarded)config->forwarded;
	config->request.deadline_field = config->deadline.text;
	if (slice_equal(config->host.text, SLICE("preserve"))) {
		config->request.host = PROXY_HOST_PRESERVE;
	} else if (slice_equal(config->host.text, SLICE("server"))) {
		config->request.host = PROXY_HOST_SERVER;
	} else if (uri_parse_authority(config->host.text, &host, &port)) {
		config->request.host = PROXY_HOST_FIXED;
		config->request.host_text = config->host.text;
	} else {
		config_error(load, config->host.place,
			     "\"%.*s\" is not a host; expected preserve, server, or a host name",
			     SLICE_ARGUMENTS(config->host.text));
		return false;
	}
	struct pool_set *pools = snapshot_section(snapshot, &pools_section);
	// Several routes may share the value. There are no pools only where memory is out.
	if (!config->pool && pools)
		config->pool = pool_set_target(load, pools, &config->to);
	*ret_config = config;
	return config->pool != NULL && find_checks(load, config);
}

struct proxy_config *proxy_config_to(struct config_load *load, struct snapshot *snapshot, const struct route *route,
				     const struct config_texts *to)
{
	struct proxy_config *config = config_alloc(load, sizeof *config);
	const void *loaded;
	if (!config)
		return NULL;
	config->to = *to;
	config->host.text = SLICE("server");
	return proxy_load(load, snapshot, route, config, &loaded) ? config : NULL;
}

// --- The main path

static bool make_request(struct proxying *proxying)
{
	struct exchange *exchange = proxying->exchange;
	struct client_request *request = &proxying->request;
	if (!proxy_request_make(exchange, &proxying->config->request, request))
		return false;
	if (request->framing != BODY_NONE) {
		kept_body_init(&proxying->body, request->body, (size_t)proxying->retry->body_bytes,
			       exchange_arena(exchange));
		request->body = &proxying->body.body;
	}
	return true;
}

static bool prepare(struct proxying *proxying, struct exchange *exchange, const struct proxy_config *config)
{
	const struct limits *limits = exchange->snapshot->limits;
	const struct timeouts *timeouts = exchange->route->timeouts;
	proxying->exchange = exchange;
	proxying->config = config;
	proxying->retry = config->retry ? config->retry : &config->pool->retry;
	proxying->server = NULL;
	proxying->connection = NULL;
	proxying->answered = proxying->tunnelling = false;
	proxying->waited_ns = 0;
	proxying->is_hedged = false;
	proxying->deadline_ns =
		timeouts->total_ns > 0 ? exchange->transaction.started_ns + timeouts->total_ns : FIBER_NEVER;
	proxying->settings = (struct client_settings){
		.header_bytes = (uint32_t)limits->header_bytes,
		.limits = {.fields = (uint32_t)limits->fields, .target_bytes = (uint32_t)limits->target_bytes},
		.read_timeout_ns = timeouts->read_ns,
	};
	pick_init(&proxying->pick);
	proxying->pick.checks = config->check_bits;
	if (pool_hashes(config->pool->pool))
		proxying->pick.hash = pick_key_hash(&config->pool->hash.key, &config->pool->hash.hash_key, exchange);
	if (config->pool->sticky)
		sticky_ask(config->pool->sticky, config->pool->pool, exchange, &proxying->pick);
	exchange->server.pool = pool_name(config->pool->pool);
	try_end_with_exchange(proxying);
	return make_request(proxying);
}

// Whether what went wrong may be made good by another server. RFC 9110 section 9.2.2: a request
// that a server may have acted on is sent again only when that makes no difference, or the
// configuration says so; one that none can have seen always may be.
static bool is_worth_another(const struct proxying *proxying, const struct fault *fault)
{
	const struct retry_config *retry = proxying->retry;
	if (exchange_failed(proxying->exchange) || fault->kind == FAULT_CLIENT_GONE ||
	    loop_now() >= proxying->deadline_ns || !try_can_repeat(proxying))
		return false;
	bool allowed = retry_allows_method(retry, proxying->request.method);
	if (proxying->answered)
		return allowed && status_is_in(proxying->response.status, retry->statuses, retry->status_count);
	if (fault->retry_safe)
		return proxying->connection || retry->causes & RETRY_CONNECT;
	if (fault->kind == FAULT_RESPONSE_TIMEOUT || fault->kind == FAULT_SEND_TIMEOUT)
		return allowed && retry->causes & RETRY_TIMEOUT && loop_now() >= proxying->until_ns;
	bool unanswered = fault->kind == FAULT_SERVER_CLOSED || fault->kind == FAULT_SEND_FAILED;
	return allowed && unanswered && retry->causes & RETRY_RESET && !proxying->client->got_bytes;
}

// Whether there may be another try, which then is taken from what the pool may spend on retries.
static bool may_try_again(struct proxying *proxying, const struct fault *fault)
{
	if (!is_worth_another(proxying, fault))
		return false;
	if (pool_spend_retry(proxying->config->pool->pool))
		return true;
	trace_note(&proxying->exchange->trace, "retry_budget", SLICE_EMPTY, NULL, 0, TRACE_NO_VALUE);
	return false;
}

// When all servers that would do have as many requests as they may have, or rest.
static struct server *wait_for_server(struct proxying *proxying)
{
	if (!proxying->pick.full && !proxying->pick.all_rest)
		return NULL;
	int64_t begun_ns = loop_now();
	struct server *server = pool_wait(proxying->config->pool->pool, &proxying->pick, proxying->deadline_ns);
	proxying->waited_ns = loop_now() - begun_ns;
	trace_note(&proxying->exchange->trace, "queued", SLICE_EMPTY, NULL, 0, proxying->waited_ns / MILLISECOND_NS);
	return server;
}

static int try_one(struct proxying **proxying, struct fault *ret_fault)
{
	return hedge_is_wished(*proxying) ? try_hedged(proxying, ret_fault) : try_server(*proxying, ret_fault);
}

// Tries servers until one has answered, or none may be tried any more: then the last one's answer
// is as good as any. Nobody waits for a server who still holds another one.
static void try_servers(struct proxying *proxying)
{
	struct exchange *exchange = proxying->exchange;
	struct pool *pool = proxying->config->pool->pool;
	struct fault fault = {0};
	struct server *next = pool_pick(pool, &proxying->pick);
	if (!next)
		next = wait_for_server(proxying);
	while (next) {
		fault = (struct fault){0};
		try_begin(proxying, next);
		if (try_one(&proxying, &fault) < 0) {
			fault.after_ns = loop_now() - proxying->step_started_ns;
			trace_note(&exchange->trace, fault_word(fault.kind), proxying->server->text, NULL, 0,
				   fault.system_error);
		}
		bool again = may_try_again(proxying, &fault);
		next = again ? pool_pick(pool, &proxying->pick) : NULL;
		if (proxying->answered && !next) {
			proxy_response_take(proxying);
		} else {
			try_end(proxying, &fault);
			next = again && !next ? wait_for_server(proxying) : next;
		}
		if (again && !next)
			pool_return_retry(pool);
		if (proxying->answered)
			return;
	}
	// Where servers were tried and failed, that is what the visitor hears of.
	if (fault.kind == FAULT_NONE)
		fault = (struct fault){
			.kind = proxying->pick.fault,
			.step = "pick server",
			.setting = proxying->pick.setting,
			.after_ns = proxying->waited_ns,
		};
	exchange->retry_after_ns = proxying->pick.retry_after_ns;
	if (!exchange_failed(exchange))
		exchange->transaction.fault = fault;
}

static bool loops(const struct fields *fields)
{
	unsigned ours = 0;
	for (uint32_t i = 0; i < fields->count; i++) {
		struct slice rest = fields->items[i].value, member;
		while (fields->items[i].id == FIELD_VIA && slice_next_member(&rest, &member))
			ours += slice_ends_with(member, SLICE(" usher"));
	}
	return ours >= VIA_LOOP_MAX;
}

static void proxy_handle(struct exchange *exchange, const void *config)
{
	const struct request *request = exchange_request(exchange);
	// RFC 9110 section 7.6.2: an OPTIONS that may go no further is answered here.
	if (request->method == METHOD_OPTIONS &&
	    slice_equal(fields_value(&request->fields, FIELD_MAX_FORWARDS), SLICE("0"))) {
		exchange_answer(exchange, 204, SLICE_EMPTY, SLICE_EMPTY);
		return;
	}
	if (loops(&request->fields)) {
		exchange_fail(exchange, FAULT_LOOP, "proxy", "usher's own name is in Via too often");
		return;
	}
	struct proxying *proxying = arena_alloc(exchange_arena(exchange), sizeof *proxying);
	if (proxying && prepare(proxying, exchange, config))
		try_servers(proxying);
	else
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "proxy", NULL);
}

const struct handler_type proxy_handler = {
	.order = HANDLER_PROXY,
	.key = {.name = "proxy",
		.kind = CONFIG_OPTIONAL,
		.section = &proxy_section,
		.help = "Sends requests to a server of a pool.",
		.form = "a pool's name, or an address such as http://127.0.0.1:3000"},
	.load = proxy_load,
	.handle = proxy_handle,
	.ends = true,
};
