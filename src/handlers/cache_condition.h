// Conditional requests that a stored answer is an answer to (RFC 9110 section 13). For the files of the
// handler `cache`.
#ifndef USHER_HANDLERS_CACHE_CONDITION_H
#define USHER_HANDLERS_CACHE_CONDITION_H

#include "cache/object.h"
#include "http/fields.h"

#include <stdbool.h>
#include <stdint.h>

// Whether the visitor has what is stored already: by If-None-Match (section 13.1.2, with the weak
// comparison), or, only where that is absent, by If-Modified-Since (section 13.1.3; without Last-Modified the Date
// counts, RFC 9111 section 4.3.2).
bool cache_is_not_modified(const struct fields *request, const struct cache_validators *stored, int64_t now_s);

// Whether a 304 has the field, too (section 15.4.5).
bool cache_goes_with_304(const struct field *field);

#endif
