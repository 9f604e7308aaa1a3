// The key `openid` of a login: a provider of OpenID Connect. For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_OPENID_CONFIG_H
#define USHER_HANDLERS_ACCESS_OPENID_CONFIG_H

#include "config/load.h"
#include "handlers/access_claims.h"
#include "handlers/access_issuer.h"

#include <stdbool.h>

struct login_openid {
	struct config_place place;
	struct access_issuer issuer;
	struct config_text client_id, client_secret, callback, label;
	struct config_texts scopes;
	struct access_claims claims;
	bool ends_session; // the provider's, with usher's
	// Made of these.
	struct slice scope; // as it is asked for
	struct provider *provider;
};

extern const struct config_section access_openid_section;

// False after config_error.
bool access_openid_load(struct config_load *load, struct login_openid *openid);

#endif
