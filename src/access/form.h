// Forms as browsers send them: application/x-www-form-urlencoded (the URL Standard, section 5.1).
#ifndef USHER_ACCESS_FORM_H
#define USHER_ACCESS_FORM_H

#include "base/slice.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

// The first value of a field, decoded into `room`, a NUL behind it. False when it is not there, has a NUL in it, or
// does not fit.
bool form_find(struct slice form, struct slice name, char *room, size_t size, struct slice *ret_value);

// Whether a field of that name is there, with whatever value.
bool form_has(struct slice form, struct slice name);

// Adds a field, behind "&" unless it is the first; the value is encoded.
void form_add(struct text *form, const char *name, struct slice value);

// A value as forms encode it (and as RFC 6749 section 2.3.1 wants credentials).
void form_encode(struct text *to, struct slice value);

#endif
