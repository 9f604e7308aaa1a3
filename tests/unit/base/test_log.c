#include "base/check.h"
#include "base/log.h"
#include "cmocka_all.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int log_ends[2];
static char got[64 * 1024];

// Reads what was logged since the last call.
static void read_log(void)
{
	ssize_t length = read(log_ends[0], got, sizeof got - 1);
	got[length > 0 ? length : 0] = '\0';
}

static int open_log(void **state)
{
	if (pipe(log_ends) != 0)
		return -1;
	log_set_descriptor(log_ends[1]);
	return 0;
}

static int close_log(void **state)
{
	log_set_descriptor(STDERR_FILENO);
	log_set_level(LOG_LEVEL_INFO);
	close(log_ends[0]);
	close(log_ends[1]);
	return 0;
}

static void writes_a_line(void **state)
{
	log_error("cannot open %s: %d", "file", 5);
	read_log();
	// 1994-11-06T08:49:37.123Z error: ...
	assert_int_equal(strspn(got, "0123456789-:.TZ"), 24);
	assert_string_equal(got + 24, " error: cannot open file: 5\n");
	log_warning("w");
	read_log();
	assert_string_equal(got + 24, " warning: w\n");
}

static void leaves_out_lower_levels(void **state)
{
	log_debug("not seen");
	log_info("seen");
	read_log();
	assert_string_equal(got + 24, " info: seen\n");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("now seen");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("not seen");
	log_error("end");
	read_log();
	assert_string_equal(strstr(got, "debug"), strstr(got, "debug: now seen\n"));
	assert_null(strstr(got, "not seen"));
	assert_non_null(strstr(got, "error: end\n"));
}

static void makes_control_characters_visible(void **state)
{
	log_error("%s", "a\nb\033[31m\x7f\xc3\xa4");
	read_log();
	assert_string_equal(got + 24, " error: a\\x0ab\\x1b[31m\\x7f\xc3\xa4\n");
}

static void cuts_long_lines(void **state)
{
	static char longest[10001];
	memset(longest, 'x', 10000);
	log_error("%s", longest);
	memset(longest, '\n', 10000);
	log_error("%s", longest);
	read_log();
	char *end = strchr(got, '\n');
	assert_non_null(end);
	assert_in_range(end + 1 - got, 4000, 4096);
	assert_in_range(strlen(end + 1), 4000, 4096);
	assert_ptr_equal(strchr(end + 1, '\n')[1], '\0');
}

static void log_here(int number)
{
	log_error("line %d", number);
}

static void counts_repetitions(void **state)
{
	// Within one second; where it ended meanwhile, once more.
	time_t before;
	int tries = 0;
	do {
		struct timespec rest;
		clock_gettime(CLOCK_REALTIME, &rest);
		rest.tv_nsec = 1000000000 - rest.tv_nsec;
		rest.tv_sec = 0;
		nanosleep(&rest, NULL);
		before = time(NULL);
		for (int i = 0; i < 50; i++)
			log_here(i);
		read_log();
	} while (time(NULL) != before && ++tries < 10);
	assert_non_null(strstr(got, "line 19\n"));
	assert_null(strstr(got, "line 20\n"));
	while (time(NULL) <= before + 1)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	log_here(50);
	read_log();
	assert_non_null(strstr(got, "error: (30 more like this were left out) line 50\n"));
	// Another place is counted for itself.
	log_error("elsewhere");
	read_log();
	assert_string_equal(got + 24, " error: elsewhere\n");
}

static void say_more(void)
{
	ssize_t written = write(STDERR_FILENO, "more\n", 5);
	check(written == 5);
	check(1 + 1 == 3); // fails inside of the reporter
}

static void failed_checks_abort(void **state)
{
	check(1 + 1 == 2);
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		sigaction(SIGABRT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
		dup2(ends[1], STDERR_FILENO);
		check_set_reporter(say_more);
		check(child != 0);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	close(ends[1]);
	ssize_t length = read(ends[0], got, sizeof got - 1);
	assert_true(length > 0);
	got[length] = '\0';
	close(ends[0]);
	assert_non_null(strstr(got, "usher: "));
	assert_non_null(strstr(got, "test_log.c:"));
	assert_non_null(strstr(got, ": check failed: child != 0\nmore\n"));
	assert_non_null(strstr(got, ": check failed: 1 + 1 == 3\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(writes_a_line, open_log, close_log),
		cmocka_unit_test_setup_teardown(leaves_out_lower_levels, open_log, close_log),
		cmocka_unit_test_setup_teardown(makes_control_characters_visible, open_log, close_log),
		cmocka_unit_test_setup_teardown(cuts_long_lines, open_log, close_log),
		cmocka_unit_test_setup_teardown(counts_repetitions, open_log, close_log),
		cmocka_unit_test(failed_checks_abort),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
