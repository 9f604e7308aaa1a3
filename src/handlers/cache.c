// cache: answers that may be reused are reused (RFC 9111).
#include "handlers/cache.h"

#include "cache/fetch.h"
#include "cache/object.h"
#include "cache/storable.h"
#include "cache/store.h"
#include "cache/vary.h"
#include "exchange/exchange.h"
#include "fiber/fiber.h"
#include "handlers/cache_answer.h"
#include "handlers/cache_config.h"
#include "handlers/cache_decode.h"
#include "handlers/cache_disk.h"
#include "handlers/cache_fetching.h"
#include "handlers/cache_freshen.h"
#include "handlers/cache_gap.h"
#include "handlers/cache_invalidate.h"
#include "handlers/cache_judge.h"
#include "handlers/cache_key.h"
#include "handlers/cache_parts.h"
#include "handlers/cache_status.h"
#include "handlers/cache_wish.h"
#include "handlers/handlers.h"

#include <errno.h>

enum {
	FETCH_ROUNDS = 4,   // so often another visitor's fetch may turn out to bring another variant
	HOT_HITS = 3,	    // of an object that is fetched anew before it is stale
	HOT_LIFETIME_S = 10 // at least
};

// --- One exchange

struct caching {
	struct exchange *exchange;
	const struct cache_config *config;
	struct cache_store *store;
	struct slice key;
	uint64_t hash, variant;
	struct fields request; // as the visitor sent it; a copy as soon as somebody may change it
	struct cache_directives request_says;
	struct cache_asked asked;
	struct cache_object *object; // that was found; holds a reference
	bool suffices;		     // it has all that is asked for
	bool is_marked;		     // answers to this request were not for others
	bool is_crowded;	     // there is no room to decode what there is
	const char *told;	     // of what was done; NULL: nothing yet
	enum cache_result result;
	struct cache_reader reader;
	struct fetching *fetching; // that this visitor began, and whose response may be his
	struct fields left_out;	   // of it: what is his alone
	struct exchange_end end;
};

// The text of a fault may be of a fetch's memory, which goes before the log is written.
static void own_fault(struct exchange *exchange)
{
	const char **detail = &exchange->transaction.fault.detail;
	if (*detail)
		*detail = arena_copy(exchange_arena(exchange), slice_from_string(*detail)).data;
}

static void let_go(struct exchange *exchange, struct exchange_end *end)
{
	struct caching *caching = LIST_ENTRY((void *)end, struct caching, end);
	own_fault(exchange);
	if (caching->fetching)
		fetching_release(caching->fetching);
	cache_reader_leave(&caching->reader);
	cache_object_unref(caching->object);
}

static struct caching *begin(struct exchange *exchange, const struct cache_config *config)
{
	const struct request *request = exchange_request(exchange);
	struct caching *caching = arena_zalloc(exchange_arena(exchange), sizeof *caching);
	if (!caching)
		return NULL;
	caching->exchange = exchange;
	caching->config = config;
	caching->store = cache_shared_store();
	caching->key = cache_key(exchange, &config->key);
	if (!caching->store || !caching->key.data ||
	    !cache_key_variant(exchange, config, caching->store, &caching->variant))
		return NULL;
	if (!cache_classes_take(&config->vary, exchange_arena(exchange), &exchange_request(exchange)->fields,
				&caching->request))
		return NULL;
	caching->hash = cache_store_hash(caching->store, caching->key);
	cache_directives_of_request(&caching->request, &caching->request_says);
	caching->asked = (struct cache_asked){
		.config = config,
		.method = request->method,
		.request = &caching->request,
		.says = &caching->request_says,
		.asked_s = cache_now_s(),
		.forbids = cache_matches_hold(&config->no_store, exchange) ? CACHE_NO_STORE_RULE : CACHE_MAY_STORE,
	};
	exchange_at_end(exchange, &caching->end, let_go);
	return caching;
}

static void tell(struct caching *caching, const char *what)
{
	cache_status_note(caching->exchange, what);
	caching->told = what;
}

// By the operator's word. What the server says to it still tells whether what is stored is what it was.
static bool is_for_server(const struct caching *caching)
{
	return !caching->config->answers_head && exchange_request(caching->exchange)->method == METHOD_HEAD;
}

