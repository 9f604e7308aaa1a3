// Where users come from: a file, a directory (access/directory.h), PAM (access/pam.h). All are asked in the same way,
// whether a password is right, and say what they know of the user.
#ifndef USHER_ACCESS_SOURCE_H
#define USHER_ACCESS_SOURCE_H

#include "access/users.h"
#include "base/slice.h"
#include "fiber/places.h"

#include <stdbool.h>
#include <stdint.h>

enum source_verdict {
	SOURCE_RIGHT,
	SOURCE_WRONG,  // the user, or the password
	SOURCE_ABSENT, // it cannot be asked; the error log says why
};

// A session holds these, in several cookies where one has no room for them (access/session.h).
enum { SOURCE_GROUPS_MAX = 10240, SOURCE_EMAIL_MAX = 254 };

// A NUL is behind each.
struct source_question {
	struct slice user, password;
};

// What it says of the user: a NUL is behind each text. A file says the name alone.
struct source_answer {
	bool has_one_name;	       // the source spells it, and by no other name is he known to it
	char name[USERS_NAME_MAX + 1]; // as the source spells it
	char groups[SOURCE_GROUPS_MAX + 1], email[SOURCE_EMAIL_MAX + 1];
};

struct source {
	// Blocks, and may take seconds: called off the loop, from several threads at once. The answer is whole when it
	// is SOURCE_RIGHT.
	enum source_verdict (*verify)(void *self, const struct source_question *question,
				      struct source_answer *ret_answer);
	void *self;
	bool is_remote;	       // it waits for others, over a network
	uint64_t digest;       // of what its answers depend on, as far as that is known here
	struct places *places; // of those who may ask at once
};

// As in struct source; self is the struct users of a file. A user who is not there takes as long as one who is.
enum source_verdict source_verify_file(void *self, const struct source_question *question,
				       struct source_answer *ret_answer);

// A group's name becomes one of the answer's groups. False where it does not fit; a name that is none (control
// characters, a comma, too long) is passed over.
bool source_add_group(struct source_answer *answer, struct slice group);

#endif
