#include "handlers/cache_fetching.h"

#include "cache/vary.h"
#include "exchange/life.h"
#include "exchange/subrequest.h"
#include "fiber/fiber.h"
#include "handlers/cache.h"
#include "handlers/cache_disk.h"
#include "handlers/cache_judge.h"
#include "http/body.h"

#include <errno.h>
#include <string.h>

enum {
	ROOM_FIRST = 16 * 1024, // for content whose length is not known
	TRAILERS_MAX = 32,
	TRAILER_BYTES_MAX = 4096,
	MARK_S = 60, // so long what is not stored is asked for without waiting for others
};

struct fetching {
	struct exchange *exchange; // the subrequest
	struct exchange *visitor;  // whose exchange it was made from; NULL: he has left, or there is none
	struct fetching **handle;  // his
	struct fiber *fiber;
	struct fetching_order order;
	struct fields request; // as the visitor sent it
	struct cache_directives request_says;
	struct cache_asked asked;
	struct cache_judgement judgement;
	struct cache_disk *disk;
	struct slice range;    // that was sent
	bool asks_for_coding;  // which the visitor does not accept
	bool is_on_disk;       // the object, already
	uint64_t asked_after;  // of the purges
	struct fields varying; // of the response: Vary, in memory that stays while the content is read
};

bool cache_copy_fields(struct arena *arena, const struct fields *from, struct fields *ret_copy)
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

// --- The visitor for whom it was begun

// What his log line says of servers and decisions is what was done for him.
static void tell_visitor(struct fetching *fetching)
{
	struct exchange *visitor = fetching->visitor;
	const struct exchange *exchange = fetching->exchange;
	if (!visitor)
		return;
	struct arena *arena = exchange_arena(visitor);
	visitor->server = exchange->server;
	visitor->server.pool = arena_copy(arena, exchange->server.pool);
	visitor->server.address = arena_copy(arena, exchange->server.address);
	for (uint32_t i = 0; i < exchange->trace.count; i++) {
		const struct trace_record *record = &exchange->trace.records[i];
		trace_note(&visitor->trace, record->what, arena_copy(arena, slice_from(record->by, record->by_length)),
			   record->file, record->line, record->value);
	}
}

const struct response *fetching_response(const struct fetching *fetching)
{
	return &fetching->exchange->transaction.response;
}

enum cache_verdict fetching_verdict(const struct fetching *fetching)
{
	return fetching->judgement.verdict;
}

bool fetching_is_for_visitor(const struct fetching *fetching)
{
	unsigned status = fetching->exchange->transaction.response.status;
	if (fetching->asks_for_coding)
		return false;
	switch (fetching->order.gap.kind) {
	case CACHE_GAP_ALL:
		return !fields_find(&fetching->request, FIELD_RANGE);
	case CACHE_GAP_AS_ASKED:
		return true;
	case CACHE_GAP_MISSING:
		return status != 206 && status != 416;
	}
	return false;
}

void fetching_release(struct fetching *fetching)
{
	*fetching->handle = NULL;
	fetching->visitor = NULL;
	if (fetching->fiber) // it may not have run yet
		fiber_wake(fetching->fiber);
}

// --- What becomes of the answer

static void end(struct fetching *fetching, enum cache_fetch_state state, struct cache_object *object)
{
	const struct exchange *exchange = fetching->exchange;
	const struct cache_outcome outcome = {
		.fault = exchange->transaction.fault,
		.status = exchange->transaction.response.status,
		.retry_after_ns = exchange->retry_after_ns,
	};
	cache_fetch_end(fetching->order.fetch, state, object, &outcome);
}

// What was forgotten while it was fetched is not stored, nor what is forgotten at this moment.
static void put(struct fetching *fetching, struct cache_object *object)
{
	const struct fetching_order *order = &fetching->order;
	if (!cache_fetch_is_forgotten(order->fetch)) {
		if (object->status != CACHE_MARK && object->status != 206 && !fetching->is_on_disk)
			cache_disk_write(object);
		(void)cache_store_put(order->store, object, &fetching->request);
	}
	if (cache_fetch_is_forgotten(order->fetch))
		(void)cache_forget(order->store, order->key, order->hash);
}

static struct cache_object *make_object(const struct fetching *fetching, unsigned status, const struct fields *response,
					struct slice content, size_t room_bytes)
{
	return cache_object_new(&(struct cache_object_parts){
		.key = fetching->order.key,
		.hash = fetching->order.hash,
		.variant = fetching->order.variant,
		.status = status,
		.response = response,
		.request = &fetching->request,
		.says = &fetching->judgement.says,
		.body = content,
		.room_bytes = room_bytes,
		.times = fetching->judgement.times,
		.asked_after = fetching->asked_after,
	});
}