// RFC 9211 section 2.2.
static const char *why_forwarded(const struct caching *caching)
{
	if (caching->asked.forbids == CACHE_BYPASS_RULE)
		return "bypass";
	if (is_for_server(caching))
		return "method";
	return !caching->object ? "miss" : caching->suffices ? "stale" : "partial";
}

// That the request went to a server, and what more there is to say.
static void tell_forwarded(struct caching *caching, const char *more)
{
	struct slice told = arena_printf(exchange_arena(caching->exchange), "fwd=%s%s", why_forwarded(caching), more);
	if (told.data)
		tell(caching, told.data);
}

static void tell_refused(struct caching *caching, enum cache_verdict verdict)
{
	struct slice more =
		arena_printf(exchange_arena(caching->exchange), "; detail=\"%s\"", cache_verdict_rule(verdict));
	if (more.data)
		tell_forwarded(caching, more.data);
}

// --- What is stored

static void find(struct caching *caching)
{
	cache_object_unref(caching->object);
	caching->object =
		cache_store_find(caching->store, caching->key, caching->hash, caching->variant, &caching->request);
	const struct cache_wanted wanted = {caching->key, caching->hash, caching->variant, &caching->request};
	if (!caching->object)
		caching->object = cache_disk_look(&wanted, caching->store);
	if (!caching->object)
		return;
	struct slice beginning = caching->object->body.data ? caching->object->body : SLICE_EMPTY;
	if (!cache_decode_claim(caching->exchange, caching->object, &caching->request, beginning,
				cache_store_budget(caching->store))) {
		caching->is_crowded = true;
		cache_object_unref(caching->object);
		caching->object = NULL;
		return;
	}
	if (caching->object->status != CACHE_MARK) {
		caching->suffices = cache_parts_suffice(caching->exchange, &caching->request, caching->object,
							caching->object->body.length, cache_now_s());
		return;
	}
	caching->is_marked = cache_object_is_fresh(caching->object, cache_now_s());
	cache_object_unref(caching->object);
	caching->object = NULL;
}

static bool is_fresh(const struct caching *caching)
{
	if (!caching->object || !caching->suffices)
		return false;
	return caching->config->obey ? cache_wish_holds(&caching->request_says, caching->object, cache_now_s(),
							exchange_arena(caching->exchange))
				     : cache_object_is_fresh(caching->object, cache_now_s());
}

static void answer_stored(struct caching *caching)
{
	cache_answer(caching->exchange, &caching->request, caching->object, cache_now_s());
}

// --- When the server is away

static bool serves_errors(const struct caching *caching, unsigned status)
{
	return caching->object && caching->suffices && cache_status_is_error(status) &&
	       cache_object_serves_errors(caching->object, cache_now_s());
}

// RFC 5861 section 4, and RFC 9111 section 4.2.4. What went wrong stays in the trace; the visitor gets what there
// is.
static void answer_in_error(struct caching *caching, enum fault_kind fault, unsigned status)
{
	struct exchange *exchange = caching->exchange;
	trace_note(&exchange->trace, "stale_if_error", slice_from_string(fault_word(fault)), NULL, 0,
		   fault ? TRACE_NO_VALUE : status);
	exchange->transaction.fault = (struct fault){0};
	exchange->retry_after_ns = 0;
	caching->result = CACHE_STALE;
	tell(caching, "hit; detail=stale-if-error");
	answer_stored(caching);
}

// --- Asking for this visitor alone

static unsigned status_of(const struct exchange *exchange)
{
	return exchange_failed(exchange) ? (unsigned)fault_status(exchange->transaction.fault.kind)
					 : exchange->transaction.response.status;
}

// What is on the disk is written anew; what it was found as there is not changed.
static void freshen(struct caching *caching)
{
	struct cache_object *fresh =
		cache_freshen(&caching->asked, caching->object, exchange_response(caching->exchange),
			      exchange_arena(caching->exchange));
	if (!fresh)
		return;
	cache_disk_write(fresh);
	(void)cache_store_put(caching->store, fresh, &caching->request);
	cache_object_unref(fresh);
}

