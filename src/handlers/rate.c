// rate: how often a visitor may ask, how much at once, and how fast bodies move.
#include "net/rate.h"

#include "access/concurrent.h"
#include "base/hash.h"
#include "config/load.h"
#include "config/value.h"
#include "exchange/exchange.h"
#include "exchange/snapshot.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "handlers/handlers.h"
#include "handlers/rate_bytes.h"
#include "http/syntax.h"
#include "net/pace.h"

#include <stddef.h>

// --- Keys

enum { BY_CLIENT, BY_USER, BY_HEADER, BY_ROUTE, BY_REQUEST };
enum { RULES_MAX = 16 };

struct rate_config {
	struct config_place place;
	struct config_text limit, send_text, receive_text;
	int64_t burst, concurrent; // 0: without that limit
	int64_t bytes_burst;	   // 0: as byte_rate_burst says
	int by;
	struct config_text header;
	bool delay, tell;
	// Made of these.
	struct rate rate;
	int64_t count, period_ns; // of the limit
	struct byte_rate send, receive;
	uint64_t rule;
};

static const char *const by_words[] = {[BY_CLIENT] = "client", [BY_USER] = "user",	 [BY_HEADER] = "header",
				       [BY_ROUTE] = "route",   [BY_REQUEST] = "request", NULL};

static const struct config_key rate_keys[] = {
	{"limit", CONFIG_TEXT, offsetof(struct rate_config, limit),
	 .help = "how many requests in which time, at the steady rate", .form = "a rate such as 10/s, 100/m or 1000/h"},
	{"burst", CONFIG_INTEGER, offsetof(struct rate_config, burst), "0",
	 "so many more may come at once, which then have to be made up for", .max = 1000000},
	{"concurrent", CONFIG_INTEGER, offsetof(struct rate_config, concurrent),
	 .help = "how many requests may be under way at once, their answers included; beside `limit` or in its place",
	 .max = 1000000},
	{"send", CONFIG_TEXT, offsetof(struct rate_config, send_text),
	 .help = "how fast the content of answers goes to visitors, those from the cache as well, and what follows an "
		 "upgrade (WebSocket)",
	 .form = "bytes a second such as 500KiB/s or 10MB/s"},
	{"receive", CONFIG_TEXT, offsetof(struct rate_config, receive_text),
	 .help = "how fast the bodies of requests are taken, and what visitors send after an upgrade",
	 .form = "bytes a second such as 500KiB/s or 10MB/s"},
	{"bytes_burst", CONFIG_SIZE, offsetof(struct rate_config, bytes_burst),
	 .help = "with `send` or `receive`: so many bytes may go at once, which then have to be made up for; what a "
		 "tenth "
		 "of a second brings, and 64KiB at least, when it is absent",
	 .min = 1024, .max = 1 << 30},
	{"by", CONFIG_CHOICE, offsetof(struct rate_config, by), "client",
	 "of whom: each client (an IPv4 address, or an IPv6 network of /64), each user (who has not logged in counts "
	 "as a "
	 "client), each value of `header`, or all together; of bytes also each request by itself",
	 .choices = by_words},
	{"header", CONFIG_TEXT, offsetof(struct rate_config, header),
	 .help = "with `by: header`: the field of the request, such as X-Api-Key; who does not send it counts as a "
		 "client"},
	{"delay", CONFIG_BOOL, offsetof(struct rate_config, delay), "false",
	 "those of the burst wait for their turn at the steady rate; otherwise they go at once"},
	{"tell", CONFIG_BOOL, offsetof(struct rate_config, tell), "false",
	 "answers tell how many more requests may come (RateLimit, RateLimit-Policy)"},
	{0},
};

static const struct config_section rate_section = {
	.name = "rate",
	.help = "How often visitors may ask, and how much at once; what is beyond it gets 429 with Retry-After. And "
		"how fast "
		"bodies move; what is beyond it waits.",
	.size = sizeof(struct rate_config),
	.keys = rate_keys,
	.place_offset = offsetof(struct rate_config, place),
	.shorthand = "limit",
};

// --- Loading

