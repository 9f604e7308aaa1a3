// What an OpenID Connect provider is asked while a visitor logs in: tokens for a code, and more of who he is. In a
// thread of its own, since the provider may be slow. For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_OPENID_EXCHANGE_H
#define USHER_HANDLERS_ACCESS_OPENID_EXCHANGE_H

#include "access/openid.h"
#include "base/fault.h"
#include "exchange/exchange.h"
#include "handlers/access_openid_config.h"

#include <stdbool.h>

struct openid_asking {
	const struct login_openid *openid;
	struct slice code, redirect_uri, verifier; // of this login
	// Made of these, and filled in.
	const char *token_url, *userinfo_url; // NULL: there is none
	bool takes_basic;
	struct openid_tokens tokens; // to be given back
	json_t *userinfo;	     // the same; NULL: not asked for
	enum fault_kind fault;
	char why[320]; // for the operator
};

// Gets the tokens for the code. False: fault and why say what went wrong. Suspends.
bool openid_ask_tokens(struct exchange *exchange, struct openid_asking *asking);

// Gets what the provider says of the user whom the tokens are about. The same.
bool openid_ask_userinfo(struct openid_asking *asking);

void openid_asking_end(struct openid_asking *asking);

#endif
