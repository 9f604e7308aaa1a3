// The key `logins`: who may log in, and with what. For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_LOGINS_H
#define USHER_HANDLERS_ACCESS_LOGINS_H

#include "access/jwt.h"
#include "access/second.h"
#include "access/session.h"
#include "access/source.h"
#include "access/users.h"
#include "config/load.h"
#include "exchange/snapshot.h"
#include "handlers/access_claims.h"
#include "handlers/access_directory.h"
#include "handlers/access_issuer.h"
#include "handlers/access_openid_config.h"
#include "handlers/access_pages.h"
#include "handlers/access_pam.h"

#include <stdint.h>

struct login_session {
	struct config_text secret, domain;
	int64_t idle_ns, lifetime_ns;
	bool has_password;   // it is kept in the session
	struct seal_key key; // of the secret
};

// JSON Web Tokens that are taken.
struct login_tokens {
	struct config_place place;
	struct config_text issuer, audience;
	struct access_issuer keys_from; // .url: where the keys are, a file or a URL
	struct access_claims claims;
	int64_t leeway_ns;
	// One of both: of the file, or of whom the keys are fetched from.
	struct jwt_keys *keys;
	struct provider *provider;
	uint64_t digest; // of the rules
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
	bool second_required; // who stands not in that file does not get in
	int64_t remember_ns;
	bool basic, page;
	bool has_others; // users that stand in no file: what is known of them comes with their login
	uint64_t proof;	 // of what decides what is known of them
	struct login_session session;
	struct access_pages pages;
	struct login_tokens *tokens;	   // NULL: none are taken
	struct login_keys *keys;	   // the same
	struct login_openid *openid;	   // the same
	struct login_directory *directory; // NULL: there is none
	struct login_pam *pam;		   // the same
	struct users users;		   // of these files
	struct seconds seconds;		   // the same, of whatever users
	// Who is asked whether a password is right: .verify is NULL where there are no such users.
	struct source file, elsewhere;
};

// Whether browsers log in through it, and have sessions.
static inline bool login_has_sessions(const struct login *login)
{
	return login->page || login->openid;
}

// Has the login keep what a rule wants to look at: of the claim, whether it has the value. False after config_error.
bool access_login_want(struct config_load *load, const struct login *login, const struct config_pair *claim);

// Whether anybody may log in by a page: then there is something to be kept.
bool access_logins_have_pages(const struct snapshot *snapshot);

// The login with that name, in the snapshot's memory. NULL after config_error.
const struct login *access_login_find(struct config_load *load, struct snapshot *snapshot,
				      const struct config_text *name);

#endif
