// The key `logins`: who may log in, and with what. For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_LOGINS_H
#define USHER_HANDLERS_ACCESS_LOGINS_H

#include "access/users.h"
#include "config/load.h"
#include "exchange/snapshot.h"

#include <stdint.h>

struct login {
	struct config_place place;
	struct config_text name;
	struct config_text users_path, groups_path;
	struct config_text realm;
	bool old_hashes;
	int64_t remember_ns;
	struct users users; // of these files
};

// The login with that name, in the snapshot's memory. NULL after config_error.
const struct login *access_login_find(struct config_load *load, struct snapshot *snapshot,
				      const struct config_text *name);

#endif
