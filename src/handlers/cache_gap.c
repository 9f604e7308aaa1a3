#include "handlers/cache_gap.h"

#include "base/check.h"
#include "http/body.h"

static bool has_validator(const struct cache_object *object)
{
	return cache_object_value(object, FIELD_ETAG).data || cache_object_value(object, FIELD_LAST_MODIFIED).data;
}

// RFC 9111 section 3.4: of parts without a strong validator nobody knows whether they are of the same.
static bool can_be_joined(const struct cache_object *object)
{
	return cache_etag_is_strong(cache_object_value(object, FIELD_ETAG));
}

// --- What to ask for

// The part of the object's answer that the visitor is to get; false where that is none of it.
static bool read_wanted(const struct cache_gap_question *question, bool is_his, const struct cache_run *run,
			struct cache_part *ret_wanted)
{
	struct cache_validators validators = cache_object_validators(question->object);
	struct cache_parts parts;
	*ret_wanted = (struct cache_part){0, run->total};
	if (!is_his)
		return true;
	if (!cache_range_is_allowed(question->request, &validators, question->now_s) ||
	    cache_range_read(fields_value(question->request, FIELD_RANGE), run->total, &parts) != CACHE_RANGE_PARTS ||
	    parts.count != 1)
		return false;
	*ret_wanted = parts.parts[0];
	return true;
}

// What is missing on one side of the run, of what touches it.
static bool find_missing(const struct cache_run *run, const struct cache_part *wanted, struct cache_part *ret_missing)
{
	uint64_t run_end = run->from + run->length, end = wanted->from + wanted->length;
	if (wanted->from >= run->from && wanted->from <= run_end && end > run_end)
		*ret_missing = (struct cache_part){run_end, end - run_end};
	else if (wanted->from < run->from && end >= run->from && end <= run_end)
		*ret_missing = (struct cache_part){wanted->from, run->from - wanted->from};
	else
		return false;
	return true;
}

struct cache_gap cache_gap_find(const struct cache_gap_question *question)
{
	const struct cache_object *object = question->object;
	struct cache_gap gap = {.is_his = fields_find(question->request, FIELD_RANGE) && !question->wants_whole};
	struct cache_part wanted, missing;
	gap.kind = gap.is_his ? CACHE_GAP_AS_ASKED : CACHE_GAP_ALL;
	gap.validates = object && question->suffices && has_validator(object);
	if (!object || object->status != 206 || question->suffices || !can_be_joined(object))
		return gap;
	struct cache_run run = cache_run_of(object, object->body.length);
	uint64_t most = gap.is_his ? question->bounds.memory_bytes : question->bounds.most_bytes;
	if (!read_wanted(question, gap.is_his, &run, &wanted) || !find_missing(&run, &wanted, &missing) ||
	    run.length + missing.length > most)
		return gap;
	gap.kind = CACHE_GAP_MISSING;
	gap.part = missing;
	return gap;
}

struct cache_gap cache_gap_renewal(const struct cache_object *object)
{
	return (struct cache_gap){.kind = CACHE_GAP_ALL, .validates = has_validator(object)};
}

// --- Asking for it

// RFC 9110 section 13.1.5: just this part, or the whole where that is another one by now.
static bool ask_for_missing(const struct cache_part *part, const struct cache_object *stored, struct fields *request,
			    struct arena *arena)
{
	struct slice range = arena_printf(arena, "bytes=%llu-%llu", (unsigned long long)part->from,
					  (unsigned long long)(part->from + part->length - 1));
	return range.data && fields_set(request, arena, FIELD_RANGE, range) &&
	       fields_set(request, arena, FIELD_IF_RANGE, cache_object_value(stored, FIELD_ETAG));
}

