// Second factors of a login's users, whoever verifies their passwords: a file of "user:SECRET" lines, behind which
// recovery codes may stand (access/recovery.h), read into a frozen table.
#ifndef USHER_ACCESS_SECOND_H
#define USHER_ACCESS_SECOND_H

#include "access/users.h"
#include "base/arena.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct second {
	struct slice user;
	struct slice secret;   // as access/totp.h reads it
	struct slice recovery; // codes in its place; empty: none
};

struct seconds {
	struct second *items; // by user, without regard to case; then with it
	size_t count;
};

// Copies what it reads to the arena. False when a line is wrong, or memory is out (line 0).
bool seconds_read(struct seconds *seconds, struct slice content, struct arena *arena, struct users_fault *ret_fault);

// NULL: he has none. In any case of letters where that is said, unless one is spelt as the user is.
const struct second *seconds_find(const struct seconds *seconds, struct slice user, bool in_any_case);

#endif
