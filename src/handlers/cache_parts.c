#include "handlers/cache_parts.h"

#include "base/check.h"
#include "base/random.h"
#include "cache/range.h"
#include "cache/vary.h"
#include "handlers/cache_condition.h"
#include "handlers/cache_content.h"
#include "http/body.h"

// A part that begins no later is waited for.
enum { SOON_BYTES = 1024 * 1024 };

static void set_body(struct exchange *exchange, struct body *body)
{
	struct response *response = exchange_response(exchange);
	response->framing = BODY_LENGTH; // what HEAD tells of it
	response->content_length = (uint64_t)body->length;
	response->body = body;
}

// Where the object has less than the whole, its content begins with the run.
static bool set_content(struct exchange *exchange, const struct cache_object *object, const struct cache_run *run,
			const struct cache_part *part)
{
	struct body *body = cache_content_body(exchange_arena(exchange), object, part->from - run->from, part->length);
	if (body)
		set_body(exchange, body);
	return body != NULL;
}

bool cache_parts_take_trailers(const struct exchange *exchange, const struct fields *request)
{
	const struct request *asked = &exchange->transaction.request;
	return asked->method == METHOD_GET &&
	       (asked->version_major >= 2 ||
		(asked->version_minor >= 1 && fields_list_has(request, FIELD_TE, SLICE("trailers"))));
}

// In HTTP/1.1 only chunks have them: without a length, the body comes in these.
static bool add_trailers(struct exchange *exchange, const struct fields *request, const struct cache_object *object)
{
	struct body *body = exchange_response(exchange)->body;
	if (object->trailer_count == 0 || !cache_parts_take_trailers(exchange, request))
		return true;
	if (!cache_object_trailers(object, exchange_arena(exchange), &body->trailers))
		return false;
	if (exchange->transaction.request.version_major == 1)
		body->length = BODY_LENGTH_UNKNOWN;
	return true;
}

static bool set_whole(struct exchange *exchange, const struct fields *request, const struct cache_object *object)
{
	const struct cache_run run = {0, object->body.length, object->body.length};
	return set_content(exchange, object, &run, &(struct cache_part){0, run.length}) &&
	       add_trailers(exchange, request, object);
}

static struct slice content_range(struct exchange *exchange, const struct cache_part *part, uint64_t length)
{
	return arena_printf(exchange_arena(exchange), "bytes %llu-%llu/%llu", (unsigned long long)part->from,
			    (unsigned long long)(part->from + part->length - 1), (unsigned long long)length);
}

static bool set_field(struct exchange *exchange, enum field_id id, struct slice value)
{
	return value.data && fields_set(&exchange_response(exchange)->fields, exchange_arena(exchange), id, value);
}

static void become_part(struct exchange *exchange)
{
	exchange_response(exchange)->status = 206;
	cache_remove_digests(&exchange_response(exchange)->fields);
}

// --- One part

static bool answer_one(struct exchange *exchange, const struct cache_object *object, const struct cache_run *run,
		       const struct cache_part *part)
{
	become_part(exchange);
	return set_field(exchange, FIELD_CONTENT_RANGE, content_range(exchange, part, run->total)) &&
	       set_content(exchange, object, run, part);
}

static bool answer_none(struct exchange *exchange, const struct cache_object *object, const struct cache_run *run)
{
	exchange_response(exchange)->status = 416;
	return set_field(exchange, FIELD_CONTENT_RANGE,
			 arena_printf(exchange_arena(exchange), "bytes */%llu", (unsigned long long)run->total)) &&
	       set_content(exchange, object, run, &(struct cache_part){run->from, 0});
}

// --- Several, as multipart/byteranges (section 14.6)

// Before each part stands its head, and behind the last one what ends all.
struct multipart {
	struct body body;
	uint32_t next, count;
	struct slice heads[CACHE_PARTS_MAX + 1];
	bool head_is_sent; // of the next one
	char *block;	   // NULL: the object is in memory
	struct cache_content contents[CACHE_PARTS_MAX];
};

static int read_multipart(struct body *body, struct slice *ret_bytes)
{
	struct multipart *multipart = (struct multipart *)body;
	*ret_bytes = SLICE_EMPTY;
	while (multipart->next <= multipart->count && ret_bytes->length == 0) {
		uint32_t part = multipart->next;
		bool is_head = !multipart->head_is_sent;
		if (is_head)
			*ret_bytes = multipart->heads[part];
		else if (part < multipart->count && cache_content_read(&multipart->contents[part], ret_bytes) < 0)
			return fault_set(&body->fault, FAULT_INTERNAL, "read a stored answer", NULL), -1;
		multipart->head_is_sent = is_head || ret_bytes->length > 0;
		multipart->next += !multipart->head_is_sent;
	}
	return 0;
}

static enum body_look look_multipart(struct body *body)
{
	const struct multipart *multipart = (struct multipart *)body;
	if (multipart->next + multipart->head_is_sent > multipart->count)
		return BODY_ENDED;
	return multipart->block ? BODY_WAITS : BODY_READY;
}

static const struct body_operations multipart_operations = {.read = read_multipart, .look = look_multipart};

