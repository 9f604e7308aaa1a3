// A stored response: one block of memory that never changes, shared by whoever holds a reference. While its content
// still comes, only bytes behind what was told of are written (cache/fetch.h).
#ifndef USHER_CACHE_OBJECT_H
#define USHER_CACHE_OBJECT_H

#include "base/list.h"
#include "cache/directives.h"
#include "cache/file.h"
#include "cache/freshness.h"
#include "http/coding.h"
#include "http/fields.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Seconds of the wall clock.
struct cache_times {
	int64_t received_s;
	int64_t initial_age_s;	// then
	int64_t lifetime_s;	// of freshness
	int64_t stale_error_s;	// how long it may be used after that, where the server has no answer
	int64_t stale_while_s;	// and while it is fetched anew
	enum cache_lifetime by; // what the lifetime was taken from
};

// The status of an object that says only that answers to the same request are not stored; its content is the verdict.
enum { CACHE_MARK = 0 };

// A field, packed: most of what a small answer takes beyond its text would be fields otherwise.
struct cache_field {
	uint32_t at; // of its name, from the object's first byte; its value stands behind it
	uint32_t value_length;
	uint16_t name_length, id;
};

// In the place of a value's length: a field that was not there, of which only the name is known.
#define CACHE_NO_VALUE UINT32_MAX

// Behind it lie its packed fields, its key, the fields' texts, and the content.
struct cache_object {
	_Atomic uint32_t references;
	_Atomic uint32_t hits; // of late: to 3, for the store's eviction
	_Atomic uint32_t uses; // about how often it was found since it was stored
	uint32_t status;
	uint64_t hash; // of the key
	struct slice key;
	uint64_t variant;	  // of the key, by the configuration: another route's answer is another answer
	uint64_t asked_after;	  // the number of the purge before it was asked for, or was looked at (cache/purge.h)
	uint32_t field_count;	  // of the response
	uint32_t vary_count;	  // of the request, of those that Vary names: they follow
	uint16_t trailer_count;	  // of the response's trailers: they follow, too
	_Atomic bool is_outdated; // by a purge: stale whatever its age
	bool must_validate;	  // before each use: no-cache
	bool is_main;		  // which of the store's queues it is in
	uint8_t coding;		  // enum coding: of its content
	struct list_link link;	  // in that queue
	struct slice body;	  // where it is in a file, only its length
	struct cache_file *file;  // NULL: it is in memory
	size_t room_bytes;	  // for the body
	size_t size_bytes;	  // all of it
	struct cache_times times;
	_Atomic int64_t renewed_s; // when it was last fetched anew while it is used; 0: never
};

// What an object is made of; all is copied.
struct cache_object_parts {
	struct slice key;
	uint64_t hash, variant;
	unsigned status;
	const struct fields *response; // fields that are not to be stored are left out here
	const struct fields *trailers; // of the response; NULL: none
	const struct fields *request;
	const struct cache_directives *says; // whose no-cache and private fields are left out, too
	struct slice body;
	struct cache_file *file; // in the place of the body; NULL: it is in memory
	size_t room_bytes;	 // for the body, where more of it comes
	struct cache_times times;
	uint64_t asked_after; // as in the object
};

// With one reference. NULL when memory is out.
struct cache_object *cache_object_new(const struct cache_object_parts *parts);
void cache_object_ref(struct cache_object *object);
void cache_object_unref(struct cache_object *object); // NULL is allowed

// Whether a 304 is about the object: not where it names another one by its ETag (RFC 9111 section 4.3.4). Those that
// are the same weakly are taken for the same, since servers that compress weaken the tag of what they send, but not of
// a 304.
bool cache_object_is_meant(const struct cache_object *object, const struct fields *response);

// The same with what a 304 says anew (RFC 9111 section 3.2): its fields in the place of those of the
// same name, but for those that the stored content depends on. The times are of the 304.
struct cache_object *cache_object_refreshed(const struct cache_object *object, const struct fields *response,
					    const struct cache_times *times);

// The fields that it has when the response says so anew, lent, in a list of the arena's. False when memory is out.
bool cache_object_merge(const struct cache_object *object, const struct fields *response, struct arena *arena,
			struct fields *ret_fields);

