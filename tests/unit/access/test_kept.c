// What is kept: covered or not, floors, and the bound, over several threads.
#include "access/kept.h"
#include "access/totp.h"
#include "cmocka_all.h"
#include "kept_session.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 4, EACH = 20000, MANY = 900000 };

static int begin(void **state)
{
	kept_forget_all();
	return 0;
}

static bool put_session(uint64_t id, int64_t created_s)
{
	const struct kept kept = kept_session(id, created_s);
	return kept_put(&kept);
}

static struct kept of_user(enum kept_kind kind, const char *login, const char *user, int64_t value)
{
	struct kept kept = {.kind = kind, .value = value, .until_s = LATE};
	kept_set_user(&kept, slice_from_string(login), slice_from_string(user), SLICE_EMPTY);
	return kept;
}

static void test_what_is_at_or_below_is_covered(void **state)
{
	const struct kept at = of_user(KEPT_USER, "staff", "ann", 100), below = of_user(KEPT_USER, "staff", "ann", 99),
			  above = of_user(KEPT_USER, "staff", "ann", 101),
			  other = of_user(KEPT_USER, "staff", "bob", 1), step = of_user(KEPT_STEP, "staff", "ann", 1);
	assert_false(kept_covers(&at));
	assert_true(kept_put(&at));
	assert_false(kept_put(&at));
	assert_false(kept_put(&below));
	assert_true(kept_covers(&at) && kept_covers(&below));
	assert_false(kept_covers(&above) || kept_covers(&other) || kept_covers(&step));
	assert_true(kept_put(&above));
	assert_true(kept_covers(&above));
	assert_int_equal(kept_count(), 1);
}

static void test_names_are_not_taken_for_others(void **state)
{
	char longer[400], other[400];
	memset(longer, 'a', sizeof longer);
	memset(other, 'a', sizeof other);
	longer[399] = other[399] = 0;
	other[398] = 'b';
	static const char *const pairs[][2] = {{"a", "b:c"}, {"a:b", "c"}, {"a1:b", "c"}, {"", "a1:b"}, {"1:a", "b"}};
	for (unsigned i = 0; i < COUNT(pairs); i++) {
		const struct kept kept = of_user(KEPT_USER, pairs[i][0], pairs[i][1], 5);
		assert_false(kept_covers(&kept));
		assert_true(kept_put(&kept));
	}
	const struct kept one = of_user(KEPT_USER, longer, longer, 5), two = of_user(KEPT_USER, longer, other, 5);
	assert_true(kept_put(&one));
	assert_true(kept_covers(&one));
	assert_false(kept_covers(&two));
}

static void test_a_floor_is_for_all(void **state)
{
	struct kept floor = {.kind = KEPT_SESSION, .value = 500, .until_s = LATE};
	put_session(1, 700);
	assert_true(kept_put(&floor));
	assert_false(kept_put(&floor));
	assert_true(has_session(2, 500) && has_session(1, 700));
	assert_false(has_session(2, 501));
	const struct kept user = of_user(KEPT_USER, "staff", "ann", 1);
	assert_false(kept_covers(&user));
}

static void test_in_doubt_all_is_covered(void **state)
{
	kept_doubt(1000);
	assert_true(has_session(1, 1000));
	assert_false(has_session(1, 1001));
	// What is learnt in doubt is kept, though it is no news.
	assert_false(put_session(2, 900));
	// The code of the next step is good already.
	const struct kept step = of_user(KEPT_STEP, "staff", "ann", 1000 / TOTP_STEP_S + 1);
	assert_true(kept_covers(&step));
	kept_trust();
	assert_false(has_session(1, 1000) || kept_covers(&step));
	assert_true(has_session(2, 900));
}

static void test_what_is_old_goes(void **state)
{
	struct kept old = kept_session(1, 100), fresh = kept_session(2, 100);
	old.until_s = 1000;
	kept_put(&old);
	kept_put(&fresh);
	kept_drop_old(999);
	assert_int_equal(kept_count(), 2);
	kept_drop_old(1000);
	assert_int_equal(kept_count(), 1);
	assert_true(kept_covers(&fresh));
	assert_false(kept_covers(&old));
}

// More than there is room for: the oldest are covered by a floor, and nothing that was ended is open.
static void test_the_bound_covers_more_not_less(void **state)
{
	for (uint64_t i = 1; i <= MANY; i++)
		put_session(i, (int64_t)i);
	assert_in_range(kept_count(), 300000, 800000);
	for (uint64_t i = 1; i <= MANY; i++)
		assert_true(has_session(i, (int64_t)i));
	assert_true(has_session(MANY + 1, 1000));
	assert_false(has_session(MANY + 1, MANY));
}

static atomic_uint next_thread;

static void *put_and_look(void *argument)
{
	uint64_t first = (uint64_t)atomic_fetch_add(&next_thread, 1) * EACH + 1;
	uintptr_t wrong = 0;
	for (uint64_t id = first; id < first + EACH; id++) {
		wrong += has_session(id, 100);
		wrong += !put_session(id, 100);
		wrong += !has_session(id, 100);
		if (id % 5000 == 0)
			kept_drop_old(1000);
	}
	return (void *)wrong;
}

static void test_several_threads(void **state)
{
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, put_and_look, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	assert_int_equal(kept_count(), THREADS * EACH);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_what_is_at_or_below_is_covered, begin),
		cmocka_unit_test_setup(test_names_are_not_taken_for_others, begin),
		cmocka_unit_test_setup(test_a_floor_is_for_all, begin),
		cmocka_unit_test_setup(test_in_doubt_all_is_covered, begin),
		cmocka_unit_test_setup(test_what_is_old_goes, begin),
		cmocka_unit_test_setup(test_the_bound_covers_more_not_less, begin),
		cmocka_unit_test_setup(test_several_threads, begin),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	kept_forget_all();
	return failed;
}
