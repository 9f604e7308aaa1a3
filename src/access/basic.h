// The Basic authentication scheme (RFC 7617).
#ifndef USHER_ACCESS_BASIC_H
#define USHER_ACCESS_BASIC_H

#include "base/slice.h"

#include <stdbool.h>

enum { BASIC_MAX = 512 };

struct basic {
	struct slice user, password; // in `room`, a NUL behind each
	char room[BASIC_MAX];
};

// Reads the value of Authorization. False for what is no Basic with a name and a password, is longer than BASIC_MAX
// bytes decoded, or has control characters (section 2).
bool basic_read(struct slice value, struct basic *ret_basic);

#endif
