// Forms as browsers send them: application/x-www-form-urlencoded (the URL Standard, section 5.1).
#ifndef USHER_ACCESS_FORM_H
#define USHER_ACCESS_FORM_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

// The first value of a field, decoded into `room`, a NUL behind it. False when it is not there, has a NUL in it, or
// does not fit.
bool form_find(struct slice form, struct slice name, char *room, size_t size, struct slice *ret_value);

#endif
