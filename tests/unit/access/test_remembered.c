// Right logins are known for a while, with what was said of the user.
#include "access/remembered.h"
#include "cmocka_all.h"
#include "fail_alloc.h"

#include <string.h>

static const struct remembered_login ann = {1, {"ann", 3}, {"secret", 6}};

static void known_until_then(void **state)
{
	struct slice said;
	struct arena arena;
	arena_init(&arena, 1 << 20);
	assert_false(remembered_has(&ann, 1));
	remembered_put_said(&ann, 100, SLICE("ann\0makers\0"));
	assert_true(remembered_has(&ann, 99));
	assert_true(remembered_has_said(&ann, 99, &arena, &said));
	assert_true(slice_equal(said, SLICE("ann\0makers\0")));
	assert_false(remembered_has_said(&ann, 100, &arena, &said));
	remembered_put(&ann, 200);
	assert_true(remembered_has_said(&ann, 150, &arena, &said));
	assert_int_equal(said.length, 0);
	arena_fini(&arena);
}

static void another_login_is_not_known(void **state)
{
	const struct remembered_login others[] = {{2, ann.user, ann.password},
						  {1, SLICE("bob"), ann.password},
						  {1, ann.user, SLICE("Secret")},
						  {1, SLICE("anns"), SLICE("ecret")}};
	remembered_put_said(&ann, 1000, SLICE("ann"));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_false(remembered_has(&others[i], 1));
}

static void the_bound(void **state)
{
	static char much[REMEMBERED_SAID_MAX + 1];
	const struct remembered_login bob = {1, {"bob", 3}, {"hidden", 6}};
	struct slice said;
	struct arena arena;
	arena_init(&arena, 1 << 20);
	memset(much, 'x', sizeof much);
	remembered_put_said(&bob, 1000, slice_from(much, sizeof much));
	assert_false(remembered_has(&bob, 1));
	remembered_put_said(&bob, 1000, slice_from(much, REMEMBERED_SAID_MAX));
	assert_true(remembered_has_said(&bob, 1, &arena, &said));
	assert_int_equal(said.length, REMEMBERED_SAID_MAX);
	// Without memory for it, it is as if it were not known.
	struct arena none;
	arena_init(&none, 100);
	assert_false(remembered_has_said(&bob, 1, &none, &said));
	remembered_put(&bob, 0);
	arena_fini(&none);
	arena_fini(&arena);
}

// Without memory nothing is remembered, rather than a user of whom nothing was said.
static void without_memory(void **state)
{
	const struct remembered_login eve = {1, {"eve", 3}, {"hidden", 6}};
	fail_alloc_after(0);
	remembered_put_said(&eve, 1000, SLICE("eve"));
	assert_true(fail_alloc_stop());
	assert_false(remembered_has(&eve, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_until_then),
		cmocka_unit_test(another_login_is_not_known),
		cmocka_unit_test(the_bound),
		cmocka_unit_test(without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
