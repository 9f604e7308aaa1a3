#include "cache/head.h"

#include "base/check.h"
#include "cache/directives.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

// Files stay on the machine that wrote them: numbers are in its order, and a machine with another one finds no file of
// this kind.
#define KIND UINT64_C(0x7573686572000001)
#define VALUE_ABSENT UINT32_MAX

enum { FIELDS_MAX = 65536 };

struct record {
	uint64_t kind, bytes; // of all but the checksum
	struct cache_head_place place;
	uint64_t variant, asked_after;
	int64_t received_s, initial_age_s, lifetime_s, stale_error_s, stale_while_s;
	uint32_t by, is_outdated, must_validate, status, key_length, field_count, vary_count, trailer_count;
};

// --- Writing

// Of the response, of the request, and the trailers.
static uint32_t fields_of(const struct cache_object *object)
{
	return object->field_count + object->vary_count + object->trailer_count;
}

static size_t size_of(const struct cache_object *object, const struct cache_head_place *place)
{
	size_t size = sizeof(struct record) + object->key.length + (place->body_number ? 0 : object->body.length);
	for (uint32_t i = 0; i < fields_of(object); i++) {
		struct field field = cache_object_field(object, i);
		size += 2 * sizeof(uint32_t) + field.name.length + field.value.length;
	}
	return size + sizeof(uint64_t);
}

static char *put(char *to, const void *bytes, size_t length)
{
	if (length > 0)
		memcpy(to, bytes, length);
	return to + length;
}

static char *put_field(char *to, const struct field *field)
{
	const uint32_t lengths[] = {(uint32_t)field->name.length,
				    field->value.data ? (uint32_t)field->value.length : VALUE_ABSENT};
	to = put(to, lengths, sizeof lengths);
	to = put(to, field->name.data, field->name.length);
	return put(to, field->value.data, field->value.length);
}

char *cache_head_write(const struct cache_object *object, const struct cache_head_place *place, uint64_t asked_after,
		       size_t *ret_length)
{
	size_t size = size_of(object, place);
	char *bytes = malloc(size), *to = bytes;
	if (!bytes)
		return NULL;
	const struct cache_times *times = &object->times;
	const struct record record = {
		.kind = KIND,
		.bytes = size - sizeof(uint64_t),
		.place = *place,
		.variant = object->variant,
		.asked_after = asked_after,
		.received_s = times->received_s,
		.initial_age_s = times->initial_age_s,
		.lifetime_s = times->lifetime_s,
		.stale_error_s = times->stale_error_s,
		.stale_while_s = times->stale_while_s,
		.by = times->by,
		.is_outdated = atomic_load(&object->is_outdated),
		.must_validate = object->must_validate,
		.status = object->status,
		.key_length = (uint32_t)object->key.length,
		.field_count = fields_of(object),
		.vary_count = object->vary_count,
		.trailer_count = object->trailer_count,
	};
	to = put(to, &record, sizeof record);
	to = put(to, object->key.data, object->key.length);
	for (uint32_t i = 0; i < fields_of(object); i++) {
		struct field field = cache_object_field(object, i);
		to = put_field(to, &field);
	}
	if (!place->body_number)
		to = put(to, object->body.data, object->body.length);
	uint64_t sum = XXH3_64bits(bytes, size - sizeof sum);
	to = put(to, &sum, sizeof sum);
	check(to == bytes + size);
	*ret_length = size;
	return bytes;
}

// --- Reading

static bool take(struct slice *rest, size_t length, struct slice *ret_bytes)
{
	if (rest->length < length)
		return false;
	*ret_bytes = slice_first(*rest, length);
	*rest = slice_after(*rest, length);
	return true;
}

static bool take_field(struct slice *rest, struct field *ret_field)
{
	struct slice name, value = SLICE_EMPTY, bytes;
	uint32_t lengths[2];
	if (!take(rest, sizeof lengths, &bytes))
		return false;
	memcpy(lengths, bytes.data, sizeof lengths);
	if (!take(rest, lengths[0], &name) || (lengths[1] != VALUE_ABSENT && !take(rest, lengths[1], &value)))
		return false;
	*ret_field = (struct field){name, lengths[1] == VALUE_ABSENT ? (struct slice){0} : value, field_id_of(name)};
	return true;
}

static bool is_whole(struct slice bytes, uint64_t number, struct record *ret_record)
{
	uint64_t sum;
	if (bytes.length < sizeof *ret_record + sizeof sum)
		return false;
	memcpy(ret_record, bytes.data, sizeof *ret_record);
	memcpy(&sum, bytes.data + bytes.length - sizeof sum, sizeof sum);
	return ret_record->kind == KIND && ret_record->bytes == bytes.length - sizeof sum &&
	       ret_record->place.number == number && ret_record->status != 206 &&
	       ret_record->field_count <= FIELDS_MAX && ret_record->vary_count <= ret_record->field_count &&
	       ret_record->trailer_count <= ret_record->field_count - ret_record->vary_count &&
	       ret_record->by <= CACHE_BY_OPERATOR && sum == XXH3_64bits(bytes.data, bytes.length - sizeof sum);
}

static struct cache_object *make(const struct record *record, struct slice key, const struct fields *all,
				 struct slice content, uint64_t hash)
{
	struct fields response = *all, request = *all, trailers = *all;
	struct cache_directives says;
	response.count -= record->vary_count + record->trailer_count;
	request.items += response.count;
	request.count = record->vary_count;
	trailers.items += response.count + request.count;
	trailers.count = record->trailer_count;
	cache_directives_of_response(&response, &says);
	struct cache_object *object = cache_object_new(&(struct cache_object_parts){
		.key = key,
		.hash = hash,
		.variant = record->variant,
		.status = record->status,
		.response = &response,
		.trailers = &trailers,
		.request = &request,
		.says = &says,
		.body = content,
		.times = {record->received_s, record->initial_age_s, record->lifetime_s, record->stale_error_s,
			  record->stale_while_s, record->by},
		.asked_after = record->asked_after,
	});
	if (!object)
		return NULL;
	object->must_validate = record->must_validate != 0;
	atomic_store(&object->is_outdated, record->is_outdated != 0);
	return object;
}

bool cache_head_read(struct slice bytes, uint64_t number, uint64_t hash, struct cache_object **ret_object,
		     struct cache_head_place *ret_place)
{
	struct record record;
	struct slice rest, key;
	if (!is_whole(bytes, number, &record))
		return false;
	rest = slice_after(slice_first(bytes, record.bytes), sizeof record);
	struct fields fields = {.items = malloc((record.field_count + 1) * sizeof(struct field))};
	bool good = fields.items && take(&rest, record.key_length, &key);
	while (good && fields.count < record.field_count)
		good = take_field(&rest, &fields.items[fields.count]) && ++fields.count;
	good = good && rest.length == (record.place.body_number ? 0 : record.place.body_length);
	struct cache_object *object = good ? make(&record, key, &fields, rest, hash) : NULL;
	free(fields.items);
	if (!object)
		return false;
	*ret_object = object;
	*ret_place = record.place;
	return true;
}
