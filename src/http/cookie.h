// Cookies as clients send them (RFC 6265 section 5.4).
#ifndef USHER_HTTP_COOKIE_H
#define USHER_HTTP_COOKIE_H

#include "base/slice.h"
#include "http/fields.h"

#include <stdbool.h>

// Takes the next "name=value" off the front of a Cookie field's value; pieces without "=" are
// passed over. Blanks around both are left out, quotes are part of the value. False at the end.
bool cookie_next(struct slice *rest, struct slice *ret_name, struct slice *ret_value);

// The value of the first cookie of that name, compared with regard to case; .data is NULL when
// there is none. Points into the fields.
struct slice cookie_find(const struct fields *fields, struct slice name);

// Whether the text can be a cookie's name: a token (RFC 9110 section 5.6.2) of 1 to 128 bytes.
bool cookie_is_name(struct slice text);

#endif
