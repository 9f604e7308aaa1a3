// Dictionaries of structured fields (RFC 8941 section 3.2), as far as targeted cache control needs
// them: booleans and integers are told, all other values are passed over.
#ifndef USHER_CACHE_STRUCTURED_H
#define USHER_CACHE_STRUCTURED_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum structured_kind {
	STRUCTURED_BOOLEAN, // number is 0 or 1
	STRUCTURED_INTEGER, // of at most 15 digits
	STRUCTURED_OTHER,   // a decimal, string, token, byte sequence or inner list
};

struct structured_member {
	struct slice key; // lent
	enum structured_kind kind;
	int64_t number;
};

// Whether the whole text is a dictionary, the empty one included.
bool structured_is_dictionary(struct slice text);

// Takes the next member off the front of a dictionary; its parameters are passed over. False at the
// end. Of members with the same key, the last one counts (section 3.2).
bool structured_next(struct slice *rest, struct structured_member *ret_member);

#endif
