#include "cache/object.h"

#include "base/check.h"
#include "cache/vary.h"

#include <stdlib.h>
#include <string.h>

// --- What is stored

bool cache_object_leaves_out(const struct field *field, const struct cache_directives *says)
{
	return field->id == FIELD_SET_COOKIE || cache_names_field(says->no_cache_fields, field->name) ||
	       cache_names_field(says->private_fields, field->name);
}

// RFC 9111 section 3.1: fields that concern a connection are gone already; those that are about this
// delivery are written anew with each use.
static bool is_stored(const struct field *field, const struct cache_directives *says)
{
	switch (field->id) {
	case FIELD_AGE:
	case FIELD_CONTENT_LENGTH:
	case FIELD_X_REQUEST_ID:
		return false;
	default:
		return !cache_object_leaves_out(field, says);
	}
}

// Calls for each name in the Vary fields, "*" left out.
static bool next_varying(const struct fields *response, uint32_t *at, struct slice *rest, struct slice *ret_name)
{
	for (;;) {
		if (slice_next_member(rest, ret_name))
			return true;
		while (*at < response->count && response->items[*at].id != FIELD_VARY)
			++*at;
		if (*at == response->count)
			return false;
		*rest = response->items[(*at)++].value;
	}
}

// The values of all fields with the name count as one list (RFC 9110 section 5.3).
static size_t combined_length(const struct fields *fields, struct slice name)
{
	size_t length = 0;
	for (uint32_t i = 0; i < fields->count; i++)
		if (cache_vary_has(&fields->items[i], name))
			length += (length ? 2 : 0) + fields->items[i].value.length;
	return length;
}

// --- Making one

// Several fields are one list (RFC 9110 section 5.3).
static enum coding coding_of(const struct fields *response)
{
	enum coding coding = CODING_IDENTITY;
	for (uint32_t i = 0; i < response->count; i++)
		if (response->items[i].id == FIELD_CONTENT_ENCODING)
			coding = coding == CODING_IDENTITY ? coding_read(response->items[i].value) : CODING_OTHER;
	return coding;
}

struct builder {
	struct cache_object *object;
	uint32_t capacity; // of fields
	char *text;	   // free space
};

static struct slice put(struct builder *builder, struct slice bytes)
{
	struct slice copy = slice_from(builder->text, bytes.length);
	if (bytes.length > 0)
		memcpy(builder->text, bytes.data, bytes.length);
	builder->text += bytes.length;
	return copy;
}

static struct cache_field *add_field(struct builder *builder, struct slice name, enum field_id id)
{
	struct cache_object *object = builder->object;
	uint32_t index = object->field_count + object->vary_count + object->trailer_count;
	struct cache_field *field = (struct cache_field *)(object + 1) + index;
	check(index < builder->capacity);
	*field = (struct cache_field){
		.at = (uint32_t)(builder->text - (char *)object),
		.name_length = (uint16_t)name.length,
		.id = (uint16_t)id,
	};
	(void)put(builder, name);
	return field;
}

static void put_field(struct builder *builder, const struct field *field)
{
	struct cache_field *packed = add_field(builder, field->name, field->id);
	packed->value_length = (uint32_t)put(builder, field->value).length;
}

static void put_varying(struct builder *builder, const struct fields *request, struct slice name)
{
	struct cache_field *packed = add_field(builder, name, field_id_of(name));
	const char *from = builder->text;
	bool found = false;
	for (uint32_t i = 0; i < request->count; i++) {
		if (!cache_vary_has(&request->items[i], name))
			continue;
		if (found)
			(void)put(builder, SLICE(", "));
		(void)put(builder, request->items[i].value);
		found = true;
	}
	packed->value_length = found ? (uint32_t)(builder->text - from) : CACHE_NO_VALUE;
	builder->object->vary_count++;
}

enum { VARYING_MAX = 64 };

struct measure {
	uint32_t fields;
	size_t text;
	bool fits; // into packed fields
};

static void measure_field(struct measure *measure, struct slice name, size_t value_length)
{
	measure->fields++;
	measure->text += name.length + value_length;
	measure->fits = measure->fits && name.length <= UINT16_MAX && measure->text < CACHE_NO_VALUE / 2;
}

static struct measure measure_of(const struct cache_object_parts *parts)
{
	struct measure measure = {.text = parts->key.length, .fits = parts->key.length < CACHE_NO_VALUE / 2};
	struct slice rest = SLICE_EMPTY, name;
	for (uint32_t i = 0; i < parts->response->count; i++) {
		const struct field *field = &parts->response->items[i];
		if (is_stored(field, parts->says))
			measure_field(&measure, field->name, field->value.length);
	}
	uint32_t varying = 0;
	for (uint32_t at = 0; next_varying(parts->response, &at, &rest, &name); varying++)
		measure_field(&measure, name, combined_length(parts->request, name));
	// Values are kept once for each name: many names would be many times the request.
	measure.fits = measure.fits && varying <= VARYING_MAX;
	for (uint32_t i = 0; parts->trailers && i < parts->trailers->count; i++)
		if (is_stored(&parts->trailers->items[i], parts->says))
			measure_field(&measure, parts->trailers->items[i].name, parts->trailers->items[i].value.length);
	measure.fits = measure.fits && (!parts->trailers || parts->trailers->count <= UINT16_MAX);
	return measure;
}