// The same with its content in a file, of which it takes a reference of its own.
struct cache_object *cache_object_with_file(const struct cache_object *object, struct cache_file *file);

// The same with the content, and trailers in the place of its own.
struct cache_object *cache_object_with_trailers(const struct cache_object *object, struct slice body,
						const struct fields *trailers);

// The same with the content and room for so much of it.
struct cache_object *cache_object_with(const struct cache_object *object, struct slice body, size_t room_bytes);

// Where its body is, for who makes it.
static inline char *cache_object_room(struct cache_object *object)
{
	return (char *)object + object->size_bytes - object->room_bytes;
}

// Removes digests of the very bytes that a message carries (RFC 9530 section 2, RFC 1864): of a part, or of a 304, they
// are others.
void cache_remove_digests(struct fields *fields);

// Whether a field is for the one who was answered with it alone, and not stored, by what the response says.
bool cache_object_leaves_out(const struct field *field, const struct cache_directives *says);

// Whether the caller is to fetch it anew, while it is used: one in a second is.
bool cache_object_claim_renewal(struct cache_object *object, int64_t now_s);

// The one with the index, those of the request behind those of the response, the trailers behind these; it lends the
// object's memory.
static inline struct field cache_object_field(const struct cache_object *object, uint32_t index)
{
	const struct cache_field *packed = (const struct cache_field *)(object + 1) + index;
	const char *name = (const char *)object + packed->at, *value = name + packed->name_length;
	struct field field = {{name, packed->name_length}, {value, packed->value_length}, (enum field_id)packed->id};
	if (packed->value_length == CACHE_NO_VALUE)
		field.value = (struct slice){0};
	return field;
}

// The value of the response's first field with the id; .data is NULL when there is none.
struct slice cache_object_value(const struct cache_object *object, enum field_id id);

// The value that a request's field had which Vary names, lent; SLICE_EMPTY: it was not there, or Vary does not name it.
struct slice cache_object_varying(const struct cache_object *object, enum field_id id);

// All fields of the response, lent, in a list of the arena's. False when memory is out.
bool cache_object_fields(const struct cache_object *object, struct arena *arena, struct fields *ret_fields);

// The same of its trailers.
bool cache_object_trailers(const struct cache_object *object, struct arena *arena, struct fields *ret_trailers);

// By which two are the same, and which conditions ask for.
struct cache_validators {
	struct slice etag, last_modified, date; // .data is NULL when there is none
};

struct cache_validators cache_object_validators(const struct cache_object *object);

// The weak comparison (RFC 9110 section 8.8.3.2): what stands in quotes is the same.
static inline bool cache_etag_is_same(struct slice a, struct slice b)
{
	return slice_equal(slice_after(a, slice_starts_with(a, SLICE("W/")) ? 2 : 0),
			   slice_after(b, slice_starts_with(b, SLICE("W/")) ? 2 : 0));
}

static inline int64_t cache_object_age_s(const struct cache_object *object, int64_t now_s)
{
	int64_t since_s = now_s > object->times.received_s ? now_s - object->times.received_s : 0;
	return object->times.initial_age_s + since_s;
}

// How long it has been stale; negative: it is fresh for so long.
static inline int64_t cache_object_staleness_s(const struct cache_object *object, int64_t now_s)
{
	return cache_object_age_s(object, now_s) - object->times.lifetime_s;
}

static inline bool cache_object_is_fresh(const struct cache_object *object, int64_t now_s)
{
	return !object->must_validate && cache_object_staleness_s(object, now_s) < 0 &&
	       !atomic_load_explicit(&object->is_outdated, memory_order_relaxed);
}

// RFC 5861 section 3.
static inline bool cache_object_serves_meanwhile(const struct cache_object *object, int64_t now_s)
{
	return !object->must_validate && object->times.stale_while_s > 0 &&
	       cache_object_staleness_s(object, now_s) < object->times.stale_while_s;
}

// RFC 5861 section 4.
static inline bool cache_object_serves_errors(const struct cache_object *object, int64_t now_s)
{
	return object->times.stale_error_s > 0 && cache_object_staleness_s(object, now_s) < object->times.stale_error_s;
}

#endif
