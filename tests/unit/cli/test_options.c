// Command lines, taken apart.
#include "cli/command.h"
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROW_FILE, ROW_FLAG, ROW_LONG };

static const struct command_option options[] = {
	[ROW_FILE] = {"file", 'f', "FILE", "a file"},
	[ROW_FLAG] = {"flag", 'g', NULL, "a flag"},
	[ROW_LONG] = {"long-only", 0, "VALUE", "without a letter"},
	{0},
};

static int nothing(const struct invocation *invocation)
{
	return 7;
}

static const struct command command = {
	.name = "test", .arguments = "A [B]", .help = "", .options = options, .least = 1, .most = 2, .run = nothing};
static const struct command any = {.name = "any", .arguments = "", .help = "", .most = -1, .run = nothing};

static struct invocation invocation;
static bool help;

// The words up to a NULL.
static bool parse(const struct command *which, const char **words)
{
	int count = 0;
	while (words[count])
		count++;
	memset(&invocation, 0xff, sizeof invocation);
	return command_parse(which, count, (char **)words, &invocation, &help);
}

#define PARSE(which, ...) parse(which, (const char *[]){"test", __VA_ARGS__, NULL})

static void test_arguments(void **state)
{
	assert_true(PARSE(&command, "one", "two"));
	assert_int_equal(invocation.count, 2);
	assert_string_equal(invocation.arguments[0], "one");
	assert_string_equal(invocation.arguments[1], "two");
	assert_null(invocation.values[ROW_FILE]);
	assert_null(invocation.values[ROW_FLAG]);
	assert_false(invocation.quiet || invocation.verbose || help);
}

static void test_each_way_to_give_a_value(void **state)
{
	assert_true(PARSE(&command, "-f", "x", "one"));
	assert_string_equal(invocation.values[ROW_FILE], "x");
	assert_true(PARSE(&command, "-fx", "one"));
	assert_string_equal(invocation.values[ROW_FILE], "x");
	assert_true(PARSE(&command, "--file", "x", "one"));
	assert_string_equal(invocation.values[ROW_FILE], "x");
	assert_true(PARSE(&command, "one", "--file=x"));
	assert_string_equal(invocation.values[ROW_FILE], "x");
	assert_int_equal(invocation.count, 1);
	assert_true(PARSE(&command, "--long-only=y", "one"));
	assert_string_equal(invocation.values[ROW_LONG], "y");
	assert_null(invocation.values[ROW_FILE]);
}

static void test_flags(void **state)
{
	assert_true(PARSE(&command, "-gqv", "one"));
	assert_string_equal(invocation.values[ROW_FLAG], "");
	assert_true(invocation.quiet && invocation.verbose);
	assert_true(PARSE(&command, "one", "--flag", "--quiet"));
	assert_string_equal(invocation.values[ROW_FLAG], "");
	assert_true(invocation.quiet);
	assert_false(invocation.verbose);
}

static void test_end_of_options(void **state)
{
	assert_true(PARSE(&command, "--", "-f", "--flag"));
	assert_int_equal(invocation.count, 2);
	assert_string_equal(invocation.arguments[0], "-f");
}

static void test_help_needs_no_arguments(void **state)
{
	assert_true(PARSE(&command, "--help"));
	assert_true(help);
	assert_true(PARSE(&command, "-h"));
	assert_true(help);
}

static void test_wrong_usage(void **state)
{
	assert_false(PARSE(&command, "--flag"));
	assert_false(PARSE(&command, "one", "two", "three"));
	assert_false(PARSE(&command, "one", "--unknown"));
	assert_false(PARSE(&command, "one", "-x"));
	assert_false(PARSE(&command, "one", "-f"));
	assert_false(PARSE(&command, "one", "--file"));
	assert_false(PARSE(&command, "one", "--flag=x"));
	assert_false(PARSE(&any, "--file", "x"));
	assert_true(PARSE(&any, "1", "2", "3", "4", "5", "6"));
}

static void test_run(void **state)
{
	char *well[] = {"test", "one", NULL}, *wrong[] = {"test", NULL};
	assert_int_equal(command_run(&command, 2, well), 7);
	assert_int_equal(command_run(&command, 1, wrong), EXIT_USAGE);
}

static void test_every_command_is_whole(void **state)
{
	for (const struct command *const *each = commands; *each; each++) {
		assert_non_null((*each)->name);
		assert_non_null((*each)->arguments);
		assert_non_null((*each)->summary);
		assert_non_null((*each)->help);
		assert_non_null((*each)->run);
		assert_int_equal((*each)->help[strlen((*each)->help) - 1], '\n');
		assert_ptr_equal(command_find((*each)->name), *each);
	}
	assert_null(command_find("nonsense"));
	assert_null(command_find(""));
}

static void test_unknown_command(void **state)
{
	assert_int_equal(command_unknown("chekc"), EXIT_USAGE);
	assert_int_equal(command_unknown(""), EXIT_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_each_way_to_give_a_value),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_end_of_options),
		cmocka_unit_test(test_help_needs_no_arguments),
		cmocka_unit_test(test_wrong_usage),
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_every_command_is_whole),
		cmocka_unit_test(test_unknown_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