static void pass(struct caching *caching)
{
	struct exchange *exchange = caching->exchange;
	struct cache_judgement judgement;
	caching->result = CACHE_PASS;
	// The handlers below change the request.
	if (!cache_copy_fields(exchange_arena(exchange), &exchange_request(exchange)->fields, &caching->request)) {
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "pass by the cache", NULL);
		return;
	}
	cache_classes_take_out(&caching->config->vary, &caching->request);
	exchange_next(exchange);
	if (serves_errors(caching, status_of(exchange))) {
		answer_in_error(caching, exchange->transaction.fault.kind, status_of(exchange));
		return;
	}
	if (exchange_failed(exchange)) {
		tell_forwarded(caching, "");
		return;
	}
	if (exchange_request(exchange)->method == METHOD_HEAD && caching->object &&
	    cache_object_undoes(caching->object, &caching->request) == CODING_IDENTITY)
		freshen(caching);
	cache_judge(&caching->asked, exchange_response(exchange), &judgement);
	if (judgement.verdict != CACHE_MAY_STORE)
		tell_refused(caching, judgement.verdict);
	else
		tell_forwarded(caching, "");
	// From now on somebody will wait again, for an answer that is stored.
	if (judgement.verdict == CACHE_MAY_STORE && caching->is_marked)
		(void)cache_store_drop(caching->store, caching->key, caching->hash);
}

// --- Asking for all who miss the same

// Whether what is answered may be of use to others: not to a visitor's own condition, nor to his credentials.
static bool is_for_all(const struct caching *caching)
{
	const struct fields *request = &caching->request;
	bool has_condition = fields_find(request, FIELD_IF_NONE_MATCH) || fields_find(request, FIELD_IF_MODIFIED_SINCE);
	return (caching->object || !has_condition) && !fields_find(request, FIELD_AUTHORIZATION);
}

// Takes part in the fetch that is under way, or begins one. False when memory is out.
static bool join(struct caching *caching, const struct cache_gap *gap, struct cache_reader *reader,
		 struct fetching **visitor, bool *ret_is_first)
{
	const struct cache_wanted wanted = {caching->key, caching->hash, caching->variant, &caching->request};
	bool is_shared = is_for_all(caching) && !gap->is_his;
	if (!cache_fetch_join(reader, &wanted, is_shared, ret_is_first))
		return false;
	const struct fetching_order order = {
		.exchange = caching->exchange,
		.config = caching->config,
		.store = caching->store,
		.key = caching->key,
		.hash = caching->hash,
		.variant = caching->variant,
		.stale = caching->object,
		.gap = *gap,
		.is_for_all = is_for_all(caching),
		.is_shared = is_shared,
		.fetch = reader->fetch,
		.left_out = &caching->left_out,
	};
	if (*ret_is_first)
		fetching_start(&order, visitor);
	return true;
}

static void add_left_out(struct caching *caching)
{
	struct exchange *exchange = caching->exchange;
	for (uint32_t i = 0; i < caching->left_out.count; i++) {
		const struct field *field = &caching->left_out.items[i];
		if (!fields_add_name(&exchange_response(exchange)->fields, exchange_arena(exchange), field->name,
				     field->value))
			exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "answer from a fetch", NULL);
	}
}

static void answer_fetched(struct caching *caching, bool is_first)
{
	const struct cache_reader *reader = &caching->reader;
	bool is_validated = reader->state == CACHE_FETCH_WHOLE && cache_reader_outcome(reader)->status == 304;
	tell_forwarded(caching, is_validated ? is_first ? "; fwd-status=304; stored" : "; fwd-status=304; collapsed"
				: is_first   ? "; stored"
					     : "; collapsed");
	cache_answer_stream(caching->exchange, &caching->request, &caching->reader, cache_now_s());
	add_left_out(caching);
}

// The response is the subrequest's, until let_go.
static void answer_passed(struct caching *caching)
{
	struct exchange *exchange = caching->exchange;
	const struct response *response = fetching_response(caching->fetching);
	caching->result = CACHE_PASS;
	tell_refused(caching, fetching_verdict(caching->fetching));
	*exchange_response(exchange) = *response;
	if (!cache_copy_fields(exchange_arena(exchange), &response->fields, &exchange_response(exchange)->fields))
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "pass an answer on", NULL);
}

static void answer_failure(struct caching *caching)
{
	const struct cache_outcome *outcome = cache_reader_outcome(&caching->reader);
	tell_forwarded(caching, "");
	caching->exchange->transaction.fault = outcome->fault;
	caching->exchange->retry_after_ns = outcome->retry_after_ns;
}

// What he began, if anything, goes on without him.
static void pass_alone(struct caching *caching)
{
	if (caching->fetching)
		fetching_release(caching->fetching);
	pass(caching);
}