static bool read_limit(struct rate_config *config)
{
	static const struct {
		char unit;
		int64_t period_ns;
	} units[] = {{'s', SECOND_NS}, {'m', 60 * SECOND_NS}, {'h', 3600 * SECOND_NS}};
	struct slice count, unit;
	uint64_t number;
	if (!slice_cut(config->limit.text, '/', &count, &unit) || unit.length != 1 ||
	    !slice_to_number(slice_trim(count), &number) || number == 0 || number > 1000000000)
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (units[i].unit != unit.data[0])
			continue;
		config->count = (int64_t)number;
		config->period_ns = units[i].period_ns;
		config->rate.interval_ns = config->period_ns / config->count;
		config->rate.burst_ns = config->rate.interval_ns * config->burst;
		return config->rate.interval_ns > 0;
	}
	return false;
}

// Bytes a second, without a limit where the text is absent.
static bool load_bytes(struct config_load *load, const struct config_text *text, int64_t burst,
		       struct byte_rate *ret_rate)
{
	static const struct config_key size = {
		.name = "send", .kind = CONFIG_SIZE, .min = 1024, .max = INT64_C(1) << 40};
	struct slice bytes, unit;
	*ret_rate = (struct byte_rate){0};
	if (!text->text.data)
		return true;
	if (!slice_cut(text->text, '/', &bytes, &unit) || !slice_equal(unit, SLICE("s")) ||
	    !value_size(&size, bytes, &ret_rate->bytes)) {
		config_error(
			load, text->place,
			"\"%.*s\" is no rate of bytes; expected one of at least 1KiB/s, such as 500KiB/s or 10MB/s",
			SLICE_ARGUMENTS(text->text));
		return false;
	}
	ret_rate->burst = burst > 0 ? burst : byte_rate_burst(ret_rate->bytes);
	return true;
}

static bool load_rule(struct config_load *load, struct rate_config *config)
{
	bool has_limit = config->limit.text.length > 0;
	if (!load_bytes(load, &config->send_text, config->bytes_burst, &config->send) ||
	    !load_bytes(load, &config->receive_text, config->bytes_burst, &config->receive))
		return false;
	bool has_bytes = config->send.bytes > 0 || config->receive.bytes > 0;
	if (!has_limit && config->concurrent == 0 && !has_bytes) {
		config_error(
			load, config->place,
			"a rate needs a `limit` such as 10/s, `concurrent`, or `send` or `receive` such as 1MiB/s");
		return false;
	}
	if (config->bytes_burst > 0 && !has_bytes) {
		config_error(load, config_where(load, config, "bytes_burst"),
			     "`bytes_burst` belongs to `send` or `receive`");
		return false;
	}
	if (config->by == BY_REQUEST && (has_limit || config->concurrent > 0)) {
		config_error(
			load, config_where(load, config, "by"),
			"`by: request` is for `send` and `receive`: requests are counted by others than themselves");
		return false;
	}
	if (has_limit && !read_limit(config)) {
		config_error(load, config->limit.place,
			     "\"%.*s\" is no rate; expected one such as 10/s, 100/m or 1000/h",
			     SLICE_ARGUMENTS(config->limit.text));
		return false;
	}
	if (!has_limit && (config->burst > 0 || config->delay || config->tell)) {
		config_error(load, config->place, "`burst`, `delay` and `tell` belong to a `limit`");
		return false;
	}
	bool has_header = config->header.text.length > 0;
	if (has_header != (config->by == BY_HEADER) || (has_header && !syntax_all(config->header.text, SYNTAX_TOKEN))) {
		config_error(load, has_header ? config->header.place : config->place,
			     "`by: header` and the name of a field in `header` belong together");
		return false;
	}
	return true;
}

// The same after a reload, as long as it stands at the same place among others of its kind.
static uint64_t rule_of(const struct route *route, const struct rate_config *config, size_t index)
{
	return hash_fast(route->site->name) ^ hash_number(hash_fast(route->path_text)) ^
	       hash_number(hash_fast(config->limit.text) + index);
}

