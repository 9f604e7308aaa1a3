// Issuers of tokens, by URL, as logins configure them. For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_ISSUER_H
#define USHER_HANDLERS_ACCESS_ISSUER_H

#include "access/jwt.h"
#include "access/provider.h"
#include "config/load.h"

#include <stdbool.h>

// Where it is fetched.
struct access_issuer {
	struct config_text url;
	bool is_openid;
	struct config_file authorities; // .content is .data NULL: the system's
	int64_t refresh_ns;
};

// The provider, for as long as the configuration. NULL after config_error.
struct provider *access_issuer_get(struct config_load *load, const struct access_issuer *issuer);

// Why a token cannot be verified while nothing is known of its issuer.
extern const char access_issuer_away[];

// Whether a token is to be verified once more: what was wrong with it is that, or jwt_no_key, and what is known was
// fetched anew, as often as provider_renew does so, or is no longer what it was `before` that. Suspends.
bool access_issuer_has_news(struct provider *provider, const struct provider_facts *before, const char *why);

// What is known of it, fetched first where nothing is yet; NULL when it does not answer. Good until the fiber suspends.
// Suspends.
const struct provider_facts *access_issuer_facts(struct provider *provider);

#endif
