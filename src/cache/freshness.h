// How old a stored response is, and how long it is fresh (RFC 9111 section 4.2).
//
// Times are seconds of the wall clock since 1970; nothing here reads a clock.
#ifndef USHER_CACHE_FRESHNESS_H
#define USHER_CACHE_FRESHNESS_H

#include "cache/directives.h"
#include "http/fields.h"

#include <stdbool.h>
#include <stdint.h>

// The age that a response had when it was received (section 4.2.3, corrected_initial_age): of what its
// Date tells, and of its Age and the time that the request took, the larger one. Its age now is this
// and the time since received_s.
int64_t cache_initial_age_s(const struct fields *response, int64_t requested_s, int64_t received_s);

// What the freshness lifetime was taken from (section 4.2.1), in this order.
enum cache_lifetime {
	CACHE_BY_S_MAXAGE,
	CACHE_BY_MAX_AGE,
	CACHE_BY_EXPIRES,
	CACHE_BY_HEURISTIC, // section 4.2.2
	CACHE_BY_NOTHING,   // nothing tells: it is stale from the first moment
	CACHE_BY_OPERATOR,  // his word, in the place of all these
};

// For responses that do not tell.
struct cache_heuristic {
	uint32_t percent; // of the time since it was last modified; 0: no heuristic
	int64_t most_s;
};

// How long a response with this status is fresh in a shared cache, in seconds; *ret_by says why.
int64_t cache_lifetime_s(unsigned status, const struct fields *response, const struct cache_directives *directives,
			 int64_t received_s, const struct cache_heuristic *heuristic, enum cache_lifetime *ret_by);

// How long after that it may still be used when the server has no answer: as it says (RFC 5861 section 4),
// or the operator does (operator_s), the longer one; 0 where it forbids that it is ever used stale (RFC 9111
// section 4.2.4).
int64_t cache_stale_error_s(const struct cache_directives *directives, int64_t operator_s);

// How long it may still be used while it is fetched anew (RFC 5861 section 3); otherwise the same.
int64_t cache_stale_while_s(const struct cache_directives *directives, int64_t operator_s);

// Whether responses with this status may be taken for fresh although they do not tell (RFC 9110 section
// 15.1).
bool cache_status_is_heuristic(unsigned status);

#endif
