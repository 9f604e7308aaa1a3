#include "handlers/cache_parts.h"

#include "base/random.h"
#include "cache/range.h"
#include "http/body.h"

static void set_body(struct exchange *exchange, struct body *body)
{
	struct response *response = exchange_response(exchange);
	response->framing = BODY_LENGTH; // what HEAD tells of it
	response->content_length = (uint64_t)body->length;
	response->body = body;
}

static bool set_bytes(struct exchange *exchange, struct slice content)
{
	struct body_bytes *body = arena_alloc(exchange_arena(exchange), sizeof *body);
	if (!body)
		return false;
	body_bytes_init(body, content);
	set_body(exchange, &body->body);
	return true;
}

static struct slice content_of(const struct cache_object *object, const struct cache_part *part)
{
	return slice_first(slice_after(object->body, part->from), part->length);
}

static struct slice content_range(struct exchange *exchange, const struct cache_object *object,
				  const struct cache_part *part)
{
	return arena_printf(exchange_arena(exchange), "bytes %llu-%llu/%zu", (unsigned long long)part->from,
			    (unsigned long long)(part->from + part->length - 1), object->body.length);
}

static bool set_field(struct exchange *exchange, enum field_id id, struct slice value)
{
	return value.data && fields_set(&exchange_response(exchange)->fields, exchange_arena(exchange), id, value);
}

// --- One part

static bool answer_one(struct exchange *exchange, const struct cache_object *object, const struct cache_part *part)
{
	exchange_response(exchange)->status = 206;
	return set_field(exchange, FIELD_CONTENT_RANGE, content_range(exchange, object, part)) &&
	       set_bytes(exchange, content_of(object, part));
}

static bool answer_none(struct exchange *exchange, const struct cache_object *object)
{
	exchange_response(exchange)->status = 416;
	return set_field(exchange, FIELD_CONTENT_RANGE,
			 arena_printf(exchange_arena(exchange), "bytes */%zu", object->body.length)) &&
	       set_bytes(exchange, SLICE_EMPTY);
}

// --- Several, as multipart/byteranges (section 14.6)

// Before each part stands its head, and behind the last one what ends all.
struct multipart {
	struct body body;
	uint32_t next, count;
	struct slice pieces[2 * CACHE_PARTS_MAX + 1];
};

static int read_multipart(struct body *body, struct slice *ret_bytes)
{
	struct multipart *multipart = (struct multipart *)body;
	*ret_bytes = multipart->next < multipart->count ? multipart->pieces[multipart->next++] : SLICE_EMPTY;
	return 0;
}

static enum body_look look_multipart(struct body *body)
{
	const struct multipart *multipart = (struct multipart *)body;
	return multipart->next < multipart->count ? BODY_READY : BODY_ENDED;
}

static const struct body_operations multipart_operations = {.read = read_multipart, .look = look_multipart};

static bool add_piece(struct multipart *multipart, struct slice piece)
{
	multipart->pieces[multipart->count++] = piece;
	multipart->body.length += (int64_t)piece.length;
	return piece.data != NULL;
}

static bool answer_several(struct exchange *exchange, const struct cache_object *object,
			   const struct cache_parts *parts)
{
	struct arena *arena = exchange_arena(exchange);
	struct fields fields = cache_object_response(object);
	struct slice type = fields_value(&fields, FIELD_CONTENT_TYPE);
	struct multipart *multipart = arena_zalloc(arena, sizeof *multipart);
	// Nobody who made the content knew it.
	struct slice boundary = arena_printf(arena, "%016llx%016llx", (unsigned long long)random_number(),
					     (unsigned long long)random_number());
	bool good = multipart && boundary.data;
	for (uint32_t i = 0; good && i < parts->count; i++) {
		struct slice range = content_range(exchange, object, &parts->parts[i]);
		good = range.data &&
		       add_piece(multipart, arena_printf(arena, "%s--%.*s\r\n%s%.*s%sContent-Range: %.*s\r\n\r\n",
							 i ? "\r\n" : "", SLICE_ARGUMENTS(boundary),
							 type.length ? "Content-Type: " : "", SLICE_ARGUMENTS(type),
							 type.length ? "\r\n" : "", SLICE_ARGUMENTS(range))) &&
		       add_piece(multipart, content_of(object, &parts->parts[i]));
	}
	if (!good || !add_piece(multipart, arena_printf(arena, "\r\n--%.*s--\r\n", SLICE_ARGUMENTS(boundary))))
		return false;
	multipart->body.operations = &multipart_operations;
	exchange_response(exchange)->status = 206;
	set_body(exchange, &multipart->body);
	return set_field(exchange, FIELD_CONTENT_TYPE,
			 arena_printf(arena, "multipart/byteranges; boundary=%.*s", SLICE_ARGUMENTS(boundary)));
}

bool cache_parts_choose(struct exchange *exchange, const struct fields *request, const struct cache_object *object,
			int64_t now_s)
{
	struct fields stored = cache_object_response(object);
	struct slice range = fields_value(request, FIELD_RANGE);
	struct cache_parts parts;
	// Section 14.2: Range is for GET, and for what would be 200.
	if (!range.data || object->status != 200 || exchange_request(exchange)->method != METHOD_GET ||
	    !cache_range_is_allowed(request, &stored, now_s))
		return set_bytes(exchange, object->body);
	switch (cache_range_read(range, object->body.length, &parts)) {
	case CACHE_RANGE_WHOLE:
		return set_bytes(exchange, object->body);
	case CACHE_RANGE_PARTS:
		return parts.count == 1 ? answer_one(exchange, object, &parts.parts[0])
					: answer_several(exchange, object, &parts);
	case CACHE_RANGE_UNSATISFIABLE:
		return answer_none(exchange, object);
	}
	return false;
}
