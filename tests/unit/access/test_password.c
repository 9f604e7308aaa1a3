// Hashes: their kinds, and that what was made is verified.
#include "access/password.h"
#include "cmocka_all.h"

#include <string.h>

static void test_kinds(void **state)
{
	static const struct {
		const char *hash;
		enum password_kind kind;
	} rows[] = {{"$2y$05$abc", PASSWORD_BCRYPT},
		    {"$5$a$b", PASSWORD_SHA256},
		    {"$6$a$b", PASSWORD_SHA512},
		    {"$y$j9T$a$b", PASSWORD_YESCRYPT},
		    {"$argon2id$v=19$", PASSWORD_ARGON2},
		    {"$apr1$a$b", PASSWORD_OLD},
		    {"{SHA}abc", PASSWORD_OLD},
		    {"$1$a$b", PASSWORD_OLD},
		    {"abJnggxhB/yWI", PASSWORD_OLD},
		    {"secret", PASSWORD_UNKNOWN},
		    {"", PASSWORD_UNKNOWN},
		    {"$9$x", PASSWORD_UNKNOWN},
		    {"{SSHA}abc", PASSWORD_UNKNOWN}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(password_kind_of(slice_from_string(rows[i].hash)), rows[i].kind);
}

static void test_what_was_made_is_verified(void **state)
{
	char hash[PASSWORD_HASH_MAX], again[PASSWORD_HASH_MAX], longest[PASSWORD_MAX + 2];
	assert_int_equal(password_hash(SLICE("secret"), hash), 0);
	assert_int_equal(password_hash(SLICE("secret"), again), 0);
	assert_string_not_equal(hash, again); // salted
	assert_int_equal(password_kind_of(slice_from_string(hash)), PASSWORD_YESCRYPT);
	assert_true(password_verify(slice_from_string(hash), SLICE("secret")));
	assert_false(password_verify(slice_from_string(hash), SLICE("Secret")));
	assert_false(password_verify(slice_from_string(hash), SLICE("")));
	assert_false(password_verify(slice_from_string(hash), slice_from("secret\0x", 8)));
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_false(password_verify(slice_from_string(hash), slice_from_string(longest)));
	assert_int_not_equal(password_hash(slice_from_string(longest), hash), 0);
	assert_false(password_verify(SLICE("$6$"), SLICE("secret")));
	assert_false(password_verify(SLICE("$argon2id$x"), SLICE("secret")));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_what_was_made_is_verified),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
