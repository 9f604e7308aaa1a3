#include "access/recovery.h"

#include "access/state.h"
#include "base/text.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>

// HASH: of HMAC-SHA-256, half. NORMAL: a code as it is hashed.
enum { HASH_BYTES = 16, HASH_DIGITS = 2 * HASH_BYTES, NORMAL = 10, CODES_MAX = 100 };

// Crockford's base32: what is read for another digit stands for that.
static const char digits32[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

// --- Codes and their hashes

static char normal_of(char c)
{
	char upper = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
	if (upper == 'O')
		return '0';
	return upper == 'I' || upper == 'L' ? '1' : upper;
}

static bool normalize(struct slice text, char ret_code[NORMAL])
{
	size_t length = 0;
	for (size_t i = 0; i < text.length; i++) {
		char c = normal_of(text.data[i]);
		if (c == '-' || c == ' ')
			continue;
		if (length == NORMAL || c == '\0' || !strchr(digits32, c))
			return false;
		ret_code[length++] = c;
	}
	return length == NORMAL;
}

static bool hash(const struct totp_secret *secret, const char code[NORMAL], char ret_digits[HASH_DIGITS])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	struct text text;
	if (!HMAC(EVP_sha256(), secret->bytes, (int)secret->length, (const unsigned char *)code, NORMAL, digest,
		  &length))
		return false;
	text_init(&text, ret_digits, HASH_DIGITS);
	for (unsigned i = 0; i < HASH_BYTES; i++)
		text_add_hex(&text, digest[i], 2);
	return true;
}

bool recovery_make(const struct totp_secret *secret, int64_t now_s, struct recovery_codes *ret_codes)
{
	struct text list;
	text_init(&list, ret_codes->list, sizeof ret_codes->list - 1);
	text_add_signed(&list, now_s);
	for (unsigned i = 0; i < RECOVERY_CODES; i++) {
		unsigned char bytes[NORMAL];
		char code[NORMAL], digits[HASH_DIGITS];
		if (RAND_bytes(bytes, sizeof bytes) != 1)
			return false;
		for (unsigned at = 0; at < NORMAL; at++)
			code[at] = digits32[bytes[at] % 32];
		if (!hash(secret, code, digits))
			return false;
		snprintf(ret_codes->codes[i], RECOVERY_CODE_MAX, "%.5s-%.5s", code, code + NORMAL / 2);
		text_add_char(&list, i == 0 ? ':' : ',');
		text_add(&list, slice_from(digits, HASH_DIGITS));
		OPENSSL_cleanse(bytes, sizeof bytes);
		OPENSSL_cleanse(code, sizeof code);
	}
	list.data[list.length] = '\0';
	return !list.overflow;
}

// --- Lists

static bool is_hash(struct slice digits)
{
	for (size_t i = 0; i < digits.length; i++)
		if (!((digits.data[i] >= '0' && digits.data[i] <= '9') ||
		      (digits.data[i] >= 'a' && digits.data[i] <= 'f')))
			return false;
	return digits.length == HASH_DIGITS;
}

static bool read_list(struct slice list, int64_t *ret_made_s, struct slice *ret_hashes)
{
	struct slice time;
	uint64_t made_s;
	if (!slice_cut(list, ':', &time, ret_hashes) || !slice_to_number(time, &made_s) || made_s == 0 ||
	    made_s > INT32_MAX * UINT64_C(1000))
		return false;
	*ret_made_s = (int64_t)made_s;
	return true;
}

bool recovery_is_list(struct slice list)
{
	struct slice hashes, one;
	int64_t made_s;
	unsigned count = 0;
	bool more = read_list(list, &made_s, &hashes);
	for (; more; count++) {
		more = slice_cut(hashes, ',', &one, &hashes);
		if (!is_hash(one) || count == CODES_MAX)
			return false;
	}
	return count > 0;
}

bool recovery_take(const struct totp_secret *secret, struct slice list, struct slice login, struct slice user,
		   struct slice text, unsigned *ret_left)
{
	char code[NORMAL], given[HASH_DIGITS];
	struct slice hashes, one;
	struct kept kept = {.kind = KEPT_RECOVERY, .until_s = KEPT_FOREVER_S}, found = {.value = 0};
	unsigned left = 0;
	bool more = normalize(text, code) && hash(secret, code, given) && read_list(list, &kept.value, &hashes);
	OPENSSL_cleanse(code, sizeof code);
	while (more) {
		more = slice_cut(hashes, ',', &one, &hashes);
		if (one.length != HASH_DIGITS)
			continue;
		kept_set_user(&kept, login, user, one);
		if (CRYPTO_memcmp(one.data, given, HASH_DIGITS) == 0)
			found = kept;
		else
			left += !kept_covers(&kept);
	}
	if (found.value == 0 || !state_note(&found))
		return false;
	*ret_left = left;
	return true;
}
