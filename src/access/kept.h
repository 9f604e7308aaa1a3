// What logins must not forget, in memory: sessions that were ended, one-time codes and recovery codes that were used.
// Each is a value that only grows, kept for a subject; what is at or below it is covered: it opens nothing any more.
//
// One table for all threads, of bounded size. What it has no room for is not forgotten but covered by a floor: then
// more is refused than had to be, never less. access/state.h keeps the same on a disk and shares it.
#ifndef USHER_ACCESS_KEPT_H
#define USHER_ACCESS_KEPT_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The numbers stand in files.
enum kept_kind {
	KEPT_SESSION,  // a session, ended; value: when it was created
	KEPT_USER,     // all sessions of a user that were created then or before, ended
	KEPT_STEP,     // the last step of time whose code a user has used (access/totp.h)
	KEPT_RECOVERY, // a recovery code of a user, used; value: when it was made
};
enum { KEPT_KINDS = KEPT_RECOVERY + 1 };

enum { KEPT_SUBJECT_MAX = 320 };

// For what has no end.
#define KEPT_FOREVER_S INT64_C(0x3fffffffffff)

// Values are above 0; they and times are seconds of the wall clock, but for steps.
struct kept {
	enum kept_kind kind;
	int64_t value;
	int64_t until_s; // from then on nobody asks for it
	// Empty: a floor, for all subjects of the kind.
	unsigned subject_length;
	char subject[KEPT_SUBJECT_MAX];
};

struct slice kept_subject(const struct kept *kept);

// Sets the subject: a session's id, or a user of a login, with more behind it where that is not empty (at most 40
// bytes). Very long names are cut, and told apart by a hash.
void kept_set_session(struct kept *kept, uint64_t id);
void kept_set_user(struct kept *kept, struct slice login, struct slice user, struct slice more);

// Whether the value is at or below the one that is kept for the subject, or a floor. From any thread; without a lock
// where nothing is kept.
bool kept_covers(const struct kept *kept);

// Keeps it. False when it was covered already.
bool kept_put(const struct kept *kept);

// Until kept_trust, everything up to now is covered: what should be known is not.
void kept_doubt(int64_t now_s);
void kept_trust(void);

// What covers everything of the kind up to now.
struct kept kept_floor(enum kept_kind kind, int64_t now_s);

// Drops what nobody asks for any more.
void kept_drop_old(int64_t now_s);

size_t kept_count(void);

// Forgets all; for tests.
void kept_forget_all(void);

#endif