// For a while nobody waits to see whether the answer is for all; of those for whom it varies likewise.
static void mark(struct fetching *fetching)
{
	const struct response *response = exchange_response(fetching->exchange);
	if (!fetching->order.is_shared || response->status >= 500)
		return;
	struct slice why = slice_from((const char *)&fetching->judgement.verdict, sizeof fetching->judgement.verdict);
	fetching->judgement.says = (struct cache_directives){0};
	fetching->judgement.times = (struct cache_times){.received_s = cache_now_s(), .lifetime_s = MARK_S};
	struct cache_object *object = make_object(fetching, CACHE_MARK, &fetching->varying, why, 0);
	if (object)
		put(fetching, object);
	cache_object_unref(object);
}

// The response is the visitor's until he has done with it, whatever else ends.
static void wait_for_visitor(struct fetching *fetching)
{
	end(fetching, CACHE_FETCH_PASSES, NULL);
	while (fetching->visitor)
		fiber_wait_steadfast("visitor");
}

static void pass(struct fetching *fetching)
{
	mark(fetching);
	wait_for_visitor(fetching);
}

static void fail(struct fetching *fetching)
{
	if (!fetching->visitor)
		exchange_log_fault(fetching->exchange);
	end(fetching, CACHE_FETCH_FAILED, NULL);
}

// RFC 9111 section 4.3.4: what is stored goes on, with what the 304 says of it; where that is of another one, it serves
// this once.
static void take_304(struct fetching *fetching)
{
	const struct fields *response = &exchange_response(fetching->exchange)->fields;
	struct cache_object *stale = fetching->order.stale;
	struct cache_object *refreshed = NULL;
	struct fields merged;
	if (!cache_object_is_meant(stale, response)) {
		end(fetching, CACHE_FETCH_WHOLE, stale);
		return;
	}
	if (cache_object_merge(stale, response, exchange_arena(fetching->exchange), &merged)) {
		unsigned status = stale->status == 206 ? 200 : stale->status;
		cache_judge_304(&fetching->asked, status, &merged, response, &fetching->judgement);
		refreshed = cache_object_refreshed(stale, response, &fetching->judgement.times);
	}
	if (!refreshed) {
		exchange_fail(fetching->exchange, FAULT_OUT_OF_MEMORY, "refresh a stored answer", NULL);
		fail(fetching);
		return;
	}
	refreshed->asked_after = fetching->asked_after;
	if (fetching->judgement.verdict == CACHE_MAY_STORE)
		put(fetching, refreshed);
	else
		(void)cache_forget(fetching->order.store, fetching->order.key, fetching->order.hash);
	end(fetching, CACHE_FETCH_WHOLE, refreshed);
	cache_object_unref(refreshed);
}

// What is stored of an answer: what comes, between what is stored already.
struct content {
	int64_t length; // of all; -1: not known
	struct slice before, after;
	uint64_t expected; // of what comes; UINT64_MAX: whatever it is
};

static int fill_with(struct fetching *fetching, struct slice bytes)
{
	int error = bytes.length > 0 ? cache_fetch_fill(fetching->order.fetch, bytes) : 0;
	if (error)
		exchange_fail(fetching->exchange, error == -ENOMEM ? FAULT_OUT_OF_MEMORY : FAULT_CLIENT_GONE,
			      "store an answer", NULL);
	return error ? -1 : 0;
}

// RFC 9111 section 3.1: apart from the header. Too many are left out.
static void keep_trailers(struct fetching *fetching, const struct fields *trailers)
{
	size_t bytes = 0;
	for (uint32_t i = 0; i < trailers->count; i++)
		bytes += trailers->items[i].name.length + trailers->items[i].value.length;
	if (trailers->count > 0 && trailers->count <= TRAILERS_MAX && bytes <= TRAILER_BYTES_MAX)
		cache_fetch_trail(fetching->order.fetch, trailers);
}

// Pulls the content, whoever reads it: 0, or -1 with the fault noted. A part has as many bytes as it says, lest what
// follows be taken for what it is not.
static int fill(struct fetching *fetching, const struct content *content)
{
	struct exchange *exchange = fetching->exchange;
	struct body *body = exchange_response(exchange)->body;
	uint64_t left = content->expected;
	struct slice bytes;
	if (fill_with(fetching, content->before) < 0)
		return -1;
	do {
		if (body_read(body, &bytes) < 0) {
			exchange->transaction.fault = body->fault;
			return -1;
		}
		if (bytes.length > left || (bytes.length == 0 && left > 0 && left != UINT64_MAX)) {
			exchange_fail(exchange, bytes.length > 0 ? FAULT_RESPONSE_BAD : FAULT_RESPONSE_TRUNCATED,
				      "read a part of a response", "Content-Range tells another length");
			return -1;
		}
		left -= left == UINT64_MAX ? 0 : bytes.length;
		if (fill_with(fetching, bytes) < 0)
			return -1;
	} while (bytes.length > 0);
	if (content->expected == UINT64_MAX)
		keep_trailers(fetching, &body->trailers);
	return fill_with(fetching, content->after);
}

