// Whom the worker runs as, and who may look into what has private keys in memory.
#ifndef USHER_CONTROL_PRIVILEGES_H
#define USHER_CONTROL_PRIVILEGES_H

#include "base/slice.h"

#include <stdbool.h>
#include <sys/types.h>

struct privileges {
	bool drop;     // false: stay who we are
	bool required; // named in the configuration: not to be able to is an error
	uid_t user;
	gid_t group;
};

// What "user" or "user:group" means, names or numbers; with an empty text, for root, the
// user usher, or else nobody, and for anybody else nothing. Reads the system's files. False
// for a user or group that does not exist; *ret_wrong tells which.
bool privileges_find(struct slice text, struct privileges *ret_privileges, struct slice *ret_wrong);

// Becomes that user for good, with no supplementary groups, and gives up every way to more
// rights (no_new_privs). For a process with one thread. 0 or -errno, with nothing or only a
// part done: the process must end then.
int privileges_drop(const struct privileges *privileges);

// From here on nobody but root looks into this process, neither by a core dump nor by /proc
// nor by a debugger. To be done once more after a change of the user. 0 or -errno.
int privileges_hide_memory(void);

// Whether the process may become another user at all.
bool privileges_can_drop(void);

#endif