static bool add_part(struct exchange *exchange, struct multipart *multipart, const struct cache_object *object,
		     const struct cache_run *run, const struct cache_part *part, struct slice boundary)
{
	struct arena *arena = exchange_arena(exchange);
	struct slice type = cache_object_value(object, FIELD_CONTENT_TYPE);
	struct slice range = content_range(exchange, part, run->total);
	uint64_t from = part->from - run->from;
	uint32_t place = multipart->count++;
	struct slice head = arena_printf(arena, "%s--%.*s\r\n%s%.*s%sContent-Range: %.*s\r\n\r\n", place ? "\r\n" : "",
					 SLICE_ARGUMENTS(boundary), type.length ? "Content-Type: " : "",
					 SLICE_ARGUMENTS(type), type.length ? "\r\n" : "", SLICE_ARGUMENTS(range));
	multipart->heads[place] = head;
	multipart->body.length += (int64_t)(head.length + part->length);
	multipart->contents[place] = (struct cache_content){object, from, from + part->length, multipart->block};
	return range.data && head.data;
}

static bool answer_several(struct exchange *exchange, const struct cache_object *object, const struct cache_run *run,
			   const struct cache_parts *parts)
{
	struct arena *arena = exchange_arena(exchange);
	struct multipart *multipart = arena_zalloc(arena, sizeof *multipart);
	// Nobody who made the content knew it.
	struct slice boundary = arena_printf(arena, "%016llx%016llx", (unsigned long long)random_number(),
					     (unsigned long long)random_number());
	bool good = multipart && boundary.data && cache_content_room(arena, object, &multipart->block);
	for (uint32_t i = 0; good && i < parts->count; i++)
		good = add_part(exchange, multipart, object, run, &parts->parts[i], boundary);
	struct slice end = arena_printf(arena, "\r\n--%.*s--\r\n", SLICE_ARGUMENTS(boundary));
	if (!good || !end.data)
		return false;
	multipart->heads[multipart->count] = end;
	multipart->body.length += (int64_t)end.length;
	multipart->body.operations = &multipart_operations;
	become_part(exchange);
	set_body(exchange, &multipart->body);
	return set_field(exchange, FIELD_CONTENT_TYPE,
			 arena_printf(arena, "multipart/byteranges; boundary=%.*s", SLICE_ARGUMENTS(boundary)));
}

// Section 14.2: Range is for GET, and for what would be 200. Where a part of the plain content begins within the coded
// one, nobody knows.
static bool counts(const struct exchange *exchange, const struct fields *request, const struct cache_object *object,
		   int64_t now_s)
{
	struct cache_validators stored = cache_object_validators(object);
	return fields_find(request, FIELD_RANGE) && (object->status == 200 || object->status == 206) &&
	       exchange->transaction.request.method == METHOD_GET &&
	       cache_object_undoes(object, request) == CODING_IDENTITY &&
	       cache_range_is_allowed(request, &stored, now_s);
}

bool cache_parts_suffice(const struct exchange *exchange, const struct fields *request,
			 const struct cache_object *object, uint64_t length, int64_t now_s)
{
	struct cache_parts parts;
	if (object->status != 206)
		return true;
	struct cache_run run = cache_run_of(object, length);
	struct cache_validators validators = cache_object_validators(object);
	if (cache_is_not_modified(request, &validators, now_s))
		return exchange->transaction.request.method == METHOD_GET;
	if (!counts(exchange, request, object, now_s))
		return false;
	enum cache_range range = cache_range_read(fields_value(request, FIELD_RANGE), run.total, &parts);
	for (uint32_t i = 0; range == CACHE_RANGE_PARTS && i < parts.count; i++)
		if (!cache_run_has(&run, &parts.parts[i]))
			return false;
	return range != CACHE_RANGE_WHOLE;
}

bool cache_parts_choose(struct exchange *exchange, const struct fields *request, const struct cache_object *object,
			int64_t now_s)
{
	struct cache_parts parts;
	struct cache_run run = cache_run_of(object, object->body.length);
	if (!counts(exchange, request, object, now_s))
		return set_whole(exchange, request, object);
	switch (cache_range_read(fields_value(request, FIELD_RANGE), run.total, &parts)) {
	case CACHE_RANGE_WHOLE:
		return set_whole(exchange, request, object);
	case CACHE_RANGE_PARTS:
		return parts.count == 1 ? answer_one(exchange, object, &run, &parts.parts[0])
					: answer_several(exchange, object, &run, &parts);
	case CACHE_RANGE_UNSATISFIABLE:
		return answer_none(exchange, object, &run);
	}
	return false;
}

// --- Of what still comes

bool cache_parts_begin_soon(const struct exchange *exchange, const struct fields *request,
			    const struct cache_object *object, int64_t length, int64_t now_s)
{
	struct cache_parts parts;
	if (!counts(exchange, request, object, now_s))
		return true;
	if (length < 0)
		return false;
	enum cache_range range = cache_range_read(fields_value(request, FIELD_RANGE), (uint64_t)length, &parts);
	return range == CACHE_RANGE_WHOLE ||
	       (range == CACHE_RANGE_PARTS && parts.count == 1 && parts.parts[0].from <= SOON_BYTES);
}

bool cache_parts_tell(struct exchange *exchange, const struct fields *request, const struct cache_object *object,
		      int64_t length, int64_t now_s, struct cache_part *ret_part)
{
	struct cache_parts parts;
	*ret_part = (struct cache_part){0, length >= 0 ? (uint64_t)length : UINT64_MAX};
	if (length < 0 || !counts(exchange, request, object, now_s))
		return true;
	struct cache_run run = cache_run_of(object, (uint64_t)length);
	if (cache_range_read(fields_value(request, FIELD_RANGE), run.total, &parts) != CACHE_RANGE_PARTS)
		return true;
	check(parts.count == 1 && cache_run_has(&run, &parts.parts[0]));
	struct slice told = content_range(exchange, &parts.parts[0], run.total);
	*ret_part = (struct cache_part){parts.parts[0].from - run.from, parts.parts[0].length};
	become_part(exchange);
	return set_field(exchange, FIELD_CONTENT_RANGE, told);
}