// What is not stored is the visitor's alone. False when memory is out.
static bool give_left_out(struct fetching *fetching)
{
	const struct fields *fields = &exchange_response(fetching->exchange)->fields;
	if (!fetching->visitor)
		return true;
	struct arena *arena = exchange_arena(fetching->visitor);
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct field *field = &fields->items[i];
		if (!cache_object_leaves_out(field, &fetching->judgement.says))
			continue;
		struct slice name = arena_copy(arena, field->name), value = arena_copy(arena, field->value);
		if (!name.data || !value.data || !fields_add_name(fetching->order.left_out, arena, name, value))
			return false;
	}
	return true;
}

static void refuse(struct fetching *fetching, enum cache_verdict verdict)
{
	fetching->judgement.verdict = verdict;
	pass(fetching);
}

// As it turned out.
static void mark_too_large(struct fetching *fetching)
{
	fetching->judgement.verdict = CACHE_TOO_LARGE;
	mark(fetching);
}

// What is too large for memory goes to the disk, if there is one.
struct cache_fetch_bounds fetching_bounds(const struct cache_config *config, const struct cache_store *store,
					  struct cache_disk *disk)
{
	uint64_t most = (uint64_t)config->max_object_bytes;
	uint64_t largest = cache_store_largest(store), memory = largest - largest / 16;
	memory = memory < most ? memory : most;
	return (struct cache_fetch_bounds){memory, disk ? most : memory, disk, cache_store_budget(store)};
}

// Room in memory for all of it, or some to begin with.
static uint64_t first_room(int64_t length, uint64_t memory_bytes)
{
	if (length >= 0)
		return (uint64_t)length <= memory_bytes ? (uint64_t)length : 0;
	return memory_bytes < ROOM_FIRST ? memory_bytes : ROOM_FIRST;
}

// RFC 9111 section 3.3: what came of an answer that broke off is of use to whoever asks for the rest of the same.
static void keep_beginning(struct fetching *fetching, int64_t length)
{
	enum fault_kind fault = fetching->exchange->transaction.fault.kind;
	bool is_cut = fault == FAULT_RESPONSE_TRUNCATED || fault == FAULT_RESPONSE_BODY_TIMEOUT ||
		      fault == FAULT_SERVER_CLOSED;
	struct slice came;
	const struct cache_object *object = cache_fetch_beginning(fetching->order.fetch, &came);
	struct fields fields;
	if (!is_cut || !object || length < 0 || came.length == 0 || (object->status != 200 && object->status != 206) ||
	    !cache_etag_is_strong(cache_object_value(object, FIELD_ETAG)) ||
	    !cache_object_fields(object, exchange_arena(fetching->exchange), &fields))
		return;
	struct cache_run run = cache_run_of(object, (uint64_t)length);
	run.length = came.length;
	cache_directives_of_response(&fields, &fetching->judgement.says);
	struct cache_object *beginning = NULL;
	if (cache_gap_tell(&run, &fields, exchange_arena(fetching->exchange)))
		beginning = make_object(fetching, 206, &fields, came, 0);
	if (beginning)
		put(fetching, beginning);
	cache_object_unref(beginning);
}

static void store(struct fetching *fetching, unsigned status, const struct fields *fields,
		  const struct content *content)
{
	struct cache_fetch_bounds bounds =
		fetching_bounds(fetching->order.config, fetching->order.store, fetching->disk);
	if (status == 206) {
		bounds.most_bytes = bounds.memory_bytes;
		bounds.disk = NULL;
	}
	if (content->length >= 0 && (uint64_t)content->length > bounds.most_bytes) {
		refuse(fetching, CACHE_TOO_LARGE);
		return;
	}
	uint64_t room = first_room(content->length, bounds.memory_bytes);
	if (!cache_fetch_claim(fetching->order.fetch, room, bounds.filling_bytes)) {
		if (!bounds.disk) {
			refuse(fetching, CACHE_NO_MEMORY);
			return;
		}
		bounds.memory_bytes = room = 0;
	}
	struct cache_object *object = make_object(fetching, status, fields, SLICE_EMPTY, room);
	if (!object || !give_left_out(fetching)) {
		cache_object_unref(object);
		refuse(fetching, CACHE_NO_MEMORY);
		return;
	}
	cache_fetch_answer(fetching->order.fetch, object, content->length, &bounds);
	if (fill(fetching, content) < 0) {
		keep_beginning(fetching, content->length);
		end(fetching, CACHE_FETCH_CUT, NULL);
		return;
	}
	struct cache_object *whole = cache_fetch_take(fetching->order.fetch);
	fetching->is_on_disk = whole && whole->file;
	if (whole)
		put(fetching, whole);
	else
		mark_too_large(fetching);
	end(fetching, CACHE_FETCH_WHOLE, NULL);
	cache_object_unref(whole);
}

