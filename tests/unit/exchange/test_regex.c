// Regular expressions: what they match, what they give up on, and that threads share nothing.
#include "exchange/regex.h"
#include "support.h"

#include <pthread.h>

static struct regex compile(const char *pattern)
{
	char message[128];
	size_t offset;
	struct regex regex;
	if (!regex_init(&regex, slice_from_string(pattern), message, sizeof message, &offset))
		fail_msg("%s: %s", pattern, message);
	return regex;
}

static void test_match(void **state)
{
	static const struct {
		const char *pattern, *subject;
		enum match_result result;
	} rows[] = {
		{"^/a", "/ab", MATCH_HOLDS},
		{"^/a$", "/ab", MATCH_FAILS},
		{"b", "/ab", MATCH_HOLDS},
		{"", "", MATCH_HOLDS},
		{"^$", "", MATCH_HOLDS},
		{"a", "", MATCH_FAILS},
		{"(?i)^/ABC$", "/abc", MATCH_HOLDS},
		{"a$", "a\n", MATCH_FAILS},
		{"^(a|b)*$", "abab", MATCH_HOLDS},
		{"^/(a+)+$", "/aaab", MATCH_FAILS},
		{"caf\xc3\xa9", "caf\xc3\xa9", MATCH_HOLDS},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct regex regex = compile(rows[i].pattern);
		if (regex_match(&regex, slice_from_string(rows[i].subject), NULL) != rows[i].result)
			fail_msg("%s in %s", rows[i].pattern, rows[i].subject);
		regex_fini(&regex);
	}
}

static void test_captures(void **state)
{
	struct slice captures[REGEX_CAPTURES_MAX];
	struct regex regex = compile("^(a)(b)?(c)|(d)$");
	assert_int_equal(regex.captures, 4);
	assert_int_equal(regex_match(&regex, SLICE("acx"), captures), MATCH_HOLDS);
	assert_slice(captures[0], "ac");
	assert_slice(captures[1], "a");
	assert_int_equal(captures[2].length, 0);
	assert_slice(captures[3], "c");
	assert_int_equal(captures[4].length, 0);
	assert_int_equal(captures[9].length, 0);
	regex_fini(&regex);
	// More groups than have names.
	regex = compile("(1)(2)(3)(4)(5)(6)(7)(8)(9)(a)(b)");
	assert_int_equal(regex.captures, 9);
	assert_int_equal(regex_match(&regex, SLICE("123456789ab"), captures), MATCH_HOLDS);
	assert_slice(captures[9], "9");
	regex_fini(&regex);
}

static void test_gives_up(void **state)
{
	char subject[64];
	struct regex regex = compile("^(a+)+b$");
	memset(subject, 'a', sizeof subject);
	memcpy(subject + sizeof subject - 2, "cb", 2);
	assert_int_equal(regex_match(&regex, slice_from(subject, sizeof subject), NULL), MATCH_GAVE_UP);
	assert_int_equal(regex_match(&regex, SLICE("aab"), NULL), MATCH_HOLDS);
	regex_fini(&regex);
}

static void test_wrong(void **state)
{
	static const struct {
		const char *pattern, *message;
		size_t offset;
	} rows[] = {
		{"(a", "missing closing parenthesis", 2},
		{"a)", "unmatched closing parenthesis", 1},
		{"[z-a]", "range out of order in character class", 3},
		{"(*UTF)a", "using UTF is disabled by the application", 6},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char message[128];
		size_t offset;
		struct regex regex;
		assert_false(regex_init(&regex, slice_from_string(rows[i].pattern), message, sizeof message, &offset));
		assert_string_equal(message, rows[i].message);
		assert_int_equal(offset, rows[i].offset);
	}
}

static void *match_much(void *argument)
{
	const struct regex *regex = argument;
	struct slice captures[REGEX_CAPTURES_MAX];
	intptr_t good = 0;
	for (int i = 0; i < 2000; i++)
		good += regex_match(regex, SLICE("/item/17/x"), captures) == MATCH_HOLDS &&
			slice_equal(captures[1], SLICE("17"));
	return (void *)good;
}

// Each thread has what it needs, and gives it back when it ends.
static void test_threads(void **state)
{
	pthread_t threads[4];
	struct regex regex = compile("^/item/([0-9]+)(/.*)?$");
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, match_much, &regex), 0);
	for (size_t i = 0; i < COUNT(threads); i++) {
		void *good;
		assert_int_equal(pthread_join(threads[i], &good), 0);
		assert_int_equal((intptr_t)good, 2000);
	}
	regex_fini(&regex);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match), cmocka_unit_test(test_captures), cmocka_unit_test(test_gives_up),
		cmocka_unit_test(test_wrong), cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
