// Regular expressions of the configuration, compiled once (PCRE2, with JIT) and matched
// within bounds: no path can make a worker think for long.
#ifndef USHER_EXCHANGE_REGEX_H
#define USHER_EXCHANGE_REGEX_H

#include "base/slice.h"
#include "config/key.h"

#include <stdbool.h>
#include <stddef.h>

// $0 is what matched, $1 to $9 its groups.
enum { REGEX_CAPTURES_MAX = 10 };

// Whether something is as a rule wants it. Who learns that it cannot be told must refuse,
// not go on as if it were not so.
enum match_result { MATCH_HOLDS, MATCH_FAILS, MATCH_GAVE_UP };

struct config_load;

struct regex {
	void *code;	   // PCRE2's
	unsigned captures; // groups that the pattern has, at most 9
};

// Compiles the pattern. False when it does not compile, and then message[0..size) says why,
// and *ret_offset where.
bool regex_init(struct regex *regex, struct slice pattern, char *message, size_t size, size_t *ret_offset);
void regex_fini(struct regex *regex);

// Compiles a pattern that stands in `text` of a configuration, and lives as long as it. NULL
// after config_error.
const struct regex *regex_load(struct config_load *load, const struct config_text *text, struct slice pattern);

// Whether the pattern matches somewhere in the subject. With ret_captures, the slices of the
// subject that $0 to $9 stand for; empty for groups that took no part. MATCH_GAVE_UP beyond
// the bounds of work, or when memory is out. Does not suspend; does not allocate but once for
// each thread.
enum match_result regex_match(const struct regex *regex, struct slice subject,
			      struct slice ret_captures[REGEX_CAPTURES_MAX]);

#endif
