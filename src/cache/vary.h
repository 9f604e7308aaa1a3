// Which requests a stored response answers, by the fields that its Vary names (RFC 9111 section 4.1), and with which
// content coding.
#ifndef USHER_CACHE_VARY_H
#define USHER_CACHE_VARY_H

#include "cache/object.h"
#include "http/coding.h"

#include <stdbool.h>

// Whether it answers a request with these fields, as far as its Vary tells (RFC 9111 section 4.1). One with a content
// coding answers also who accepts none, without it, unless it says no-transform (RFC 9110 section 7.7).
bool cache_object_matches(const struct cache_object *object, const struct fields *request);

// Which coding is undone for a request that it answers; CODING_IDENTITY: none.
enum coding cache_object_undoes(const struct cache_object *object, const struct fields *request);

// Whether the other one, without a coding, is of no use beside it: it answers all that the other one does.
bool cache_object_outdoes(const struct cache_object *object, const struct cache_object *other);

// Whether the field is there and has the name. An object remembers also that one was not there: it has no value then.
static inline bool cache_vary_has(const struct field *field, struct slice name)
{
	return field->value.data && slice_equal_nocase(field->name, name);
}

#endif
