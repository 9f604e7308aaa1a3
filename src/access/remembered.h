// Logins that were right a short while ago, so that a password is not verified with each request. Of a password only a
// keyed digest is kept, whose key is this process's.
#ifndef USHER_ACCESS_REMEMBERED_H
#define USHER_ACCESS_REMEMBERED_H

#include "base/arena.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REMEMBERED_SAID_MAX = 10752 };

// What a right login is known by: the table of users (users.digest), the user and the password.
struct remembered_login {
	uint64_t users;
	struct slice user, password;
};

// From any thread; times are of one clock, in nanoseconds.
bool remembered_has(const struct remembered_login *login, int64_t now_ns);
void remembered_put(const struct remembered_login *login, int64_t until_ns);

// The same with what was said of the user: up to REMEMBERED_SAID_MAX bytes, which are copied; a login of which more was
// said is not remembered. *ret_said is in the arena; false also without memory for it.
bool remembered_has_said(const struct remembered_login *login, int64_t now_ns, struct arena *arena,
			 struct slice *ret_said);
void remembered_put_said(const struct remembered_login *login, int64_t until_ns, struct slice said);

#endif
