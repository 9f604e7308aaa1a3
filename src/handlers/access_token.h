// Bearer tokens (RFC 6750): JSON Web Tokens by the keys of a login. For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_TOKEN_H
#define USHER_HANDLERS_ACCESS_TOKEN_H

#include "exchange/exchange.h"
#include "handlers/access_config.h"

#include <stdbool.h>

// Whether the value of Authorization is a bearer token.
bool access_token_is_given(struct slice value);

// Whom the token names, in the exchange's memory; NULL, with words of what is wrong (a literal), for one that does not
// hold for any of the logins: access_issuer_away when one may yet hold. Suspends where keys come by URL.
const struct user *access_token_take(struct exchange *exchange, const struct access_config *config, struct slice value,
				     const char **ret_why);

#endif
