// Recovery codes: how they may be written, that each is good once, and what their list looks like.
#include "access/kept.h"
#include "access/recovery.h"
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

static struct totp_secret secret;
static struct recovery_codes made;

static int begin(void **state)
{
	kept_forget_all();
	return totp_secret_read(SLICE("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), &secret) &&
			       recovery_make(&secret, 1000, &made)
		       ? 0
		       : -1;
}

static bool take_of(const char *user, const char *text, unsigned *ret_left)
{
	return recovery_take(&secret, slice_from_string(made.list), SLICE("staff"), slice_from_string(user),
			     slice_from_string(text), ret_left);
}

static void test_each_is_good_once(void **state)
{
	unsigned left = 99;
	for (unsigned i = 0; i < RECOVERY_CODES; i++) {
		assert_true(take_of("ann", made.codes[i], &left));
		assert_int_equal(left, RECOVERY_CODES - 1 - i);
		assert_false(take_of("ann", made.codes[i], &left));
	}
	assert_true(take_of("bob", made.codes[0], &left)); // another user's, though by chance the same
}

static void test_new_codes_are_good_the_old_ones_are_not(void **state)
{
	const struct recovery_codes old = made;
	unsigned left;
	assert_true(take_of("ann", old.codes[0], &left));
	assert_true(recovery_make(&secret, 1001, &made));
	assert_false(take_of("ann", old.codes[1], &left));
	assert_true(take_of("ann", made.codes[0], &left));
	assert_int_equal(left, RECOVERY_CODES - 1);
}

// As people write them: what looks alike is alike.
static void test_spellings(void **state)
{
	char text[32], *code = made.codes[0];
	unsigned left;
	for (unsigned i = 0; i <= strlen(code); i++)
		text[i] = code[i] >= 'A' && code[i] <= 'Z' ? (char)(code[i] + 32) : code[i];
	for (char *at = text; *at; at++)
		*at = *at == '0' ? 'o' : *at == '1' ? 'l' : *at == '-' ? ' ' : *at;
	assert_true(take_of("ann", text, &left));
	assert_false(take_of("ann", code, &left));
	snprintf(text, sizeof text, "%.5s%.5s", made.codes[1], made.codes[1] + 6);
	assert_true(take_of("ann", text, &left));
}

static void test_what_is_no_code(void **state)
{
	char longer[32];
	unsigned left = 99;
	snprintf(longer, sizeof longer, "%.11s0", made.codes[0]);
	const char *const wrong[] = {"", "-", "ABCDE", "00000-00000", "UUUUU-UUUUU", "!@#$%-^&*()", longer, "123456"};
	for (unsigned i = 0; i < COUNT(wrong); i++)
		assert_false(take_of("ann", wrong[i], &left));
	const struct slice zeros = slice_from("\0\0\0\0\0\0\0\0\0\0", 10);
	assert_false(recovery_take(&secret, slice_from_string(made.list), SLICE("staff"), SLICE("ann"), zeros, &left));
	assert_false(recovery_take(&secret, SLICE(""), SLICE("staff"), SLICE("ann"), slice_from_string(made.codes[0]),
				   &left));
	assert_int_equal(left, 99);
	struct totp_secret other = secret;
	other.bytes[0] ^= 1;
	assert_false(recovery_take(&other, slice_from_string(made.list), SLICE("staff"), SLICE("ann"),
				   slice_from_string(made.codes[0]), &left));
}

static void test_lists(void **state)
{
	static const char *const wrong[] = {
		"",
		"1000",
		"1000:",
		":0123456789abcdef0123456789abcdef",
		"0:0123456789abcdef0123456789abcdef",
		"-1:0123456789abcdef0123456789abcdef",
		"1000:0123456789ABCDEF0123456789abcdef",
		"1000:0123456789abcdef0123456789abcde",
		"1000:0123456789abcdef0123456789abcdef,",
		"1000:0123456789abcdef0123456789abcdef:",
	};
	assert_true(recovery_is_list(slice_from_string(made.list)));
	assert_true(recovery_is_list(SLICE("1:0123456789abcdef0123456789abcdef")));
	for (unsigned i = 0; i < COUNT(wrong); i++)
		assert_false(recovery_is_list(slice_from_string(wrong[i])));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_each_is_good_once, begin),
		cmocka_unit_test_setup(test_new_codes_are_good_the_old_ones_are_not, begin),
		cmocka_unit_test_setup(test_spellings, begin),
		cmocka_unit_test_setup(test_what_is_no_code, begin),
		cmocka_unit_test_setup(test_lists, begin),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	kept_forget_all();
	return failed;
}
