// Recovery codes: for who has lost his second factor, each good once in the place of a code. The file of second factors
// holds hashes of them, behind the user's secret: "user:SECRET:TIME:HASH,HASH,...", TIME being when they were made, in
// seconds of the wall clock.
#ifndef USHER_ACCESS_RECOVERY_H
#define USHER_ACCESS_RECOVERY_H

#include "access/totp.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	RECOVERY_CODES = 10,
	RECOVERY_CODE_MAX = 12, // "ABCDE-12345", with a NUL
	RECOVERY_LIST_MAX = 384,
};

struct recovery_codes {
	char codes[RECOVERY_CODES][RECOVERY_CODE_MAX];
	char list[RECOVERY_LIST_MAX]; // as the file has them
};

// New ones, of 50 bits each, hashed with the secret. False when there are no random bytes.
bool recovery_make(const struct totp_secret *secret, int64_t now_s, struct recovery_codes *ret_codes);

// Whether the text is a list as recovery_make makes it.
bool recovery_is_list(struct slice list);

// Whether the text is one of the codes, in either case, with or without its hyphen, and was not used; it is from now
// on. *ret_left is how many are left then. Suspends, as state_note does.
bool recovery_take(const struct totp_secret *secret, struct slice list, struct slice login, struct slice user,
		   struct slice text, unsigned *ret_left);

#endif
