// Texts of LDAP: what visitors write is one value, wherever it is put.
#include "access/directory_text.h"
#include "cmocka_all.h"

#include <ldap.h>
#include <string.h>

static struct arena arena;

static int set_up(void **state)
{
	arena_init(&arena, 1 << 20);
	return 0;
}

static int tear_down(void **state)
{
	arena_fini(&arena);
	return 0;
}

static void assert_text(struct slice text, const char *wanted)
{
	assert_non_null(text.data);
	assert_int_equal(text.length, strlen(wanted));
	assert_memory_equal(text.data, wanted, text.length);
}

// RFC 4514 section 2.4, RFC 4515 section 3.
static void what_is_special_is_escaped(void **state)
{
	assert_text(directory_escape(SLICE("ann.o-b_1@example"), &arena), "ann.o-b_1@example");
	assert_text(directory_escape(SLICE(" #,+\"\\<>;=\0"), &arena), "\\20\\23\\2c\\2b\\22\\5c\\3c\\3e\\3b\\3d\\00");
	assert_text(directory_escape(SLICE("*()&|!/"), &arena), "\\2a\\28\\29\\26\\7c\\21\\2f");
	assert_text(directory_escape(SLICE("\xc3\xa9"), &arena), "\\c3\\a9");
	assert_text(directory_escape(SLICE(""), &arena), "");
}

// Every byte comes back as what it was, as the value of the one component that was written.
static void a_value_stays_one_value(void **state)
{
	for (unsigned byte = 1; byte < 0x80; byte++) {
		const char value[] = {'a', (char)byte, 'b'};
		struct slice escaped = directory_escape(slice_from(value, sizeof value), &arena);
		struct slice name = arena_printf(&arena, "uid=%.*s,ou=people,dc=x", SLICE_ARGUMENTS(escaped));
		LDAPDN dn = NULL;
		assert_int_equal(ldap_str2dn(name.data, &dn, LDAP_DN_FORMAT_LDAPV3), LDAP_SUCCESS);
		assert_non_null(dn[2]);
		assert_null(dn[3]);
		assert_null(dn[0][1]);
		assert_int_equal(dn[0][0]->la_value.bv_len, sizeof value);
		assert_memory_equal(dn[0][0]->la_value.bv_val, value, sizeof value);
		ldap_dnfree(dn);
		struct slice filter = arena_printf(&arena, "(uid=%.*s)", SLICE_ARGUMENTS(escaped));
		assert_true(directory_is_filter(filter));
	}
}

static void names_of_users(void **state)
{
	const struct slice good[] = {SLICE("ann"), SLICE("Ann O"), SLICE("Zo\xc3\xab"), SLICE("*"), SLICE("a,b=c")};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(directory_is_user(good[i]));
	char longest[129];
	memset(longest, 'a', sizeof longest);
	assert_true(directory_is_user(slice_from(longest, 128)));
	const struct slice bad[] = {
		SLICE(""),     SLICE(" ann"), SLICE("ann "),  SLICE("ann  o"),		SLICE("a\nb"),
		SLICE("a\0b"), SLICE("\xff"), SLICE("a\xc3"), slice_from(longest, 129),
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(directory_is_user(bad[i]));
}

static void names_that_say_more_than_the_user(void **state)
{
	assert_true(directory_is_plain(SLICE("ann.o-b")));
	const struct slice more[] = {SLICE("ann@x"), SLICE("X\\ann"), SLICE("cn=ann"), SLICE("a,b"), SLICE("a;b")};
	for (size_t i = 0; i < sizeof more / sizeof *more; i++)
		assert_false(directory_is_plain(more[i]));
}

static void distinguished_names(void **state)
{
	assert_true(directory_is_dn(SLICE("uid=x,ou=people,dc=example,dc=com")));
	assert_false(directory_is_dn(SLICE("x@corp.example.com")));
	assert_false(directory_is_dn(SLICE("CORP\\x")));
	assert_false(directory_is_dn(SLICE("")));
	assert_false(directory_is_dn(SLICE_EMPTY));
	assert_text(directory_common_name(SLICE("cn=makers,ou=groups,dc=x"), &arena), "makers");
	assert_text(directory_common_name(SLICE("cn=a\\, b,dc=x"), &arena), "a, b");
	assert_null(directory_common_name(SLICE("makers"), &arena).data);
	assert_null(directory_common_name(SLICE("cn=a+ou=b,dc=x"), &arena).data);
}

static void below_is_by_components(void **state)
{
	const struct slice base = SLICE("ou=groups,dc=x");
	assert_true(directory_is_below(SLICE("cn=a,ou=groups,dc=x"), base));
	assert_true(directory_is_below(SLICE("cn=a,cn=b,OU=Groups, DC=X"), base));
	assert_false(directory_is_below(base, base));
	assert_false(directory_is_below(SLICE("cn=a,ou=lists,dc=x"), base));
	assert_false(directory_is_below(SLICE("cn=a\\,ou=groups,dc=x"), base));
	assert_false(directory_is_below(SLICE("cn=a,xou=groups,dc=x"), base));
	assert_false(directory_is_below(SLICE("cn=a,ou=groups,dc=x"), SLICE("")));
	assert_false(directory_is_below(SLICE("nonsense"), base));
}

static void filters(void **state)
{
	assert_true(directory_is_filter(SLICE("(&(objectClass=person)(uid=$user))")));
	assert_true(directory_is_filter(SLICE("(member:1.2.840.113556.1.4.1941:=$dn)")));
	const struct slice bad[] = {SLICE(""),	 SLICE("uid=$user"),	 SLICE("(uid=$user"), SLICE("(&(uid=$user)"),
				    SLICE("()"), SLICE("(uid=a)(uid=b)")};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(directory_is_filter(bad[i]));
}

static void what_names_the_user(void **state)
{
	assert_text(directory_attribute_of(SLICE("(&(objectClass=person)(uid=$user))")), "uid");
	assert_text(directory_attribute_of(SLICE("uid=$user,ou=people,dc=x")), "uid");
	assert_text(directory_attribute_of(SLICE("(|(mail=$user)(uid=$user))")), "mail");
	assert_text(directory_attribute_of(SLICE("$user@corp.example.com")), "");
	assert_text(directory_attribute_of(SLICE("=$user")), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_special_is_escaped),
		cmocka_unit_test(a_value_stays_one_value),
		cmocka_unit_test(names_of_users),
		cmocka_unit_test(names_that_say_more_than_the_user),
		cmocka_unit_test(distinguished_names),
		cmocka_unit_test(below_is_by_components),
		cmocka_unit_test(filters),
		cmocka_unit_test(what_names_the_user),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
