// Sessions of those who logged in by a page: all of it in a cookie, sealed, so that nothing is kept of it but what was
// ended early (access/state.h).
#ifndef USHER_ACCESS_SESSION_H
#define USHER_ACCESS_SESSION_H

#include "access/seal.h"
#include "access/users.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

// Browsers keep cookies of up to 4096 bytes, name and attributes included (RFC 6265 section 6.1). SESSION_TEXT_MAX:
// what one holds; SESSION_MORE_MAX: so many more, at most, hold what one has no room for. All together have less than
// 16 KiB, which many take for a limit.
enum { SESSION_TEXT_MAX = 3600, SESSION_MORE_MAX = 4 };

struct session {
	uint64_t id;		   // random
	int64_t created_s, seen_s; // of the wall clock; seen_s: about when it was used last
	int64_t ends_s;		   // at the latest
	uint64_t proof;		   // of the user's hash: another password ends it
	struct slice login, user;  // at most 128 bytes each
	// What is kept of a user who stands in no file; as in struct user.
	struct slice groups, email, told, claims;
	struct slice password; // where servers get it; otherwise empty
	// In so many more texts are the groups, what is told, and the claims; 0: in the first one.
	unsigned more;
};

// A cookie's value, in the arena; empty when what is kept of the user is too much, or memory is out. `scope` is the
// host or domain that it is for: elsewhere it is none.
struct slice session_write(const struct seal_key *key, const struct session *session, struct slice scope,
			   struct arena *arena);

// What of it the cookie has no room for, as one text, of which each further cookie gets SESSION_TEXT_MAX bytes, and the
// last the rest; empty when there is nothing. .data is NULL when it is too much, or memory is out.
//
// It stays what it is as long as the session lasts, while the first cookie changes as the session is used: so cookies
// that a browser takes from several answers at once go together.
struct slice session_write_more(const struct seal_key *key, const struct session *session, struct slice scope,
				struct arena *arena);

// False for what was not written with that key and for that scope. The texts are in `room`, which is for as many bytes
// as the text has. With ->more, session_read_more has to read the rest.
bool session_read(const struct seal_key *key, struct slice text, struct slice scope, char *room,
		  struct session *ret_session);

// The same of the rest. False also for another session's.
bool session_read_more(const struct seal_key *key, struct slice text, struct slice scope, char *room,
		       struct session *session);

// Ends one, or all of a user's that began before now, for good. Suspends, as state_note does.
void session_end(const struct session *session);
void session_end_all(struct slice login, struct slice user, int64_t now_s);

// From any thread.
bool session_is_ended(const struct session *session);

// No session lasts longer (browsers keep no cookie for more than 400 days: RFC 6265bis section 5.5).
#define SESSION_LIFETIME_MAX_S (INT64_C(400) * 24 * 3600)

#endif
