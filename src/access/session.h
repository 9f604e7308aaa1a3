// Sessions of those who logged in by a page: all of it in a cookie, sealed, so that nothing is kept of it but what was
// ended early (access/state.h).
#ifndef USHER_ACCESS_SESSION_H
#define USHER_ACCESS_SESSION_H

#include "access/seal.h"
#include "access/users.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { SESSION_PLAIN_MAX = SEAL_PLAIN_MAX, SESSION_TEXT_MAX = SEAL_TEXT_MAX };

struct session {
	uint64_t id;		   // random
	int64_t created_s, seen_s; // of the wall clock; seen_s: about when it was used last
	int64_t ends_s;		   // at the latest
	uint64_t proof;		   // of the user's hash: another password ends it
	struct slice login, user;  // at most 128 bytes each
	// What is kept of a user who stands in no file; as in struct user.
	struct slice groups, email, told, claims;
	struct slice password; // where servers get it; otherwise empty
};

// A cookie's value, in `room`; empty when what is kept of the user is too much for one, or memory is out. `scope` is
// the host or domain that it is for: elsewhere it is none.
struct slice session_write(const struct seal_key *key, const struct session *session, struct slice scope,
			   char room[SESSION_TEXT_MAX]);

// False for what was not written with that key and for that scope. The texts are in `room`.
bool session_read(const struct seal_key *key, struct slice text, struct slice scope, char room[SESSION_TEXT_MAX],
		  struct session *ret_session);

// Ends one, or all of a user's that began before now, for good. Suspends, as state_note does.
void session_end(const struct session *session);
void session_end_all(struct slice login, struct slice user, int64_t now_s);

// From any thread.
bool session_is_ended(const struct session *session);

// No session lasts longer (browsers keep no cookie for more than 400 days: RFC 6265bis section 5.5).
#define SESSION_LIFETIME_MAX_S (INT64_C(400) * 24 * 3600)

#endif
