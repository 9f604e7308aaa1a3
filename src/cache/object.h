// A stored response: one block of memory that never changes, shared by whoever holds a reference.
#ifndef USHER_CACHE_OBJECT_H
#define USHER_CACHE_OBJECT_H

#include "base/list.h"
#include "cache/directives.h"
#include "http/fields.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache_object {
	_Atomic uint32_t references;
	_Atomic uint32_t hits; // of late: to 3, for the store's eviction
	uint32_t status;
	uint32_t vary_count; // of the fields, behind those of the response: what the request had of those that Vary
			     // names
	uint64_t hash;	     // of the key
	struct slice key;
	uint64_t variant;     // of the key, by the configuration: another route's answer is another answer
	struct fields fields; // of the response, and behind them of the request
	struct slice body;
	size_t size_bytes;	   // all of it
	int64_t received_s;	   // on the wall clock
	int64_t initial_age_s;	   // then
	int64_t lifetime_s;	   // of freshness
	int64_t stale_error_s;	   // how long it may be used after that, where the server has no answer
	bool must_validate;	   // before each use: no-cache
	struct cache_object *next; // of the store's bucket
	struct list_link link;	   // in one of the store's queues
	bool is_main;		   // which of them
};

// What an object is made of; all is copied.
struct cache_object_parts {
	struct slice key;
	uint64_t hash, variant;
	unsigned status;
	const struct fields *response; // fields that are not to be stored are left out here
	const struct fields *request;
	const struct cache_directives *says; // whose no-cache and private fields are left out, too
	struct slice body;
	int64_t received_s, initial_age_s, lifetime_s, stale_error_s;
};

// With one reference. NULL when memory is out.
struct cache_object *cache_object_new(const struct cache_object_parts *parts);
void cache_object_ref(struct cache_object *object);
void cache_object_unref(struct cache_object *object); // NULL is allowed

// The same with what a 304 says anew (RFC 9111 section 3.2): its fields in the place of those of the
// same name, but for those that describe the content. The other times are of the 304.
struct cache_object *cache_object_refreshed(const struct cache_object *object, const struct fields *response,
					    int64_t received_s, int64_t initial_age_s, int64_t lifetime_s,
					    int64_t stale_error_s);

// Whether it answers a request with these fields, as far as its Vary tells (RFC 9111 section 4.1).
bool cache_object_matches(const struct cache_object *object, const struct fields *request);

// The response's own fields.
static inline struct fields cache_object_response(const struct cache_object *object)
{
	struct fields fields = object->fields;
	fields.count -= object->vary_count;
	return fields;
}

static inline int64_t cache_object_age_s(const struct cache_object *object, int64_t now_s)
{
	int64_t since_s = now_s > object->received_s ? now_s - object->received_s : 0;
	return object->initial_age_s + since_s;
}

static inline bool cache_object_is_fresh(const struct cache_object *object, int64_t now_s)
{
	return !object->must_validate && cache_object_age_s(object, now_s) < object->lifetime_s;
}

// RFC 5861 section 4.
static inline bool cache_object_serves_errors(const struct cache_object *object, int64_t now_s)
{
	return cache_object_age_s(object, now_s) - object->lifetime_s < object->stale_error_s;
}

#endif