struct cache_object *cache_object_new(const struct cache_object_parts *parts)
{
	struct measure measure = measure_of(parts);
	size_t head = sizeof(struct cache_object) + measure.fields * sizeof(struct cache_field);
	check(!parts->file || (parts->body.length == 0 && parts->room_bytes == 0));
	size_t room = parts->room_bytes > parts->body.length ? parts->room_bytes : parts->body.length;
	struct cache_object *object = measure.fits ? malloc(head + measure.text + room) : NULL;
	if (!object)
		return NULL;
	*object = (struct cache_object){
		.references = 1,
		.status = parts->status,
		.hash = parts->hash,
		.variant = parts->variant,
		.file = parts->file,
		.room_bytes = room,
		.size_bytes = head + measure.text + room,
		.times = parts->times,
		.asked_after = parts->asked_after,
		.must_validate = cache_says(parts->says, CACHE_NO_CACHE),
		.coding = (uint8_t)coding_of(parts->response),
	};
	struct builder builder = {object, measure.fields, (char *)object + head};
	object->key = put(&builder, parts->key);
	for (uint32_t i = 0; i < parts->response->count; i++) {
		if (!is_stored(&parts->response->items[i], parts->says))
			continue;
		put_field(&builder, &parts->response->items[i]);
		object->field_count++;
	}
	struct slice rest = SLICE_EMPTY, name;
	for (uint32_t at = 0; next_varying(parts->response, &at, &rest, &name);)
		put_varying(&builder, parts->request, name);
	for (uint32_t i = 0; parts->trailers && i < parts->trailers->count; i++) {
		if (!is_stored(&parts->trailers->items[i], parts->says))
			continue;
		put_field(&builder, &parts->trailers->items[i]);
		object->trailer_count++;
	}
	check(builder.text == (char *)object + object->size_bytes - room);
	object->body = parts->file ? (struct slice){NULL, parts->file->length} : put(&builder, parts->body);
	if (parts->file)
		cache_file_ref(parts->file);
	list_init(&object->link);
	return object;
}

// --- Reading its fields

struct slice cache_object_value(const struct cache_object *object, enum field_id id)
{
	const struct cache_field *packed = (const struct cache_field *)(object + 1);
	for (uint32_t i = 0; i < object->field_count; i++)
		if (packed[i].id == id)
			return cache_object_field(object, i).value;
	return (struct slice){0};
}

struct slice cache_object_varying(const struct cache_object *object, enum field_id id)
{
	for (uint32_t i = object->field_count; i < object->field_count + object->vary_count; i++) {
		struct field field = cache_object_field(object, i);
		if (field.id == id && field.value.data)
			return field.value;
	}
	return SLICE_EMPTY;
}

static void unpack(const struct cache_object *object, uint32_t from, uint32_t count, struct fields *to)
{
	for (uint32_t i = 0; i < count; i++)
		to->items[to->count++] = cache_object_field(object, from + i);
}

static bool list_fields(const struct cache_object *object, uint32_t from, uint32_t count, struct arena *arena,
			struct fields *ret_fields)
{
	struct fields fields = {.items = arena_alloc(arena, (count + 1) * sizeof *fields.items)};
	if (!fields.items)
		return false;
	fields.capacity = count;
	unpack(object, from, count, &fields);
	*ret_fields = fields;
	return true;
}

bool cache_object_fields(const struct cache_object *object, struct arena *arena, struct fields *ret_fields)
{
	return list_fields(object, 0, object->field_count, arena, ret_fields);
}

bool cache_object_trailers(const struct cache_object *object, struct arena *arena, struct fields *ret_trailers)
{
	return list_fields(object, object->field_count + object->vary_count, object->trailer_count, arena,
			   ret_trailers);
}

struct cache_validators cache_object_validators(const struct cache_object *object)
{
	return (struct cache_validators){
		.etag = cache_object_value(object, FIELD_ETAG),
		.last_modified = cache_object_value(object, FIELD_LAST_MODIFIED),
		.date = cache_object_value(object, FIELD_DATE),
	};
}

void cache_object_ref(struct cache_object *object)
{
	atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
}

void cache_object_unref(struct cache_object *object)
{
	if (!object || atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) > 1)
		return;
	cache_file_unref(object->file);
	free(object);
}

bool cache_object_claim_renewal(struct cache_object *object, int64_t now_s)
{
	int64_t last_s = atomic_load_explicit(&object->renewed_s, memory_order_relaxed);
	return last_s != now_s && atomic_compare_exchange_strong_explicit(&object->renewed_s, &last_s, now_s,
									  memory_order_relaxed, memory_order_relaxed);
}

// --- Refreshing

bool cache_object_is_meant(const struct cache_object *object, const struct fields *response)
{
	struct slice etag = fields_value(response, FIELD_ETAG);
	return !etag.data || cache_etag_is_same(etag, cache_object_value(object, FIELD_ETAG));
}

