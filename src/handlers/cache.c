// cache: answers that may be reused are reused (RFC 9111).
#include "handlers/cache.h"

#include "base/hash.h"
#include "cache/fetch.h"
#include "cache/freshness.h"
#include "cache/object.h"
#include "cache/storable.h"
#include "cache/store.h"
#include "config/load.h"
#include "exchange/exchange.h"
#include "exchange/route_match.h"
#include "exchange/snapshot.h"
#include "fiber/loop.h"
#include "handlers/cache_answer.h"
#include "handlers/cache_body.h"
#include "handlers/handlers.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

// How often another visitor's fetch is waited for, when those before have left.
enum { FETCH_ROUNDS = 4 };

// --- Keys

struct stale_config {
	int64_t if_error_ns;
};

static const struct config_key stale_keys[] = {
	{"if_error", CONFIG_DURATION, offsetof(struct stale_config, if_error_ns), "off",
	 "how long after its freshness an answer is used while no server can be reached or the server answers 500, "
	 "502, "
	 "503 or 504; answers may say it themselves (stale-if-error), and must-revalidate forbids it"},
	{0},
};

static const struct config_section stale_section = {
	.name = "cache.stale",
	.help = "When stored answers are used though they are not fresh any more.",
	.size = sizeof(struct stale_config),
	.keys = stale_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

struct heuristic_config {
	int64_t percent;
	int64_t max_ns;
};

static const struct config_key heuristic_keys[] = {
	{"percent", CONFIG_INTEGER, offsetof(struct heuristic_config, percent), "0",
	 "answers that do not say how long they are fresh are so for this share of the time since they were last "
	 "modified "
	 "(RFC 9111 section 4.2.2); 0: they are not",
	 .max = 100},
	{"max", CONFIG_DURATION, offsetof(struct heuristic_config, max_ns), "1d", "but no longer than this",
	 .min = 1000000000},
	{0},
};

static const struct config_section heuristic_section = {
	.name = "cache.heuristic",
	.help = "Freshness that is guessed for answers that do not tell it.",
	.size = sizeof(struct heuristic_config),
	.keys = heuristic_keys,
	.place_offset = CONFIG_NO_OFFSET,
	.name_offset = CONFIG_NO_OFFSET,
};

struct cache_config {
	struct config_place place;
	bool on;
	int64_t ttl_ns;
	bool override;
	int64_t max_object_bytes;
	bool ignore_set_cookie;
	bool status;
	struct stale_config stale;
	struct heuristic_config heuristic;
	uint64_t variant; // of this route
};

static const struct config_key cache_keys[] = {
	{"on", CONFIG_BOOL, offsetof(struct cache_config, on), "true", "false: nothing is stored or reused here"},
	{"ttl", CONFIG_DURATION, offsetof(struct cache_config, ttl_ns), "off",
	 "how long answers are fresh that do not say it themselves (max-age, s-maxage, Expires); off: as they say"},
	{"override", CONFIG_BOOL, offsetof(struct cache_config, override), "false",
	 "`ttl` counts whatever answers say of their freshness; not for those that are private or not to be stored"},
	{"max_object", CONFIG_SIZE, offsetof(struct cache_config, max_object_bytes), "1MiB",
	 "answers with more content are not stored", .min = 1, .max = 1 << 30},
	{"ignore_set_cookie", CONFIG_BOOL, offsetof(struct cache_config, ignore_set_cookie), "false",
	 "answers that set cookies are stored, too, without the cookies; else they are taken for one visitor's alone"},
	{"status", CONFIG_BOOL, offsetof(struct cache_config, status), "false",
	 "answers tell what the cache did: Cache-Status (RFC 9211)"},
	{"stale", CONFIG_SECTION, offsetof(struct cache_config, stale),
	 .help = "when stored answers are used though they are not fresh any more", .section = &stale_section},
	{"heuristic", CONFIG_SECTION, offsetof(struct cache_config, heuristic),
	 .help = "freshness that is guessed for answers that do not tell it", .section = &heuristic_section},
	{0},
};

static const struct config_section cache_section = {
	.name = "cache",
	.help = "Answers that may be reused are reused, from memory (RFC 9111).",
	.size = sizeof(struct cache_config),
	.keys = cache_keys,
	.place_offset = offsetof(struct cache_config, place),
	.shorthand = "on",
};

const struct top_section_type cache_memory_section = {
	.key = {.name = "cache_memory",
		.kind = CONFIG_SIZE,
		.standard = "64MiB",
		.min = 1 << 20,
		.max = INT64_C(1) << 40,
		.help = "how much memory stored answers may take, all of theirs counted",
		.form = "a size such as 64MiB or 2GiB"},
};

// --- The store, with the budget of this configuration

static struct cache_store *store_of(const struct exchange *exchange)
{
	const int64_t *budget_bytes = snapshot_section(exchange->snapshot, &cache_memory_section);
	struct cache_store *store = cache_shared_store();
	if (store && budget_bytes)
		cache_store_set_budget(store, (uint64_t)*budget_bytes);
	return store;
}

// --- One exchange

struct caching {
	struct exchange *exchange;
	const struct cache_config *config;
	struct cache_store *store;
	struct slice key;
	uint64_t hash;
	struct fields request; // as the visitor sent it
	struct cache_directives request_says, response_says;
	int64_t requested_s;
	struct fields response; // as the server sent it
	unsigned status;
	int64_t received_s, lifetime_s;
	struct cache_object *object; // that was found; holds a reference
	struct cache_fetch *fetch;   // that others may wait for; NULL: none, or it has ended
	struct exchange_end end;
};

static int64_t now_s(void)
{
	return loop_wall_clock() / SECOND_NS;
}

static void end_fetch(struct caching *caching, enum cache_fetch_outcome outcome)
{
	if (caching->fetch)
		cache_fetch_end(caching->fetch, outcome);
	caching->fetch = NULL;
}

// Whoever waits for a visitor who left may fetch for himself; what failed would fail for all.
static void let_go_at_end(struct exchange *exchange, struct exchange_end *end)
{
	struct caching *caching = LIST_ENTRY((void *)end, struct caching, end);
	bool left = exchange->transaction.fault.kind == FAULT_CLIENT_GONE ||
		    exchange->transaction.fault.kind == FAULT_CLIENT_SLOW;
	end_fetch(caching, left ? CACHE_FETCH_LEFT : CACHE_FETCH_NOT_STORED);
	cache_object_unref(caching->object);
}

// RFC 9111 section 2: the target URI, and what is asked for is always GET.
static struct slice key_of(struct exchange *exchange)
{
	const struct request *request = exchange_request(exchange);
	return arena_printf(exchange_arena(exchange), "%.*s://%.*s%.*s%s%.*s", SLICE_ARGUMENTS(exchange->scheme),
			    SLICE_ARGUMENTS(exchange->host), SLICE_ARGUMENTS(request->path),
			    request->has_query ? "?" : "", SLICE_ARGUMENTS(request->query));
}

static struct caching *begin(struct exchange *exchange, const struct cache_config *config)
{
	struct caching *caching = arena_zalloc(exchange_arena(exchange), sizeof *caching);
	if (!caching)
		return NULL;
	caching->exchange = exchange;
	caching->config = config;
	caching->store = store_of(exchange);
	caching->key = key_of(exchange);
	if (!caching->store || !caching->key.data)
		return NULL;
	caching->hash = cache_store_hash(caching->store, caching->key);
	cache_directives_of_request(&exchange_request(exchange)->fields, &caching->request_says);
	exchange_at_end(exchange, &caching->end, let_go_at_end);
	return caching;
}

static void tell(struct caching *caching, const char *what)
{
	struct exchange *exchange = caching->exchange;
	trace_note(&exchange->trace, "cache", slice_from_string(what), NULL, 0, TRACE_NO_VALUE);
	if (caching->config->status)
		exchange_always(exchange, SLICE("Cache-Status"),
				arena_printf(exchange_arena(exchange), "usher; %s", what));
}

// --- Answering from the store

// Whether what is stored now is fresh; a stale one stays in caching->object as well.
static bool find_fresh(struct caching *caching)
{
	cache_object_unref(caching->object);
	caching->object = cache_store_find(caching->store, caching->key, caching->hash, caching->config->variant,
					   &caching->request);
	return caching->object && cache_object_is_fresh(caching->object, now_s());
}

static void answer_from(struct caching *caching, const struct cache_object *object)
{
	cache_answer(caching->exchange, &caching->request, object, now_s());
}

// --- Storing

static int64_t stale_error_of(const struct caching *caching)
{
	return cache_stale_error_s(&caching->response_says, caching->config->stale.if_error_ns / SECOND_NS);
}

static struct cache_object *make_object(const struct caching *caching, struct slice content)
{
	return cache_object_new(&(struct cache_object_parts){
		.key = caching->key,
		.hash = caching->hash,
		.variant = caching->config->variant,
		.status = caching->status,
		.response = &caching->response,
		.request = &caching->request,
		.says = &caching->response_says,
		.body = content,
		.received_s = caching->received_s,
		.initial_age_s = cache_initial_age_s(&caching->response, caching->requested_s, caching->received_s),
		.lifetime_s = caching->lifetime_s,
		.stale_error_s = stale_error_of(caching),
	});
}

static void content_came(void *argument, struct slice content)
{
	struct caching *caching = argument;
	struct cache_object *object = make_object(caching, content);
	bool stored = object && cache_store_put(caching->store, object, &caching->request);
	cache_object_unref(object);
	end_fetch(caching, stored ? CACHE_FETCH_STORED : CACHE_FETCH_NOT_STORED);
}

// How long the answer is fresh: as it says, or by the operator's word.
static int64_t lifetime_of(const struct caching *caching, unsigned status, const struct fields *response)
{
	const struct heuristic_config *config = &caching->config->heuristic;
	const struct cache_heuristic heuristic = {(uint32_t)config->percent, config->max_ns / SECOND_NS};
	enum cache_lifetime by;
	int64_t lifetime_s =
		cache_lifetime_s(status, response, &caching->response_says, caching->received_s, &heuristic, &by);
	int64_t ttl_s = caching->config->ttl_ns / SECOND_NS;
	return ttl_s > 0 && (by == CACHE_BY_NOTHING || caching->config->override) ? ttl_s : lifetime_s;
}

// Looks at the answer's head, before anybody changes it.
static enum cache_verdict judge(struct caching *caching)
{
	const struct response *response = exchange_response(caching->exchange);
	caching->status = response->status;
	caching->received_s = now_s();
	cache_directives_of_response(&response->fields, &caching->response_says);
	caching->lifetime_s = lifetime_of(caching, response->status, &response->fields);
	return cache_may_store(&(struct cache_answer){
		.method = exchange_request(caching->exchange)->method,
		.status = response->status,
		.request = &caching->request,
		.response = &response->fields,
		.request_says = &caching->request_says,
		.response_says = &caching->response_says,
		.lifetime_s = caching->lifetime_s,
		.is_whole = true, // content_came is called for nothing less
		.ignores_cookies = caching->config->ignore_set_cookie,
	});
}

static bool copy_all(struct arena *arena, const struct fields *from, struct fields *ret_copy)
{
	struct fields copy = {0};
	copy.items = arena_alloc(arena, (from->count + 1) * sizeof *copy.items);
	if (!copy.items)
		return false;
	memcpy(copy.items, from->items, from->count * sizeof *copy.items);
	copy.count = copy.capacity = from->count;
	*ret_copy = copy;
	return true;
}

static void store_answer(struct caching *caching, const char *why)
{
	struct exchange *exchange = caching->exchange;
	enum cache_verdict verdict = judge(caching);
	bool stores = verdict == CACHE_MAY_STORE &&
		      copy_all(exchange_arena(exchange), &exchange_response(exchange)->fields, &caching->response) &&
		      cache_body_attach(exchange, (size_t)caching->config->max_object_bytes, content_came, caching);
	if (!stores)
		end_fetch(caching, CACHE_FETCH_NOT_STORED);
	struct slice told = stores ? arena_printf(exchange_arena(exchange), "fwd=%s; stored", why)
				   : arena_printf(exchange_arena(exchange), "fwd=%s; detail=\"%s\"", why,
						  cache_verdict_rule(verdict));
	if (told.data)
		tell(caching, told.data);
}

// --- Asking the server

// Makes the request one for validation of what is stored (RFC 9111 section 4.3.1), in the place of what the
// visitor asked about his own copy.
static bool ask_for_changes(struct caching *caching)
{
	struct exchange *exchange = caching->exchange;
	struct fields stored = cache_object_response(caching->object), *request = &exchange_request(exchange)->fields;
	struct slice etag = fields_value(&stored, FIELD_ETAG), modified = fields_value(&stored, FIELD_LAST_MODIFIED);
	(void)fields_remove(request, FIELD_IF_NONE_MATCH);
	(void)fields_remove(request, FIELD_IF_MODIFIED_SINCE);
	bool good = !etag.data || fields_set(request, exchange_arena(exchange), FIELD_IF_NONE_MATCH, etag);
	return good &&
	       (!modified.data || fields_set(request, exchange_arena(exchange), FIELD_IF_MODIFIED_SINCE, modified));
}

static bool has_validator(const struct cache_object *object)
{
	struct fields fields = cache_object_response(object);
	return fields_find(&fields, FIELD_ETAG) || fields_find(&fields, FIELD_LAST_MODIFIED);
}

// RFC 9111 section 4.3.4: what is stored goes on, with what the 304 says of it.
static void take_304(struct caching *caching)
{
	struct fields *response = &exchange_response(caching->exchange)->fields;
	struct fields stored = cache_object_response(caching->object);
	caching->received_s = now_s();
	cache_directives_of_response(response, &caching->response_says);
	bool says = fields_find(response, FIELD_CACHE_CONTROL) || fields_find(response, FIELD_EXPIRES);
	if (!says)
		cache_directives_of_response(&stored, &caching->response_says);
	caching->lifetime_s = lifetime_of(caching, caching->object->status, says ? response : &stored);
	struct cache_object *refreshed =
		cache_object_refreshed(caching->object, response, caching->received_s,
				       cache_initial_age_s(response, caching->requested_s, caching->received_s),
				       caching->lifetime_s, stale_error_of(caching));
	if (!refreshed) {
		exchange_fail(caching->exchange, FAULT_OUT_OF_MEMORY, "refresh a stored answer", NULL);
		return;
	}
	if (!cache_says(&caching->response_says, CACHE_NO_STORE) && !cache_says(&caching->response_says, CACHE_PRIVATE))
		(void)cache_store_put(caching->store, refreshed, &caching->request);
	else
		(void)cache_store_drop(caching->store, caching->key, caching->hash);
	end_fetch(caching, CACHE_FETCH_STORED);
	cache_object_unref(caching->object);
	caching->object = refreshed;
	tell(caching, "hit; fwd=stale; fwd-status=304");
	answer_from(caching, refreshed);
}

// RFC 5861 section 4, and RFC 9111 section 4.2.4: the server is away, or as good as that.
static bool is_away(const struct exchange *exchange)
{
	unsigned status = exchange_failed(exchange) ? (unsigned)fault_status(exchange->transaction.fault.kind)
						    : exchange->transaction.response.status;
	return status == 500 || status == 502 || status == 503 || status == 504;
}

static bool serves_in_error(const struct caching *caching)
{
	return caching->object && is_away(caching->exchange) && cache_object_serves_errors(caching->object, now_s());
}

// What went wrong stays in the trace; the visitor gets what there is.
static void answer_in_error(struct caching *caching)
{
	struct exchange *exchange = caching->exchange;
	trace_note(&exchange->trace, "stale_if_error", slice_from_string(fault_word(exchange->transaction.fault.kind)),
		   NULL, 0, exchange_failed(exchange) ? TRACE_NO_VALUE : exchange_response(exchange)->status);
	exchange->transaction.fault = (struct fault){0};
	exchange->retry_after_ns = 0;
	tell(caching, "hit; fwd=stale; detail=\"stale-if-error\"");
	answer_from(caching, caching->object);
}

static void ask_server(struct caching *caching)
{
	struct exchange *exchange = caching->exchange;
	bool validates = caching->object && has_validator(caching->object);
	caching->requested_s = now_s();
	if (validates && !ask_for_changes(caching)) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "validate a stored answer", NULL);
		return;
	}
	exchange_next(exchange);
	if (serves_in_error(caching)) {
		answer_in_error(caching);
		return;
	}
	if (exchange_failed(exchange))
		return;
	if (validates && exchange_response(exchange)->status == 304)
		take_304(caching);
	else
		store_answer(caching, caching->object ? "stale" : "miss");
}