static bool rate_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
		      const void **ret_config)
{
	struct config_list *list = value;
	struct rate_config *rules = list->items;
	bool good = true;
	if (list->count > RULES_MAX) {
		config_error(load, rules[RULES_MAX].place, "more than %d rates for one route", RULES_MAX);
		return false;
	}
	for (size_t i = 0; i < list->count; i++) {
		good = load_rule(load, &rules[i]) && good;
		// Of those that several routes inherit, the first names it: they share it.
		if (rules[i].rule == 0)
			rules[i].rule = rule_of(route, &rules[i], i);
	}
	*ret_config = list;
	return good;
}

// --- Handling

static struct slice who(struct exchange *exchange, const struct rate_config *config, uint64_t room[2])
{
	switch (config->by) {
	case BY_ROUTE:
	case BY_REQUEST:
		return SLICE_EMPTY;
	case BY_USER:
		if (exchange->user.length > 0)
			return exchange->user;
		break;
	case BY_HEADER: {
		const struct field *field = fields_find_name(&exchange_request(exchange)->fields, config->header.text);
		if (field)
			return field->value;
		break;
	}
	default:
		break;
	}
	(void)address_client_key(&exchange->client, room); // by a UNIX socket all are one
	return slice_from(room, 2 * sizeof *room);
}

// The draft of the IETF's working group (RateLimit header fields for HTTP).
static void tell(struct exchange *exchange, const struct rate_config *config, const struct rate_result *result)
{
	struct arena *arena = exchange_arena(exchange);
	struct slice policy = arena_printf(arena, "\"%.*s\";q=%lld;w=%lld", SLICE_ARGUMENTS(config->limit.text),
					   (long long)(config->count), (long long)(config->period_ns / SECOND_NS));
	struct slice state =
		arena_printf(arena, "\"%.*s\";r=%lld;t=%lld", SLICE_ARGUMENTS(config->limit.text),
			     (long long)result->left, (long long)((result->full_ns + SECOND_NS - 1) / SECOND_NS));
	if (!policy.data || !state.data)
		return;
	exchange_always(exchange, SLICE("RateLimit-Policy"), policy);
	exchange_always(exchange, SLICE("RateLimit"), state);
}

static void refuse(struct exchange *exchange, const struct rate_config *config, struct slice limit, int64_t wait_ns,
		   const char *detail)
{
	exchange->retry_after_ns = wait_ns;
	trace_note(&exchange->trace, "rate", limit, config->place.file, config->place.line, TRACE_NO_VALUE);
	exchange_fail(exchange, FAULT_TOO_MANY_REQUESTS, "keep to a rate", detail);
	exchange->transaction.fault.setting = "rate";
}

struct held {
	struct exchange_end end;
	struct concurrent *place;
};

static void give_back(struct exchange *exchange, struct exchange_end *end)
{
	(void)exchange;
	struct held *held = (struct held *)end;
	concurrent_give(held->place);
}

// Takes a place until the exchange ends; false when there is none, and the request is refused.
static bool take_place(struct exchange *exchange, const struct rate_config *config, uint64_t key)
{
	struct held *held = arena_alloc(exchange_arena(exchange), sizeof *held);
	if (!held) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "keep to a rate", NULL);
		return false;
	}
	switch (concurrent_take(key, (uint32_t)config->concurrent, &held->place)) {
	case CONCURRENT_TAKEN:
		exchange_at_end(exchange, &held->end, give_back);
		return true;
	case CONCURRENT_UNCOUNTED:
		return true;
	case CONCURRENT_FULL:
		break;
	}
	refuse(exchange, config, SLICE("concurrent"), SECOND_NS, "more requests at once than `rate` allows");
	return false;
}

// Whether the request may go on. May suspend.
static bool keeps_to(struct exchange *exchange, const struct rate_config *config)
{
	uint64_t room[2];
	if (config->concurrent == 0 && config->count == 0)
		return true;
	uint64_t key = rate_key(config->rule, who(exchange, config, room));
	if (config->concurrent > 0 && !take_place(exchange, config, key))
		return false;
	if (config->count == 0)
		return true;
	int64_t now_ns = loop_now_exact();
	struct rate_result result = rate_take(&config->rate, key, now_ns);
	if (config->tell)
		tell(exchange, config, &result);
	if (!result.is_within) {
		refuse(exchange, config, config->limit.text, result.wait_ns, "more requests than `rate` allows");
		return false;
	}
	if (!config->delay || result.wait_ns == 0 || fiber_sleep("turn at a rate", now_ns + result.wait_ns) == 0)
		return true;
	exchange_fail(exchange, FAULT_CLIENT_GONE, "wait for a turn", NULL);
	return false;
}

