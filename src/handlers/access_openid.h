// Logging in through a provider of OpenID Connect: the visitor is sent there, comes back with a code, and gets a
// session (Core 1.0 section 3.1, with PKCE). For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_OPENID_H
#define USHER_HANDLERS_ACCESS_OPENID_H

#include "exchange/exchange.h"
#include "handlers/access_config.h"

#include <stdbool.h>

// Sends the visitor to the provider of the login, to come back to what he asks for now. Suspends.
void access_openid_begin(struct exchange *exchange, const struct login *login);

// The address of a link by which he does so when he chooses that login: a path of this host. .data is NULL when memory
// is out.
struct slice access_openid_link(struct exchange *exchange, const struct login *login);

// Whether the request is for where such links lead, and providers send visitors back to.
bool access_openid_is_callback(const struct exchange *exchange, const struct access_config *config);

// Answers it: by sending the visitor to the provider whose link he chose; or, when he comes back, with a session, and
// the way to what was asked for first; or with an error. Suspends.
void access_openid_take(struct exchange *exchange, const struct access_config *config);

// Where who logs out is sent on to, to log out at the provider (RP-Initiated Logout 1.0 section 2); .data is NULL when
// the login does not want that, the provider has no such place, or memory is out.
struct slice access_openid_logout_url(struct exchange *exchange, const struct login *login);

// The scheme, host and port of that place; .data is NULL as above.
struct slice access_openid_logout_origin(struct exchange *exchange, const struct login *login);

#endif