static void answer_unstored(struct caching *caching)
{
	const struct cache_outcome *outcome = cache_reader_outcome(&caching->reader);
	bool failed = outcome->fault.kind != FAULT_NONE;
	unsigned status = failed ? (unsigned)fault_status(outcome->fault.kind) : outcome->status;
	if (serves_errors(caching, status))
		answer_in_error(caching, outcome->fault.kind, status);
	else if (failed)
		answer_failure(caching);
	else if (caching->fetching && fetching_is_for_visitor(caching->fetching))
		answer_passed(caching);
	else
		pass_alone(caching);
}

static void give_up_waiting(struct caching *caching, int error)
{
	if (error == -ECANCELED)
		exchange_fail(caching->exchange, FAULT_CLIENT_GONE, "wait for a fetch", NULL);
	else if (serves_errors(caching, (unsigned)fault_status(FAULT_RESPONSE_TIMEOUT)))
		answer_in_error(caching, FAULT_RESPONSE_TIMEOUT, 0);
	else
		exchange_fail(caching->exchange, FAULT_RESPONSE_TIMEOUT, "wait for a fetch", NULL);
}

static struct cache_gap find_gap(const struct caching *caching)
{
	struct cache_disk *disk = cache_disk_hold();
	struct cache_gap gap = cache_gap_find(&(struct cache_gap_question){
		.request = &caching->request,
		.object = caching->object,
		.suffices = caching->suffices,
		.wants_whole = caching->config->whole,
		.bounds = fetching_bounds(caching->config, caching->store, disk),
		.now_s = cache_now_s(),
	});
	cache_disk_release(disk);
	return gap;
}

// Interim answers go to who waits for the answer (RFC 9110 section 15.2).
static int wait_for_answer(struct caching *caching, int64_t deadline_ns)
{
	struct cache_reader *reader = &caching->reader;
	const struct response *interim;
	int error;
	do {
		error = cache_reader_wait(reader, deadline_ns);
		while (error == 0 && (interim = cache_reader_interim(reader)))
			if (exchange_inform(caching->exchange, interim) < 0)
				error = -ECANCELED;
	} while (error == 0 && reader->state == CACHE_FETCH_ASKS);
	return error;
}

static void fetch(struct caching *caching)
{
	struct exchange *exchange = caching->exchange;
	struct cache_gap gap = find_gap(caching);
	caching->result = CACHE_MISS;
	int64_t total_ns = exchange->route->timeouts->total_ns;
	int64_t deadline_ns = total_ns > 0 ? exchange->transaction.started_ns + total_ns : FIBER_NEVER;
	for (unsigned round = 0; round < FETCH_ROUNDS; round++) {
		bool is_first;
		if (!join(caching, &gap, &caching->reader, &caching->fetching, &is_first)) {
			exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "fetch", NULL);
			return;
		}
		int error = wait_for_answer(caching, deadline_ns);
		if (error) {
			give_up_waiting(caching, error);
			return;
		}
		if (caching->reader.state != CACHE_FETCH_FILLS && caching->reader.state != CACHE_FETCH_WHOLE) {
			answer_unstored(caching);
			return;
		}
		// What was asked for in a coding that this visitor does not accept may not suit him.
		bool matches = cache_object_matches(caching->reader.object, &caching->request);
		if (is_first || matches) {
			if (matches &&
			    cache_answer_suits(exchange, &caching->request, &caching->reader, gap.is_his,
					       cache_now_s()) &&
			    cache_decode_claim(exchange, caching->reader.object, &caching->request, SLICE_EMPTY,
					       cache_store_budget(caching->store)))
				answer_fetched(caching, is_first);
			else
				pass_alone(caching);
			return;
		}
		cache_reader_leave(&caching->reader);
	}
	pass(caching);
}

// --- Fetching anew what is used meanwhile

static void renew(struct caching *caching)
{
	struct cache_reader reader;
	struct cache_gap gap = cache_gap_renewal(caching->object);
	bool is_first;
	if (!caching->asked.forbids && cache_object_claim_renewal(caching->object, cache_now_s()) &&
	    join(caching, &gap, &reader, NULL, &is_first))
		cache_reader_leave(&reader);
}

