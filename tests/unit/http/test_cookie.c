// Cookies of a request.
#include "http/cookie.h"
#include "support.h"

static struct slice find(const char *value, const char *name)
{
	struct field item = {SLICE("Cookie"), slice_from_string(value), FIELD_COOKIE};
	struct fields fields = {&item, 1, 1};
	return cookie_find(&fields, slice_from_string(name));
}

static void expect(const char *value, const char *name, const char *expected)
{
	struct slice found = find(value, name);
	assert_true(expected ? found.data && slice_equal(found, slice_from_string(expected)) : !found.data);
}

static void test_find(void **state)
{
	expect("a=1", "a", "1");
	expect("a=1; b=2", "b", "2");
	expect("a=1;b=2", "b", "2");
	expect(" a = 1 ;  b=2 ", "a", "1");
	expect("a=1; a=2", "a", "1");
	expect("ab=1; a=2", "a", "2");
	expect("a=\"x y\"", "a", "\"x y\"");
	expect("a=b=c", "a", "b=c");
	expect("a=", "a", "");
	expect("; ;; a=1", "a", "1");
	expect("a; b=2", "a", NULL);
	expect("A=1", "a", NULL);
	expect("", "a", NULL);
	expect("b=a=1", "a", NULL);
}

static void test_several_fields(void **state)
{
	struct field items[] = {{SLICE("X"), SLICE("b=0"), FIELD_OTHER},
				{SLICE("Cookie"), SLICE("a=1"), FIELD_COOKIE},
				{SLICE("cookie"), SLICE("b=2"), FIELD_COOKIE}};
	struct fields fields = {items, 3, 3};
	assert_true(slice_equal(cookie_find(&fields, SLICE("b")), SLICE("2")));
	assert_null(cookie_find(&fields, SLICE("c")).data);
}

static void test_names(void **state)
{
	assert_true(cookie_is_name(SLICE("JSESSIONID")));
	assert_true(cookie_is_name(SLICE("__Host-x.y")));
	assert_false(cookie_is_name(SLICE("")));
	assert_false(cookie_is_name(SLICE("a b")));
	assert_false(cookie_is_name(SLICE("a;b")));
	char longest[129];
	memset(longest, 'a', sizeof longest);
	assert_true(cookie_is_name(slice_from(longest, 128)));
	assert_false(cookie_is_name(slice_from(longest, 129)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_several_fields),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
