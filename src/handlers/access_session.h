// The session of a visitor who logged in by a page: its cookie. For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_SESSION_H
#define USHER_HANDLERS_ACCESS_SESSION_H

#include "access/session.h"
#include "exchange/exchange.h"
#include "handlers/access_config.h"
#include "handlers/access_cookies.h"

#include <stdbool.h>

// Cookies; access_cookies.h has more of them.
#define ACCESS_SESSION_NAME "usher"
#define ACCESS_PENDING_NAME "usher-second"

struct access_session {
	const struct login *login;
	const struct user *user; // of the login, or what the session says of him, in the exchange's memory
	struct user elsewhere;	 // the latter
	struct session session;
};

// The one that the request's cookie tells, as far as it holds: its times, the user, his password.
bool access_session_find(struct exchange *exchange, const struct access_config *config,
			 struct access_session *ret_session);

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

#endif