// --- Asking

// What is stored for those who accept its coding is fetched anew for them, whoever asks.
static bool ask_for_coding(struct fetching *fetching, struct arena *arena)
{
	const struct cache_object *stale = fetching->order.stale;
	if (!stale || cache_object_undoes(stale, &fetching->request) == CODING_IDENTITY)
		return true;
	struct slice accepted = cache_object_varying(stale, FIELD_ACCEPT_ENCODING);
	fetching->asks_for_coding = true;
	return fields_set(&exchange_request(fetching->exchange)->fields, arena, FIELD_ACCEPT_ENCODING, accepted) &&
	       fields_set(&fetching->request, arena, FIELD_ACCEPT_ENCODING, accepted);
}

// The server may say in Surrogate-Control what is meant for usher alone (cache/directives.h).
static bool ask(struct fetching *fetching)
{
	const struct fetching_order *order = &fetching->order;
	struct fields *request = &exchange_request(fetching->exchange)->fields;
	struct arena *arena = exchange_arena(fetching->exchange);
	if (!ask_for_coding(fetching, arena) ||
	    !cache_gap_ask(&order->gap, order->stale, order->is_for_all, request, arena) ||
	    !fields_add_name(request, arena, SLICE("Surrogate-Capability"), SLICE("usher=\"Surrogate/1.0\"")))
		return false;
	fetching->range = fields_value(request, FIELD_RANGE);
	return true;
}

// RFC 5861 section 4: who has something stored uses that, whatever the error's freshness.
static bool is_error_to_hide(const struct fetching *fetching)
{
	const struct cache_object *stale = fetching->order.stale;
	return stale && cache_status_is_error(exchange_response(fetching->exchange)->status) &&
	       cache_object_serves_errors(stale, cache_now_s());
}

static bool note_varying(struct fetching *fetching)
{
	const struct fields *fields = &exchange_response(fetching->exchange)->fields;
	struct arena *arena = exchange_arena(fetching->exchange);
	for (uint32_t i = 0; i < fields->count; i++) {
		if (fields->items[i].id != FIELD_VARY)
			continue;
		struct slice value = arena_copy(arena, fields->items[i].value);
		if (!value.data || !fields_add(&fetching->varying, arena, FIELD_VARY, value))
			return false;
	}
	return true;
}

// RFC 9111 section 3.4: the fields of the part that came stand in the place of those that are stored.
static bool join_fields(struct fetching *fetching, const struct cache_run *run, struct fields *ret_fields)
{
	const struct response *response = exchange_response(fetching->exchange);
	struct arena *arena = exchange_arena(fetching->exchange);
	bool done = fetching->order.gap.kind == CACHE_GAP_MISSING
			    ? cache_object_merge(fetching->order.stale, &response->fields, arena, ret_fields)
			    : cache_copy_fields(arena, &response->fields, ret_fields);
	return done && cache_gap_tell(run, ret_fields, arena);
}

// What cannot be combined is nobody's answer: all ask for themselves, and for all of it.
static void refuse_part(struct fetching *fetching, enum cache_verdict verdict)
{
	const struct fetching_order *order = &fetching->order;
	if (order->gap.kind == CACHE_GAP_MISSING)
		(void)cache_store_drop(order->store, order->key, order->hash);
	fetching->judgement.verdict = verdict;
	wait_for_visitor(fetching);
}