// What is asked for often is fetched anew before it is stale: in the last part of its lifetime, a twentieth to three
// twentieths by its key, so that what came together does not go together.
static bool is_due(const struct caching *caching)
{
	const struct cache_object *object = caching->object;
	int64_t lifetime_s = object->times.lifetime_s;
	if (!caching->config->refresh || object->status == 206 || lifetime_s < HOT_LIFETIME_S ||
	    atomic_load_explicit(&object->hits, memory_order_relaxed) < HOT_HITS)
		return false;
	int64_t lead_s = (lifetime_s + 19) / 20 + (int64_t)(object->hash % (uint64_t)(lifetime_s / 10 + 1));
	return cache_object_staleness_s(object, cache_now_s()) >= -lead_s;
}

static void answer_hit(struct caching *caching)
{
	if (is_due(caching))
		renew(caching);
	tell(caching, "hit");
	answer_stored(caching);
}

static bool serves_meanwhile(const struct caching *caching)
{
	int64_t now_s = cache_now_s();
	return caching->object && caching->object->status != 206 &&
	       cache_object_serves_meanwhile(caching->object, now_s) &&
	       (!caching->config->obey || cache_wish_holds_meanwhile(&caching->request_says, caching->object, now_s));
}

// RFC 5861 section 3.
static void answer_meanwhile(struct caching *caching)
{
	renew(caching);
	caching->result = CACHE_STALE;
	tell(caching, "hit; detail=stale-while-revalidate");
	answer_stored(caching);
}

// --- The main path

// RFC 9111 section 5.2.1.7.
static void refuse_to_ask(struct caching *caching)
{
	caching->result = CACHE_MISS;
	tell(caching, "fwd=miss; detail=\"only-if-cached\"");
	exchange_answer(caching->exchange, 504, SLICE_EMPTY, SLICE_EMPTY);
}

// Whose answer is of no use to the cache.
static bool passes(struct caching *caching)
{
	int64_t min_uses = caching->config->min_uses;
	if (!caching->asked.forbids && !caching->object && min_uses > 1 &&
	    cache_store_count_use(caching->store, caching->hash) < min_uses)
		caching->asked.forbids = CACHE_FEW_USES;
	return caching->asked.forbids || caching->is_marked || caching->is_crowded ||
	       exchange_request(caching->exchange)->method != METHOD_GET ||
	       (fields_find(&caching->request, FIELD_RANGE) && !caching->config->whole &&
		!cache_range_is_single(fields_value(&caching->request, FIELD_RANGE))) ||
	       cache_says(&caching->request_says, CACHE_NO_STORE);
}

static void serve(struct caching *caching)
{
	if (cache_matches_hold(&caching->config->bypass, caching->exchange)) {
		caching->asked.forbids = CACHE_BYPASS_RULE;
		pass(caching);
		return;
	}
	find(caching);
	if (is_for_server(caching))
		pass(caching);
	else if (is_fresh(caching))
		answer_hit(caching);
	else if (serves_meanwhile(caching))
		answer_meanwhile(caching);
	else if (cache_says(&caching->request_says, CACHE_ONLY_IF_CACHED))
		refuse_to_ask(caching);
	else if (passes(caching))
		pass(caching);
	else
		fetch(caching);
}

static void serve_counted(struct caching *caching)
{
	serve(caching);
	cache_count(caching->config->counts, caching->result);
}

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
static void pass_and_invalidate(struct caching *caching)
{
	exchange_next(caching->exchange);
	cache_invalidate(caching->exchange, caching->store, caching->key, caching->hash);
}

static void cache_handle(struct exchange *exchange, const void *value)
{
	const struct cache_config *config = value;
	const struct request *request = exchange_request(exchange);
	if (!config->on || (method_is_safe(request->method) && !is_cacheable(request))) {
		exchange_next(exchange);
		return;
	}
	struct caching *caching = begin(exchange, config);
	if (!caching)
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "cache", NULL);
	else if (cache_is_purge(exchange, config))
		cache_answer_purge(exchange, config, caching->store, caching->key, caching->hash);
	else if (method_is_safe(request->method))
		serve_counted(caching);
	else
		pass_and_invalidate(caching);
	if (caching && caching->told && config->status)
		cache_status_tell(exchange, caching->told);
}

const struct handler_type cache_handler = {
	.order = HANDLER_CACHE,
	.key = {.name = "cache",
		.kind = CONFIG_OPTIONAL,
		.section = &cache_section,
		.help = "Answers that may be reused are reused, from memory or a disk (RFC 9111).",
		.form = "true, false, or a map such as {ttl: 1m}"},
	.load = cache_config_load,
	.handle = cache_handle,
};
