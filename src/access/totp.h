// One-time passwords by time (TOTP, RFC 6238): six digits of HMAC-SHA-1, each for thirty seconds.
#ifndef USHER_ACCESS_TOTP_H
#define USHER_ACCESS_TOTP_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOTP_SECRET_MAX = 64, TOTP_SECRET_BYTES = 20, TOTP_DIGITS = 6, TOTP_STEP_S = 30 };

struct totp_secret {
	unsigned char bytes[TOTP_SECRET_MAX];
	size_t length;
};

// Base32 (RFC 4648 section 6), in either case, with or without blanks and padding: 10 to TOTP_SECRET_MAX bytes.
bool totp_secret_read(struct slice text, struct totp_secret *ret_secret);

// A new one, as text.
bool totp_secret_make(char ret_text[TOTP_SECRET_BYTES * 8 / 5 + 1]);

// The password of a step of time.
uint32_t totp_code(const struct totp_secret *secret, uint64_t step);

// Whether the digits are the password of now, or of the step before or after (section 5.2).
bool totp_is_code(const struct totp_secret *secret, struct slice digits, int64_t now_s);

// The same, and of a later step than the user's last one, which it is from now on: each is good once. Suspends, as
// state_note does.
bool totp_take(const struct totp_secret *secret, struct slice login, struct slice user, struct slice digits,
	       int64_t now_s);

#endif
