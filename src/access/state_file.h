// The state store's file: what is kept (access/kept.h), and the secret of sessions, in an SQLite database that several
// processes may have open. For access/state.
//
// Everything here may wait for the disk. Of one thread at a time.
#ifndef USHER_ACCESS_STATE_FILE_H
#define USHER_ACCESS_STATE_FILE_H

#include "access/kept.h"
#include "access/session.h"

#include <stdbool.h>

struct state_file;

enum { STATE_REASON_MAX = 256 };

// Opens "state.db" in the directory, an open descriptor that stays the caller's and open as long as the file is, and
// makes it where it is not there, for its owner alone. One that is damaged is moved aside, with *ret_was_damaged set,
// and a new one made. NULL with words of why in `ret_why`; *ret_may_pass then tells whether it may be gone by itself:
// the disk is full, or somebody holds the file.
struct state_file *state_file_open(int directory, bool *ret_was_damaged, bool *ret_may_pass,
				   char ret_why[STATE_REASON_MAX]);
void state_file_close(struct state_file *file); // NULL is allowed

// Puts what came since the last call into the table of access/kept.h: from this process, from others, and at first all.
// `each`, where it is not NULL, gets each as well. False with words.
typedef void state_file_visitor(void *argument, const struct kept *kept);
bool state_file_learn(struct state_file *file, state_file_visitor *each, void *argument,
		      char ret_why[STATE_REASON_MAX]);

// All that is kept, to `each`.
bool state_file_read_all(struct state_file *file, state_file_visitor *each, void *argument,
			 char ret_why[STATE_REASON_MAX]);

// Writes so many in one transaction: when it returns true, they outlive a crash of the system. ret_new tells of each
// whether it was not covered by what the file has. False with words, and nothing written.
bool state_file_write(struct state_file *file, const struct kept *const *kept, bool *ret_new, unsigned count,
		      char ret_why[STATE_REASON_MAX]);

// The secret of sessions: the file's, which is `secret` when it had none, or is to be `replaced`. False with words.
bool state_file_secret(struct state_file *file, unsigned char secret[SEAL_KEY_BYTES], bool replaced,
		       char ret_why[STATE_REASON_MAX]);

// Deletes what nobody asks for any more.
bool state_file_drop_old(struct state_file *file, int64_t now_s, char ret_why[STATE_REASON_MAX]);

// Whether the last failure was that the file is damaged.
bool state_file_is_damaged(const struct state_file *file);

#endif
