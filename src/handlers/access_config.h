// The key `access`. For the files of the handler.
#ifndef USHER_HANDLERS_ACCESS_CONFIG_H
#define USHER_HANDLERS_ACCESS_CONFIG_H

#include "access/users.h"
#include "config/load.h"
#include "exchange/certificate_match.h"
#include "exchange/exchange.h"
#include "handlers/access_forward.h"
#include "handlers/access_lists.h"
#include "handlers/access_logins.h"
#include "handlers/access_tell.h"
#include "handlers/access_times.h"

#include <stdbool.h>

enum { REQUIRE_EITHER, REQUIRE_BOTH };

struct access_config {
	struct config_place place;
	struct config_texts allow_texts, deny_texts, login_texts, users, groups;
	struct config_pairs claims;
	struct access_times *times;			    // NULL: at all times
	struct certificate_match_config *certificate_wants; // NULL: no certificate is enough
	int require;
	bool pass_password;
	struct access_telling telling;
	struct config_text logout;	// a path; empty: none
	struct access_forward *forward; // NULL: there is none
	// Made of these.
	struct access_networks allow, deny;
	const struct certificate_match *certificate;
	struct slice certificate_words;
	const struct login **logins;
	size_t login_count;
	bool has_basic, has_tokens, has_keys, has_openid, has_sessions; // what one of the logins takes
	const struct login *page;					// the first one that has a page; NULL: none
	const struct login *provider;					// the first one that has a provider; NULL: none
	bool has_choice; // browsers get a page, since there is one, or several providers
	struct slice challenge;
};

extern const struct config_section access_section;

// As in struct handler_type: several routes may share the value.
bool access_config_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
			const void **ret_config);

// Whether the rule means a user who has logged in.
bool access_means(const struct access_config *config, const struct user *user);

#endif