static bool is_digest_of_content(struct slice name)
{
	return slice_equal_nocase(name, SLICE("Content-Digest")) || slice_equal_nocase(name, SLICE("Content-MD5"));
}

void cache_remove_digests(struct fields *fields)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < fields->count; i++)
		if (!is_digest_of_content(fields->items[i].name))
			fields->items[kept++] = fields->items[i];
	fields->count = kept;
}

// What the content that is stored depends on, or what is told of content that did not come now.
static bool describes_content(const struct field *field)
{
	switch (field->id) {
	case FIELD_CONTENT_ENCODING:
	case FIELD_CONTENT_RANGE:
	case FIELD_CONTENT_LENGTH:
	case FIELD_ETAG:
		return true;
	default:
		return is_digest_of_content(field->name);
	}
}

static bool is_replaced(const struct field *stored, const struct fields *response)
{
	for (uint32_t i = 0; i < response->count; i++)
		if (!describes_content(&response->items[i]) &&
		    slice_equal_nocase(response->items[i].name, stored->name))
			return true;
	return false;
}

// What another one has in the place of the object's own.
struct renewal {
	const struct fields *response, *trailers; // trailers NULL: its own
	struct cache_times times;
	struct slice body;
	struct cache_file *file;
	size_t room_bytes;
};

// Another one for the same request, of which the object knows what its Vary names. `response` has room for those and
// the trailers behind its own.
static struct cache_object *renew(const struct cache_object *object, const struct renewal *renewal)
{
	const struct fields *response = renewal->response;
	struct fields request = {.items = response->items + response->count};
	struct fields trailers = {.items = request.items + object->vary_count};
	struct cache_directives says;
	unpack(object, object->field_count, object->vary_count, &request);
	unpack(object, object->field_count + object->vary_count, object->trailer_count, &trailers);
	cache_directives_of_response(response, &says);
	return cache_object_new(&(struct cache_object_parts){
		.key = object->key,
		.hash = object->hash,
		.variant = object->variant,
		.status = object->status,
		.response = response,
		.trailers = renewal->trailers ? renewal->trailers : &trailers,
		.request = &request,
		.says = &says,
		.body = renewal->body,
		.file = renewal->file,
		.room_bytes = renewal->room_bytes,
		.times = renewal->times,
		.asked_after = object->asked_after,
	});
}

// A list with room for all of the object's fields, and so many more; to be freed.
static struct fields make_list(const struct cache_object *object, uint32_t more)
{
	uint32_t own = object->field_count + object->vary_count + object->trailer_count;
	struct fields list = {.capacity = own + more + 1};
	list.items = malloc(list.capacity * sizeof *list.items);
	return list;
}

static void merge(const struct cache_object *object, const struct fields *response, struct fields *merged)
{
	for (uint32_t i = 0; i < object->field_count; i++) {
		struct field stored = cache_object_field(object, i);
		if (!is_replaced(&stored, response))
			merged->items[merged->count++] = stored;
	}
	for (uint32_t i = 0; i < response->count; i++)
		if (!describes_content(&response->items[i]))
			merged->items[merged->count++] = response->items[i];
}

bool cache_object_merge(const struct cache_object *object, const struct fields *response, struct arena *arena,
			struct fields *ret_fields)
{
	struct fields merged = {.capacity = object->field_count + response->count + 1};
	merged.items = arena_alloc(arena, merged.capacity * sizeof *merged.items);
	if (!merged.items)
		return false;
	merge(object, response, &merged);
	*ret_fields = merged;
	return true;
}

struct cache_object *cache_object_refreshed(const struct cache_object *object, const struct fields *response,
					    const struct cache_times *times)
{
	struct fields merged = make_list(object, response->count);
	if (!merged.items)
		return NULL;
	merge(object, response, &merged);
	struct slice content = object->file ? SLICE_EMPTY : object->body;
	struct cache_object *refreshed = renew(
		object, &(struct renewal){.response = &merged, .times = *times, .body = content, .file = object->file});
	free(merged.items);
	return refreshed;
}

static struct cache_object *same(const struct cache_object *object, struct renewal renewal)
{
	struct fields response = make_list(object, 0);
	if (!response.items)
		return NULL;
	unpack(object, 0, object->field_count, &response);
	renewal.response = &response;
	renewal.times = object->times;
	struct cache_object *copy = renew(object, &renewal);
	free(response.items);
	if (!copy)
		return NULL;
	copy->must_validate = object->must_validate;
	atomic_store(&copy->is_outdated, atomic_load(&object->is_outdated));
	return copy;
}

struct cache_object *cache_object_with_file(const struct cache_object *object, struct cache_file *file)
{
	return same(object, (struct renewal){.file = file});
}

struct cache_object *cache_object_with_trailers(const struct cache_object *object, struct slice body,
						const struct fields *trailers)
{
	return same(object, (struct renewal){.trailers = trailers, .body = body});
}

struct cache_object *cache_object_with(const struct cache_object *object, struct slice body, size_t room_bytes)
{
	return same(object, (struct renewal){.body = body, .room_bytes = room_bytes});
}
