// Whether a user's password is right: off the loop, not too many at once, and not as fast as somebody guesses. For the
// files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_VERIFY_H
#define USHER_HANDLERS_ACCESS_VERIFY_H

#include "exchange/exchange.h"
#include "handlers/access_logins.h"

enum access_verified {
	ACCESS_RIGHT,
	ACCESS_WRONG,  // the user, or the password: nobody is told which
	ACCESS_WAITS,  // too much failed of late: the exchange's retry_after_ns is set
	ACCESS_BUSY,   // too many are being verified
	ACCESS_ABSENT, // who knows the users cannot be asked
	ACCESS_ENDED,  // the visitor has gone
};

// What is asked of who has given his password.
enum access_second {
	ACCESS_SECOND_NONE,    // nothing more
	ACCESS_SECOND_ASKED,   // a code
	ACCESS_SECOND_MISSING, // a code, and he has no second factor: he does not get in
};

struct access_who {
	const struct login *login;
	const struct user *user; // in the snapshot's memory, or the exchange's
	enum access_second second;
};

// Verifies for one of the logins: the first whose file has the user; where none has, those with users elsewhere are
// asked in turn, until one says that it is right. Both slices have a NUL behind them. Suspends. What is wrong is
// logged, for the operator and for programs that read logs. *ret_who is written only for ACCESS_RIGHT.
enum access_verified access_verify(struct exchange *exchange, const struct login *const *logins, size_t count,
				   struct slice user, struct slice password, struct access_who *ret_who);

// The same for the code of a user's second factor, or a recovery code. Suspends.
enum access_verified access_verify_second(struct exchange *exchange, const struct login *login, const struct user *user,
					  struct slice code);

#endif