static void take_206(struct fetching *fetching)
{
	const struct fetching_order *order = &fetching->order;
	struct response joined = *exchange_response(fetching->exchange);
	struct cache_run brought;
	if (!cache_gap_is_filled(&order->gap, fetching->range, &joined, order->stale, &brought)) {
		refuse_part(fetching, CACHE_PART);
		return;
	}
	struct cache_join join = cache_gap_join(&order->gap, order->stale, &brought);
	if (!join_fields(fetching, &join.run, &joined.fields)) {
		refuse(fetching, CACHE_NO_MEMORY);
		return;
	}
	// What is said of a part is said of the whole.
	joined.status = 200;
	cache_judge(&fetching->asked, &joined, &fetching->judgement);
	if (fetching->judgement.verdict == CACHE_MAY_STORE &&
	    cache_gap_is_outdone(&order->gap, order->stale, &joined.fields, &join.run, cache_now_s()))
		fetching->judgement.verdict = CACHE_PART;
	if (fetching->judgement.verdict != CACHE_MAY_STORE) {
		refuse_part(fetching, fetching->judgement.verdict);
		return;
	}
	const struct content content = {(int64_t)join.run.length, join.before, join.after, brought.length};
	store(fetching, cache_run_is_whole(&join.run) ? 200 : 206, &joined.fields, &content);
}

static void take_answer(struct fetching *fetching)
{
	const struct response *response = exchange_response(fetching->exchange);
	const struct content content = {.length = response->body->length, .expected = UINT64_MAX};
	cache_judge(&fetching->asked, response, &fetching->judgement);
	if (fetching->judgement.verdict == CACHE_MAY_STORE && !is_error_to_hide(fetching))
		store(fetching, response->status, &response->fields, &content);
	else
		pass(fetching);
}

static void fetch(struct fetching *fetching)
{
	struct exchange *exchange = fetching->exchange;
	if (!ask(fetching))
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "validate a stored answer", NULL);
	else
		exchange_next(exchange);
	if (!exchange_failed(exchange) && !note_varying(fetching))
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "fetch", NULL);
	tell_visitor(fetching);
	if (exchange_failed(exchange)) {
		fail(fetching);
	} else if (fetching->order.gap.validates && exchange_response(exchange)->status == 304) {
		take_304(fetching);
	} else if (fetching->order.gap.kind != CACHE_GAP_ALL && exchange_response(exchange)->status == 206) {
		take_206(fetching);
	} else if (fetching->order.gap.kind == CACHE_GAP_MISSING && exchange_response(exchange)->status == 416) {
		refuse_part(fetching, CACHE_PART);
	} else {
		take_answer(fetching);
	}
}

static void run(struct exchange *exchange, void *argument)
{
	struct fetching *fetching = argument;
	fetching->fiber = fiber_current();
	fetching->disk = cache_disk_hold();
	fetch(fetching);
	cache_object_unref(fetching->order.stale);
	cache_disk_release(fetching->disk);
	if (fetching->visitor)
		*fetching->handle = NULL;
}

static void inform(const struct response *interim, void *argument)
{
	cache_fetch_inform(argument, interim);
}

static struct fetching *make(const struct fetching_order *order, struct exchange *exchange)
{
	struct arena *arena = exchange_arena(exchange);
	struct fetching *fetching = arena_zalloc(arena, sizeof *fetching);
	if (!fetching || !cache_copy_fields(arena, &exchange_request(exchange)->fields, &fetching->request))
		return NULL;
	cache_classes_take_out(&order->config->vary, &fetching->request);
	fetching->exchange = exchange;
	fetching->order = *order;
	fetching->order.key = arena_copy(arena, order->key);
	cache_directives_of_request(&fetching->request, &fetching->request_says);
	fetching->asked_after = cache_store_asked_after(order->store);
	fetching->asked = (struct cache_asked){order->config,		METHOD_GET,    &fetching->request,
					       &fetching->request_says, cache_now_s(), CACHE_MAY_STORE};
	subrequest_on_interim(exchange, inform, order->fetch);
	exchange_request(exchange)->method = METHOD_GET;
	exchange_request(exchange)->method_name = SLICE("GET");
	return fetching->order.key.data ? fetching : NULL;
}

void fetching_start(const struct fetching_order *order, struct fetching **visitor)
{
	struct exchange *exchange = subrequest_new(order->exchange);
	struct fetching *fetching = exchange ? make(order, exchange) : NULL;
	if (fetching) {
		if (fetching->order.stale)
			cache_object_ref(fetching->order.stale);
		if (visitor) {
			fetching->visitor = order->exchange;
			fetching->handle = visitor;
			*visitor = fetching;
		}
		if (subrequest_start(exchange, run, fetching))
			return;
		cache_object_unref(order->stale); // the subrequest's memory is gone
		if (visitor)
			*visitor = NULL;
	} else if (exchange) {
		subrequest_free(exchange);
	}
	const struct cache_outcome outcome = {.fault = {.kind = FAULT_OUT_OF_MEMORY, .step = "fetch"}};
	cache_fetch_end(order->fetch, CACHE_FETCH_FAILED, NULL, &outcome);
}
