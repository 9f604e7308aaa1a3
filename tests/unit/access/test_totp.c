// One-time passwords: the test vectors of RFC 6238 and RFC 4226, their window, and that each is good once.
#include "access/totp.h"
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

static struct totp_secret secret;

static int begin(void **state)
{
	// "12345678901234567890"
	return totp_secret_read(SLICE("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), &secret) ? 0 : -1;
}

// RFC 6238 appendix B, of which the last six digits are these.
static void test_vectors_of_rfc_6238(void **state)
{
	static const struct {
		uint64_t time;
		uint32_t code;
	} rows[] = {{59, 287082},	{1111111109, 81804},  {1111111111, 50471},
		    {1234567890, 5924}, {2000000000, 279037}, {UINT64_C(20000000000), 353130}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(totp_code(&secret, rows[i].time / TOTP_STEP_S), rows[i].code);
}

// RFC 4226 appendix D.
static void test_vectors_of_rfc_4226(void **state)
{
	static const uint32_t codes[] = {755224, 287082, 359152, 969429, 338314,
					 254676, 287922, 162583, 399871, 520489};
	for (uint64_t step = 0; step < 10; step++)
		assert_int_equal(totp_code(&secret, step), codes[step]);
}

static bool take(uint64_t user, int64_t of_s, int64_t now_s)
{
	char digits[16], name[16];
	snprintf(digits, sizeof digits, "%06u", totp_code(&secret, (uint64_t)of_s / TOTP_STEP_S));
	snprintf(name, sizeof name, "user %u", (unsigned)user);
	return totp_take(&secret, SLICE("staff"), slice_from_string(name), slice_from_string(digits), now_s);
}

static void test_the_steps_beside_count(void **state)
{
	const int64_t now_s = 1800000000;
	assert_true(take(1, now_s, now_s));
	assert_true(take(2, now_s - 30, now_s));
	assert_true(take(3, now_s + 30, now_s));
	assert_false(take(4, now_s - 60, now_s));
	assert_false(take(5, now_s + 60, now_s));
}

static void test_each_is_good_once(void **state)
{
	const int64_t now_s = 1900000000;
	assert_true(take(7, now_s, now_s));
	assert_false(take(7, now_s, now_s));
	assert_false(take(7, now_s - 30, now_s)); // older ones neither
	assert_true(take(7, now_s + 30, now_s));
	assert_true(take(8, now_s, now_s)); // another user's
}

static void test_digits_are_six(void **state)
{
	static const char *const wrong[] = {"", "12345", "1234567", "abcdef", "-12345", "12 345", "+12345"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_false(totp_take(&secret, SLICE("staff"), SLICE("ann"), slice_from_string(wrong[i]), 1800000000));
}

static void test_secrets(void **state)
{
	struct totp_secret read;
	char made[TOTP_SECRET_BYTES * 8 / 5 + 1];
	assert_true(totp_secret_read(SLICE("gezd gnbv gy3t qojq gezd gnbv gy3t qojq===="), &read));
	assert_int_equal(read.length, 20);
	assert_memory_equal(read.bytes, "12345678901234567890", 20);
	static const char *const wrong[] = {"", "GEZDGNBV", "GEZDGNBVGY3TQOJ1", "GEZDGNBVGY3TQOJQ!",
					    "GEZDGNBVGY3TQOJQG8"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_false(totp_secret_read(slice_from_string(wrong[i]), &read));
	assert_true(totp_secret_make(made));
	assert_int_equal(strlen(made), 32);
	assert_true(totp_secret_read(slice_from_string(made), &read));
	assert_int_equal(read.length, TOTP_SECRET_BYTES);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_of_rfc_6238),    cmocka_unit_test(test_vectors_of_rfc_4226),
		cmocka_unit_test(test_the_steps_beside_count), cmocka_unit_test(test_each_is_good_once),
		cmocka_unit_test(test_digits_are_six),	       cmocka_unit_test(test_secrets),
	};
	return cmocka_run_group_tests(tests, begin, NULL);
}
