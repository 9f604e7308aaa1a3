#include "access/totp.h"

#include "access/state.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

enum { BLOCK = 8, SECRET_MIN = 10 };

static const char digits32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static int digit_of(char c)
{
	char lower = ascii_lower(c);
	if (lower >= 'a' && lower <= 'z')
		return lower - 'a';
	return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

bool totp_secret_read(struct slice text, struct totp_secret *ret_secret)
{
	unsigned bits = 0, count = 0;
	struct totp_secret secret = {.length = 0};
	while (text.length > 0 && text.data[text.length - 1] == '=')
		text.length--;
	for (size_t i = 0; i < text.length; i++) {
		if (text.data[i] == ' ')
			continue;
		int digit = digit_of(text.data[i]);
		if (digit < 0)
			return false;
		bits = bits << 5 | (unsigned)digit;
		count += 5;
		if (count < 8)
			continue;
		count -= 8;
		if (secret.length == TOTP_SECRET_MAX)
			return false;
		secret.bytes[secret.length++] = (unsigned char)(bits >> count);
		bits &= (1U << count) - 1;
	}
	*ret_secret = secret;
	return secret.length >= SECRET_MIN && bits == 0;
}

bool totp_secret_make(char ret_text[TOTP_SECRET_BYTES * 8 / 5 + 1])
{
	unsigned char bytes[TOTP_SECRET_BYTES];
	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return false;
	unsigned bits = 0, count = 0;
	size_t length = 0;
	for (size_t i = 0; i < sizeof bytes; i++) {
		bits = bits << 8 | bytes[i];
		for (count += 8; count >= 5; count -= 5)
			ret_text[length++] = digits32[bits >> (count - 5) & 31];
		bits &= (1U << count) - 1;
	}
	ret_text[length] = '\0';
	return true;
}

// RFC 4226 section 5.3.
uint32_t totp_code(const struct totp_secret *secret, uint64_t step)
{
	unsigned char message[BLOCK], digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	for (unsigned i = 0; i < BLOCK; i++)
		message[i] = (unsigned char)(step >> (8 * (BLOCK - 1 - i)));
	if (!HMAC(EVP_sha1(), secret->bytes, (int)secret->length, message, sizeof message, digest, &length))
		return UINT32_MAX;
	unsigned at = digest[length - 1] & 15;
	uint32_t number = (uint32_t)(digest[at] & 0x7f) << 24 | (uint32_t)digest[at + 1] << 16 |
			  (uint32_t)digest[at + 2] << 8 | digest[at + 3];
	return number % 1000000;
}

// 0: of none.
static uint64_t step_of(const struct totp_secret *secret, struct slice digits, int64_t now_s)
{
	uint64_t given, now = (uint64_t)now_s / TOTP_STEP_S, found = 0;
	if (digits.length != TOTP_DIGITS || !slice_to_number(digits, &given))
		return 0;
	for (uint64_t step = now - 1; step <= now + 1; step++)
		if (totp_code(secret, step) == given)
			found = step;
	return found;
}

bool totp_is_code(const struct totp_secret *secret, struct slice digits, int64_t now_s)
{
	return step_of(secret, digits, now_s) > 0;
}

bool totp_take(const struct totp_secret *secret, struct slice login, struct slice user, struct slice digits,
	       int64_t now_s)
{
	uint64_t found = step_of(secret, digits, now_s);
	if (found == 0)
		return false;
	// Good for one step more than its own.
	struct kept kept = {
		.kind = KEPT_STEP,
		.value = (int64_t)found,
		.until_s = (int64_t)(found + 3) * TOTP_STEP_S,
	};
	kept_set_user(&kept, login, user, SLICE_EMPTY);
	return state_note(&kept);
}
