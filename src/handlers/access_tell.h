// What servers learn of a visitor whom a rule lets in, and as whom they see him log in. For the files of the handler
// `access`.
#ifndef USHER_HANDLERS_ACCESS_TELL_H
#define USHER_HANDLERS_ACCESS_TELL_H

#include "config/load.h"
#include "exchange/exchange.h"
#include "exchange/template.h"

#include <stdbool.h>
#include <stdint.h>

struct jwt_signer;
struct snapshot;

// The server is logged in to by Basic.
struct server_login {
	struct config_place place;
	struct config_text user, password;
	// Made of these.
	struct template user_template;
	bool is_own; // the visitor's own password
};

// The server gets a token that usher signs.
struct server_token {
	struct config_place place;
	struct config_text key_path, secret, key_id, field, issuer, audience;
	int64_t lifetime_ns;
	// Made of these.
	struct jwt_signer *signer;
	uint64_t digest; // of the signer, and how long its tokens hold
};

struct access_telling {
	int user_field, groups_field, email_field; // of identity_user_fields and its like
	struct server_login *login;		   // NULL: none
	struct server_token *token;		   // NULL: none
};

extern const struct config_section server_login_section, server_token_section;

// False after config_error. Several routes may share the value.
bool access_telling_load(struct config_load *load, struct snapshot *snapshot, struct access_telling *telling);

// Writes the request's fields, in the place of what the client sent under their names. `told` is as struct user has it;
// `password` is what the visitor
// logged in with by his user name; empty: by other means, or not at all. False when memory is out.
bool access_tell(struct exchange *exchange, const struct access_telling *telling, struct slice told,
		 struct slice password);

#endif
