// What a source says of a user, within its bounds.
#include "access/source.h"
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

static void groups_are_added_once(void **state)
{
	struct source_answer answer = {0};
	assert_true(source_add_group(&answer, SLICE("makers")));
	assert_true(source_add_group(&answer, SLICE("admins")));
	assert_true(source_add_group(&answer, SLICE("makers")));
	assert_string_equal(answer.groups, "makers,admins");
}

static void what_is_no_group_is_passed_over(void **state)
{
	struct source_answer answer = {0};
	char longest[USERS_NAME_MAX + 1];
	memset(longest, 'x', sizeof longest);
	const struct slice none[] = {SLICE(""), SLICE("a,b"), SLICE("a\nb"), SLICE("a\0b"),
				     slice_from(longest, sizeof longest)};
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		assert_true(source_add_group(&answer, none[i]));
	assert_string_equal(answer.groups, "");
}

static void what_does_not_fit_is_left_out(void **state)
{
	struct source_answer answer = {0};
	unsigned left_out = 0;
	for (unsigned i = 0; i < 2000; i++) {
		char name[16];
		int length = snprintf(name, sizeof name, "group-%04u", i);
		left_out += !source_add_group(&answer, slice_from(name, (size_t)length));
	}
	assert_in_range(strlen(answer.groups), SOURCE_GROUPS_MAX - 11, SOURCE_GROUPS_MAX);
	assert_int_equal(slice_count(slice_from_string(answer.groups), ',') + 1 + left_out, 2000);
	// A shorter one may still fit, to the last byte.
	size_t room = SOURCE_GROUPS_MAX - strlen(answer.groups);
	if (room > 1)
		assert_true(source_add_group(&answer, slice_first(SLICE("abcdefghij"), room - 1)));
	assert_false(source_add_group(&answer, SLICE("z")));
}

static void a_file(void **state)
{
	struct arena arena;
	struct users users;
	struct users_fault fault;
	struct source_answer answer;
	arena_init(&arena, 1 << 20);
	// Of "secret".
	assert_true(users_read(&users, SLICE("ann:$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.\n"), false,
			       &arena, &fault));
	assert_int_equal(source_verify_file(&users, &(struct source_question){SLICE("ann"), SLICE("secret")}, &answer),
			 SOURCE_RIGHT);
	assert_string_equal(answer.name, "ann");
	assert_int_equal(source_verify_file(&users, &(struct source_question){SLICE("ann"), SLICE("wrong")}, &answer),
			 SOURCE_WRONG);
	assert_int_equal(source_verify_file(&users, &(struct source_question){SLICE("bob"), SLICE("secret")}, &answer),
			 SOURCE_WRONG);
	arena_fini(&arena);
	assert_true(users_read(&users, SLICE(""), false, &arena, &fault));
	assert_int_equal(source_verify_file(&users, &(struct source_question){SLICE("ann"), SLICE("")}, &answer),
			 SOURCE_WRONG);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_are_added_once),
		cmocka_unit_test(what_is_no_group_is_passed_over),
		cmocka_unit_test(what_does_not_fit_is_left_out),
		cmocka_unit_test(a_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
