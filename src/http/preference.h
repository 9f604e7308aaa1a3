// What clients say that they would rather have: members of Accept, Accept-Language and their like (RFC 9110
// section 12.5).
#ifndef USHER_HTTP_PREFERENCE_H
#define USHER_HTTP_PREFERENCE_H

#include "base/slice.h"

#include <stdbool.h>

enum { PREFERENCE_WHOLE = 1000 };

// Of a member as slice_next_member gives it: the value, and its weight in thousandths (RFC 9110 section 12.4.2),
// PREFERENCE_WHOLE where none is written. False when the weight is malformed.
bool preference_read(struct slice member, struct slice *ret_value, unsigned *ret_quality);

#endif
