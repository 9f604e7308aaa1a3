#include "handlers/cache_answer.h"

#include "cache/vary.h"
#include "handlers/cache_condition.h"
#include "handlers/cache_decode.h"
#include "handlers/cache_parts.h"
#include "handlers/cache_stream.h"
#include "http/body.h"

static bool add_age(struct exchange *exchange, const struct cache_object *object, int64_t now_s)
{
	struct slice age = arena_printf(exchange_arena(exchange), "%lld", (long long)cache_object_age_s(object, now_s));
	return age.data && fields_add(&exchange_response(exchange)->fields, exchange_arena(exchange), FIELD_AGE, age);
}

// What names answers to whoever purges them tells visitors of what is behind.
static bool is_for_caches(const struct field *field)
{
	return field->id == FIELD_SURROGATE_KEY || field->id == FIELD_CACHE_TAG;
}

// What is told of the part that is stored is not what is told of the one that is asked for.
static bool is_of_part(const struct cache_object *object, const struct field *field)
{
	return object->status == 206 && field->id == FIELD_CONTENT_RANGE;
}

// The fields in memory of the exchange's own, so that others may change them.
static bool copy_fields(struct exchange *exchange, const struct cache_object *object, bool only_of_304)
{
	struct fields *to = &exchange_response(exchange)->fields;
	for (uint32_t i = 0; i < object->field_count; i++) {
		struct field field = cache_object_field(object, i);
		if ((only_of_304 && !cache_goes_with_304(&field)) || is_for_caches(&field) ||
		    is_of_part(object, &field))
			continue;
		if (to->count == to->capacity && !fields_grow(to, exchange_arena(exchange)))
			return false;
		to->items[to->count++] = field;
	}
	return true;
}

// The head, without the coding, and what is_304 decides: whether the visitor has it already.
static bool begin(struct exchange *exchange, const struct fields *request, const struct cache_object *object,
		  enum coding coding, bool is_fetched, int64_t now_s, bool *ret_is_304)
{
	struct cache_validators validators = cache_object_validators(object);
	bool is_304 =
		(object->status == 200 || object->status == 206) && cache_is_not_modified(request, &validators, now_s);
	*exchange_response(exchange) = (struct response){
		.status = is_304 ? 304 : (uint16_t)object->status,
		.version_major = 1,
		.version_minor = 1,
		.body = body_empty(),
	};
	// Section 5.1 of RFC 9111: Age tells that an answer was not made for this request.
	bool has_age = !is_fetched || cache_object_age_s(object, now_s) > 0;
	if (!copy_fields(exchange, object, is_304) || (has_age && !add_age(exchange, object, now_s)))
		return false;
	*ret_is_304 = is_304;
	return coding == CODING_IDENTITY || cache_decode_head(exchange);
}

static bool undo(struct exchange *exchange, enum coding coding)
{
	return coding == CODING_IDENTITY || cache_decode_body(exchange, coding);
}

static bool answer(struct exchange *exchange, const struct fields *request, const struct cache_object *object,
		   int64_t now_s)
{
	enum coding coding = cache_object_undoes(object, request);
	bool is_304;
	if (!begin(exchange, request, object, coding, false, now_s, &is_304))
		return false;
	return is_304 || (cache_parts_choose(exchange, request, object, now_s) && undo(exchange, coding));
}

void cache_answer(struct exchange *exchange, const struct fields *request, const struct cache_object *object,
		  int64_t now_s)
{
	if (!answer(exchange, request, object, now_s))
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "answer from the cache", NULL);
}

// Whether the object has all that there is: it is not being filled.
static bool is_there(const struct cache_reader *reader)
{
	return reader->state == CACHE_FETCH_WHOLE &&
	       (reader->object->file || cache_reader_outcome(reader)->status == 304);
}

static bool answer_stream(struct exchange *exchange, const struct fields *request, struct cache_reader *reader,
			  int64_t now_s)
{
	struct response *response = exchange_response(exchange);
	enum coding coding = cache_object_undoes(reader->object, request);
	bool is_304;
	if (!begin(exchange, request, reader->object, coding, true, now_s, &is_304))
		return false;
	if (is_304)
		return true;
	if (is_there(reader))
		return cache_parts_choose(exchange, request, reader->object, now_s) && undo(exchange, coding);
	struct cache_stream *stream = arena_alloc(exchange_arena(exchange), sizeof *stream);
	struct cache_part part;
	if (!stream || !cache_parts_tell(exchange, request, reader->object, reader->length, now_s, &part))
		return false;
	bool has_trailers = response->status != 206 && cache_parts_take_trailers(exchange, request);
	// As it is known already that there are trailers, HTTP/1.1 has to have chunks for them.
	if (has_trailers && reader->object->trailer_count > 0 && exchange->transaction.request.version_major == 1)
		part.length = UINT64_MAX;
	cache_stream_init(stream, reader, &part, has_trailers ? exchange_arena(exchange) : NULL);
	response->framing = stream->body.length >= 0 ? BODY_LENGTH : BODY_CHUNKED;
	response->content_length = stream->body.length >= 0 ? (uint64_t)stream->body.length : 0;
	response->body = &stream->body;
	return undo(exchange, coding);
}

bool cache_answer_suits(const struct exchange *exchange, const struct fields *request,
			const struct cache_reader *reader, bool is_his, int64_t now_s)
{
	const struct cache_object *object = reader->object;
	uint64_t length = is_there(reader) ? object->body.length : (uint64_t)reader->length;
	if (!cache_parts_suffice(exchange, request, object, length, now_s))
		return false;
	return is_there(reader) || is_his || object->status == 206 ||
	       cache_parts_begin_soon(exchange, request, object, reader->length, now_s);
}

void cache_answer_stream(struct exchange *exchange, const struct fields *request, struct cache_reader *reader,
			 int64_t now_s)
{
	if (!answer_stream(exchange, request, reader, now_s))
		exchange_fail(exchange, FAULT_OUT_OF_MEMORY, "answer from a fetch", NULL);
}