bool cache_gap_ask(const struct cache_gap *gap, const struct cache_object *stored, bool is_for_all,
		   struct fields *request, struct arena *arena)
{
	if (gap->kind != CACHE_GAP_AS_ASKED) {
		(void)fields_remove(request, FIELD_RANGE);
		(void)fields_remove(request, FIELD_IF_RANGE);
	}
	if (is_for_all || gap->validates || gap->kind == CACHE_GAP_MISSING) {
		(void)fields_remove(request, FIELD_IF_NONE_MATCH);
		(void)fields_remove(request, FIELD_IF_MODIFIED_SINCE);
	}
	if (gap->kind == CACHE_GAP_MISSING && !ask_for_missing(&gap->part, stored, request, arena))
		return false;
	if (!gap->validates)
		return true;
	struct slice etag = cache_object_value(stored, FIELD_ETAG);
	struct slice modified = cache_object_value(stored, FIELD_LAST_MODIFIED);
	return (!etag.data || fields_set(request, arena, FIELD_IF_NONE_MATCH, etag)) &&
	       (!modified.data || fields_set(request, arena, FIELD_IF_MODIFIED_SINCE, modified));
}

// --- What comes

static bool is_same_content(const struct response *response, const struct cache_object *stored)
{
	struct slice coding = fields_value(&response->fields, FIELD_CONTENT_ENCODING);
	struct slice stored_coding = cache_object_value(stored, FIELD_CONTENT_ENCODING);
	return slice_equal(fields_value(&response->fields, FIELD_ETAG), cache_object_value(stored, FIELD_ETAG)) &&
	       (!coding.data || slice_equal(coding, stored_coding));
}

bool cache_gap_is_filled(const struct cache_gap *gap, struct slice range, const struct response *response,
			 const struct cache_object *stored, struct cache_run *ret_brought)
{
	struct cache_run run;
	struct cache_parts parts;
	int64_t length = response->body->length;
	if (!cache_run_read(fields_value(&response->fields, FIELD_CONTENT_RANGE), &run) ||
	    (length >= 0 && (uint64_t)length != run.length))
		return false;
	if (cache_range_read(range, run.total, &parts) != CACHE_RANGE_PARTS || parts.count != 1 ||
	    parts.parts[0].from != run.from || parts.parts[0].length != run.length)
		return false;
	if (gap->kind == CACHE_GAP_MISSING &&
	    (!is_same_content(response, stored) || run.total != cache_run_of(stored, stored->body.length).total))
		return false;
	*ret_brought = run;
	return true;
}

struct cache_join cache_gap_join(const struct cache_gap *gap, const struct cache_object *stored,
				 const struct cache_run *brought)
{
	struct cache_join join = {.run = *brought};
	if (gap->kind != CACHE_GAP_MISSING)
		return join;
	struct cache_run run = cache_run_of(stored, stored->body.length);
	bool is_behind = brought->from > run.from;
	check(is_behind ? brought->from == run.from + run.length : brought->from + brought->length == run.from);
	join.before = is_behind ? stored->body : SLICE_EMPTY;
	join.after = is_behind ? SLICE_EMPTY : stored->body;
	join.run.from = is_behind ? run.from : brought->from;
	join.run.length = run.length + brought->length;
	return join;
}

bool cache_gap_is_outdone(const struct cache_gap *gap, const struct cache_object *stored, const struct fields *fields,
			  const struct cache_run *run, int64_t now_s)
{
	return gap->kind == CACHE_GAP_AS_ASKED && stored && stored->status == 206 &&
	       cache_object_is_fresh(stored, now_s) && stored->body.length > run->length && can_be_joined(stored) &&
	       slice_equal(cache_object_value(stored, FIELD_ETAG), fields_value(fields, FIELD_ETAG));
}

bool cache_gap_tell(const struct cache_run *run, struct fields *fields, struct arena *arena)
{
	cache_remove_digests(fields);
	(void)fields_remove(fields, FIELD_CONTENT_RANGE);
	if (cache_run_is_whole(run))
		return true;
	struct slice told =
		arena_printf(arena, "bytes %llu-%llu/%llu", (unsigned long long)run->from,
			     (unsigned long long)(run->from + run->length - 1), (unsigned long long)run->total);
	return told.data && fields_set(fields, arena, FIELD_CONTENT_RANGE, told);
}