// Whether what is answered may be of use to others: not what HEAD or a visitor's own condition is answered,
// nor what is asked for with credentials.
static bool is_for_all(const struct caching *caching)
{
	const struct fields *request = &caching->request;
	bool has_condition = fields_find(request, FIELD_IF_NONE_MATCH) || fields_find(request, FIELD_IF_MODIFIED_SINCE);
	return exchange_request(caching->exchange)->method == METHOD_GET && (caching->object || !has_condition) &&
	       !fields_find(request, FIELD_AUTHORIZATION) && !cache_says(&caching->request_says, CACHE_NO_STORE);
}

// Of those who miss the same, one asks the server. True when this one has to: the first, or one for whom
// the first one's answer is of no use. False when what another one fetched is the answer, or this
// visitor has left.
static bool has_to_ask(struct caching *caching)
{
	if (!is_for_all(caching))
		return true;
	for (unsigned round = 0; round < FETCH_ROUNDS; round++) {
		bool is_first;
		enum cache_fetch_outcome outcome = CACHE_FETCH_NOT_STORED;
		int64_t until_ns = loop_now() + caching->exchange->route->timeouts->response_ns;
		struct cache_fetch *fetch = cache_fetch_join(caching->key, caching->hash, &is_first);
		if (is_first) {
			caching->fetch = fetch;
			return true;
		}
		int error = cache_fetch_wait(fetch, until_ns, &outcome);
		if (error == -ECANCELED) {
			exchange_fail(caching->exchange, FAULT_CLIENT_GONE, "wait for another's fetch", NULL);
			return false;
		}
		if (find_fresh(caching)) {
			tell(caching, "hit; collapsed");
			answer_from(caching, caching->object);
			return false;
		}
		if (error || outcome != CACHE_FETCH_LEFT)
			return true;
	}
	return true;
}

