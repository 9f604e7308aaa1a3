// Files of second factors: what is read of them, whose each is, and what is none.
#include "access/second.h"
#include "cmocka_all.h"
#include "fail_alloc.h"

#include <stdio.h>

#define SECRET "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
#define CODES "1700000000:0123456789abcdef0123456789abcdef"

static struct arena arena;
static struct seconds seconds;
static struct users_fault fault;

static bool read_text(const char *text)
{
	arena_fini(&arena);
	fault = (struct users_fault){0, NULL};
	return seconds_read(&seconds, slice_from_string(text), &arena, &fault);
}

static int begin(void **state)
{
	arena_init(&arena, 1 << 20);
	return 0;
}

static int end(void **state)
{
	arena_fini(&arena);
	return 0;
}

static const char *secret_of(const char *user, bool in_any_case)
{
	const struct second *second = seconds_find(&seconds, slice_from_string(user), in_any_case);
	return second ? second->secret.data : NULL;
}

static void a_file(void **state)
{
	assert_true(read_text("# of the staff\n\nbob: " SECRET " \nann:" SECRET ":" CODES "\n"));
	assert_int_equal(seconds.count, 2);
	assert_string_equal(secret_of("bob", false), SECRET);
	assert_int_equal(seconds_find(&seconds, SLICE("bob"), false)->recovery.length, 0);
	assert_string_equal(seconds_find(&seconds, SLICE("ann"), false)->recovery.data, CODES);
	assert_null(secret_of("an", true));
	assert_null(secret_of("anna", true));
	assert_null(secret_of("", true));
	assert_true(read_text(""));
	assert_null(secret_of("ann", true));
}

static void letters_of_either_size_where_they_are_the_same(void **state)
{
	assert_true(read_text("Ann:" SECRET "\n"));
	assert_null(secret_of("ann", false));
	assert_string_equal(secret_of("ann", true), SECRET);
	assert_string_equal(secret_of("ANN", true), SECRET);
	// Two whose names differ in that alone are two, and each has his own.
	assert_true(read_text("ann:" SECRET "\nZed:" SECRET "\nANN:" SECRET "AAAAAAAA\nbob:" SECRET "\n"));
	assert_string_equal(secret_of("ann", true), SECRET);
	assert_string_equal(secret_of("ANN", true), SECRET "AAAAAAAA");
	assert_non_null(secret_of("aNn", true));
	assert_null(secret_of("aNn", false));
}

static void what_is_no_line(void **state)
{
	static const char *const wrong[] = {
		"ann",
		"ann:",
		":" SECRET,
		"ann:123456",
		"ann:" SECRET "!",
		"ann:" SECRET ":",
		"ann:" SECRET ":x",
		"ann:" SECRET ":1:x",
		"ann:$5$salt$hash",
		"a\x01:" SECRET,
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		char text[256];
		snprintf(text, sizeof text, "bob:%s\n%s\n", SECRET, wrong[i]);
		assert_false(read_text(text));
		assert_int_equal(fault.line, 2);
		assert_non_null(fault.why);
	}
	assert_false(read_text("ann:" SECRET "\nbob:" SECRET "\nann:" SECRET "\n"));
	assert_string_equal(fault.why, "a user is named twice");
}

static void without_memory(void **state)
{
	bool failed = true;
	for (unsigned i = 0; failed; i++) {
		arena_fini(&arena);
		fail_alloc_after(i);
		bool good = seconds_read(&seconds, SLICE("ann:" SECRET "\nbob:" SECRET ":" CODES "\n"), &arena, &fault);
		failed = fail_alloc_stop();
		assert_int_equal(good, !failed);
		if (failed)
			assert_int_equal(fault.line, 0);
	}
	assert_int_equal(seconds.count, 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file),
		cmocka_unit_test(letters_of_either_size_where_they_are_the_same),
		cmocka_unit_test(what_is_no_line),
		cmocka_unit_test(without_memory),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
