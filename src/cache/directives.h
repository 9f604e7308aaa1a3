// What Cache-Control says, of a request or a response (RFC 9111 section 5.2, RFC 5861, RFC 8246); and
// what a response says to caches like usher in particular (CDN-Cache-Control, RFC 9213; or, without that, its
// forerunner Surrogate-Control), which then stands in the place of Cache-Control and Expires.
//
// Unknown directives are passed over; of those that contradict each other the most restrictive counts
// (section 4.2.1).
#ifndef USHER_CACHE_DIRECTIVES_H
#define USHER_CACHE_DIRECTIVES_H

#include "http/fields.h"

#include <stdbool.h>
#include <stdint.h>

enum cache_directive {
	CACHE_NO_STORE = 1 << 0,
	CACHE_NO_CACHE = 1 << 1, // without field names
	CACHE_NO_TRANSFORM = 1 << 2,
	CACHE_MUST_REVALIDATE = 1 << 3,
	CACHE_PROXY_REVALIDATE = 1 << 4,
	CACHE_MUST_UNDERSTAND = 1 << 5,
	CACHE_PRIVATE = 1 << 6, // without field names
	CACHE_PUBLIC = 1 << 7,
	CACHE_IMMUTABLE = 1 << 8,
	CACHE_ONLY_IF_CACHED = 1 << 9,
	CACHE_MAX_STALE = 1 << 10, // with or without a number
};

// More seconds are as many (section 1.2.2); and none.
#define CACHE_SECONDS_MAX INT64_C(2147483648)
#define CACHE_ABSENT INT64_C(-1)

struct cache_directives {
	uint32_t flags; // bits of enum cache_directive
	// In seconds, to CACHE_SECONDS_MAX; CACHE_ABSENT. One that is no number counts as 0.
	int64_t max_age, s_maxage;
	int64_t stale_while_revalidate, stale_if_error;
	int64_t min_fresh, max_stale; // of requests; max_stale is CACHE_SECONDS_MAX without a number
	// The fields named by no-cache="..." and private="..."; .data NULL: none. Lent.
	struct slice no_cache_fields, private_fields;
	bool targeted; // CDN-Cache-Control or Surrogate-Control says it: Expires does not count
};

static inline bool cache_says(const struct cache_directives *directives, enum cache_directive directive)
{
	return (directives->flags & directive) != 0;
}

// Of a request. Where there is no Cache-Control, Pragma: no-cache counts as no-cache (section 5.4).
void cache_directives_of_request(const struct fields *fields, struct cache_directives *ret_directives);

// Of a response.
void cache_directives_of_response(const struct fields *fields, struct cache_directives *ret_directives);

// Whether a comma-separated list of names, as no_cache_fields has it, holds the name.
bool cache_names_field(struct slice names, struct slice name);

#endif
