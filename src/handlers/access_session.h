// The session of a visitor who logged in by a page: its cookie. For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_SESSION_H
#define USHER_HANDLERS_ACCESS_SESSION_H

#include "access/session.h"
#include "exchange/exchange.h"
#include "handlers/access_config.h"

#include <stdbool.h>

struct access_session {
	const struct login *login;
	const struct user *user; // of the login, or what the session says of him, in the exchange's memory
	struct user elsewhere;	 // the latter
	struct session session;
};

// The one that the request's cookie tells, as far as it holds: its times, the user, his password.
bool access_session_find(struct exchange *exchange, const struct access_config *config,
			 struct access_session *ret_session);

// Takes usher's cookies out of the request.
void access_session_hide(struct exchange *exchange);

// Adds the cookie of a new session to the response; the password is kept in it where the login says so. False when
// memory is out, or the session would be too large.
bool access_session_begin(struct exchange *exchange, const struct login *login, const struct user *user,
			  struct slice password);

// The same for who has given his password, and has to give a second factor within five minutes. It is no session.
bool access_pending_begin(struct exchange *exchange, const struct login *login, const struct user *user,
			  struct slice password);
bool access_pending_find(struct exchange *exchange, const struct access_config *config,
			 struct access_session *ret_session);

// Adds the cookie anew when it has not been for a while.
void access_session_renew(struct exchange *exchange, const struct access_session *session);

// Ends it, or all of the user's, and takes the cookie back. Suspends.
void access_session_end(struct exchange *exchange, const struct access_session *session, bool everywhere);

// Adds a cookie of usher's own to the response: "__Host-usher-form" where the visitor has TLS, else without the prefix.
// `attributes` begin with "; ". False when memory is out.
bool access_cookie_add(struct exchange *exchange, const char *name, struct slice value, const char *attributes);

// The value of such a cookie in the request; .data is NULL when there is none.
struct slice access_cookie_find(struct exchange *exchange, const char *name);

#endif