// --- Bytes

// Each way has a rate of its own, beside that of requests; 0 where each request has.
static uint64_t key_of_bytes(struct exchange *exchange, const struct rate_config *config, uint64_t way)
{
	uint64_t room[2];
	return config->by == BY_REQUEST ? 0 : rate_key(hash_number(config->rule + way), who(exchange, config, room));
}

// Puts one in front of a body that is not at its end. False when memory is out.
static bool pace(struct exchange *exchange, const struct byte_rate *rate, uint64_t key, const char *step,
		 struct body **body)
{
	if (rate->bytes == 0 || body_look(*body) == BODY_ENDED)
		return true;
	struct body *paced = paced_body_new(exchange_arena(exchange), *body, rate, key, step);
	if (!paced) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, step, NULL);
		return false;
	}
	*body = paced;
	return true;
}

// Adds one to those of one way of a tunnel. False when memory is out.
static bool pace_way(struct exchange *exchange, const struct byte_rate *rate, uint64_t key, struct pace **paces)
{
	if (rate->bytes == 0)
		return true;
	struct pace *pace = arena_alloc(exchange_arena(exchange), sizeof *pace);
	if (!pace) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "upgrade", NULL);
		return false;
	}
	*pace = pace_of(rate->bytes, rate->burst, key);
	pace->next = *paces;
	*paces = pace;
	return true;
}

static void pace_tunnel(struct exchange *exchange, const struct config_list *list, const uint64_t *send_keys,
			const uint64_t *receive_keys)
{
	const struct rate_config *rules = list->items;
	struct tunnel_end *tunnel = &exchange->transaction.tunnel;
	for (size_t i = 0; i < list->count; i++)
		if (!pace_way(exchange, &rules[i].send, send_keys[i], &tunnel->send) ||
		    !pace_way(exchange, &rules[i].receive, receive_keys[i], &tunnel->receive))
			return;
}

static bool pace_all(struct exchange *exchange, const struct config_list *list, const uint64_t *send_keys)
{
	const struct rate_config *rules = list->items;
	struct response *response = exchange_response(exchange);
	for (size_t i = 0; i < list->count; i++)
		if (!pace(exchange, &rules[i].send, send_keys[i], "send at a rate", &response->body))
			return false;
	return true;
}

static void rate_handle(struct exchange *exchange, const void *value)
{
	const struct config_list *list = value;
	const struct rate_config *rules = list->items;
	uint64_t send_keys[RULES_MAX], receive_keys[RULES_MAX];
	for (size_t i = 0; i < list->count; i++) {
		if (!keeps_to(exchange, &rules[i]))
			return;
		send_keys[i] = rules[i].send.bytes > 0 ? key_of_bytes(exchange, &rules[i], 1) : 0;
		receive_keys[i] = rules[i].receive.bytes > 0 ? key_of_bytes(exchange, &rules[i], 2) : 0;
		if (!pace(exchange, &rules[i].receive, receive_keys[i], "receive at a rate",
			  &exchange_request(exchange)->body))
			return;
	}
	exchange_next(exchange);
	if (exchange_failed(exchange))
		return;
	if (exchange->transaction.tunnel.stream)
		pace_tunnel(exchange, list, send_keys, receive_keys);
	else
		(void)pace_all(exchange, list, send_keys);
}

const struct handler_type rate_handler = {
	.order = HANDLER_RATE,
	.key = {.name = "rate",
		.kind = CONFIG_LIST,
		.section = &rate_section,
		.help = "How often visitors may ask, how much at once, and how fast bodies move: one rate, or several "
			"that all "
			"hold.",
		.form = "a rate such as 10/s, or a list of maps such as {limit: 10/s, burst: 20}"},
	.load = rate_load,
	.handle = rate_handle,
};