// RFC 9111 section 5.2.1.7.
static void refuse_to_ask(struct caching *caching)
{
	tell(caching, "fwd=miss; detail=\"only-if-cached\"");
	exchange_answer(caching->exchange, 504, SLICE_EMPTY, SLICE_EMPTY);
}

// --- The main path

// What this cache has no answer to, or would have to look into: it passes.
static bool is_cacheable(const struct request *request)
{
	if (request->method != METHOD_GET && request->method != METHOD_HEAD)
		return false;
	return request->framing == BODY_NONE && !request->wants_upgrade &&
	       !fields_find(&request->fields, FIELD_IF_MATCH) &&
	       !fields_find(&request->fields, FIELD_IF_UNMODIFIED_SINCE);
}

// RFC 9111 section 4.4: what was changed is not what is stored any more.
static void pass_and_invalidate(struct exchange *exchange, const struct cache_config *config)
{
	struct caching *caching = begin(exchange, config);
	exchange_next(exchange);
	unsigned status = exchange_response(exchange)->status;
	if (caching && !exchange_failed(exchange) && status >= 200 && status < 400)
		(void)cache_store_drop(caching->store, caching->key, caching->hash);
}

static void cache_handle(struct exchange *exchange, const void *value)
{
	const struct cache_config *config = value;
	const struct request *request = exchange_request(exchange);
	if (!config->on || (method_is_safe(request->method) && !is_cacheable(request))) {
		exchange_next(exchange);
		return;
	}
	if (!method_is_safe(request->method)) {
		pass_and_invalidate(exchange, config);
		return;
	}
	struct caching *caching = begin(exchange, config);
	if (!caching || !copy_all(exchange_arena(exchange), &request->fields, &caching->request)) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "cache", NULL);
		return;
	}
	if (find_fresh(caching)) {
		tell(caching, "hit");
		answer_from(caching, caching->object);
	} else if (cache_says(&caching->request_says, CACHE_ONLY_IF_CACHED)) {
		refuse_to_ask(caching);
	} else if (fields_find(&caching->request, FIELD_RANGE)) {
		// A part is not stored, nor is the whole asked for on this visitor's account.
		tell(caching, caching->object ? "fwd=stale" : "fwd=miss");
		exchange_next(exchange);
	} else if (has_to_ask(caching)) {
		ask_server(caching);
	}
}

// --- Loading

// A route that asks more of a request than its path shares its targets with the routes behind it: their
// answers are not each other's. It is told by its place among those with its path, which a change elsewhere
// does not move.
static uint64_t variant_of(const struct route *route)
{
	uint64_t place = 1;
	if (!route->match || !route->match->conditions)
		return 0;
	for (const struct route *other = route->site->routes; other < route; other++)
		place += other->match && other->match->conditions && slice_equal(other->path_text, route->path_text);
	return hash_fast(route->path_text) + place;
}

// Several routes may share the value.
static bool cache_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
		       const void **ret_config)
{
	struct cache_config *config = config_alloc(load, sizeof *config);
	if (!config)
		return false;
	*config = *(const struct cache_config *)value;
	config->variant = variant_of(route);
	*ret_config = config;
	return true;
}

const struct handler_type cache_handler = {
	.order = HANDLER_CACHE,
	.key = {.name = "cache",
		.kind = CONFIG_OPTIONAL,
		.section = &cache_section,
		.help = "Answers that may be reused are reused, from memory (RFC 9111).",
		.form = "true, false, or a map such as {ttl: 1m}"},
	.load = cache_load,
	.handle = cache_handle,
};
