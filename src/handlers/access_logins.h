// The key `logins`: who may log in, and with what. For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_LOGINS_H
#define USHER_HANDLERS_ACCESS_LOGINS_H

#include "access/jwt.h"
#include "access/session.h"
#include "access/users.h"
#include "config/load.h"
#include "exchange/snapshot.h"
#include "handlers/access_pages.h"

#include <stdint.h>

struct login_session {
	struct config_text secret, domain;
	int64_t idle_ns, lifetime_ns;
	bool has_password;	// it is kept in the session
	struct session_key key; // of the secret
};

// JSON Web Tokens that are taken.
struct login_tokens {
	struct config_place place;
	struct config_text keys_path, issuer, audience, user, groups;
	int64_t leeway_ns;
	struct jwt_keys *keys; // of the file
	uint64_t digest;       // of it, and the rules
};

// API keys that are taken.
struct login_keys {
	struct config_place place;
	struct config_text path, header;
	struct users users; // of the file
};

struct login {
	struct config_place place;
	struct config_text name;
	struct config_text users_path, groups_path, second_path;
	struct config_text realm;
	bool old_hashes;
	int64_t remember_ns;
	bool basic, page;
	bool has_others; // users that stand in no file: what is known of them comes with their login
	struct login_session session;
	struct access_pages pages;
	struct login_tokens *tokens; // NULL: none are taken
	struct login_keys *keys;     // the same
	struct users users;	     // of these files
};

// Whether anybody may log in by a page: then there is something to be kept.
bool access_logins_have_pages(const struct snapshot *snapshot);

// The login with that name, in the snapshot's memory. NULL after config_error.
const struct login *access_login_find(struct config_load *load, struct snapshot *snapshot,
				      const struct config_text *name);

#endif
