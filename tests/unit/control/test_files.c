// The PID file, the log files, and where the control socket is.
#include "base/log.h"
#include "cmocka_all.h"
#include "control/control_path.h"
#include "control/log_files.h"
#include "control/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[32], path[64];

static int make_directory(void **state)
{
	memcpy(directory, "/tmp/usher-test-XXXXXX", sizeof "/tmp/usher-test-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	(void)snprintf(path, sizeof path, "%s/file", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)unlink(path);
	return rmdir(directory);
}

static size_t content(char text[256])
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t length = fread(text, 1, 255, file);
	text[length] = '\0';
	fclose(file);
	return length;
}

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_pid_file(void **state)
{
	char text[256], expected[32];
	write_file("1\n"); // left behind
	assert_int_equal(pid_file_write(path), 0);
	(void)snprintf(expected, sizeof expected, "%d\n", (int)getpid());
	content(text);
	assert_string_equal(text, expected);
	pid_file_remove(path);
	assert_int_equal(access(path, F_OK), -1);
	pid_file_remove(path); // nothing to remove
}

static void test_pid_file_of_another_stays(void **state)
{
	write_file("1\n");
	pid_file_remove(path);
	assert_int_equal(access(path, F_OK), 0);
	write_file("nonsense");
	pid_file_remove(path);
	assert_int_equal(access(path, F_OK), 0);
}

static void test_pid_file_that_cannot_be(void **state)
{
	assert_int_equal(pid_file_write("/nonexistent/usher.pid"), -ENOENT);
}

static int open_file(void)
{
	int descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(descriptor >= 0);
	return descriptor;
}

static void test_log_files(void **state)
{
	char text[256];
	assert_int_equal(log_files_open(path), -ENOENT);
	assert_int_equal(log_files_put(slice_from_string(path), open_file()), 0);
	int own = log_files_open(path);
	assert_true(own >= 0);
	assert_int_equal(write(own, "x", 1), 1);
	// A new file in its place; who opened the old one keeps it.
	assert_int_equal(unlink(path), 0);
	assert_int_equal(log_files_put(slice_from_string(path), open_file()), 0);
	assert_int_equal(write(own, "y", 1), 1);
	close(own);
	own = log_files_open(path);
	assert_int_equal(write(own, "z", 1), 1);
	close(own);
	content(text);
	assert_string_equal(text, "z");
	log_files_close();
	assert_int_equal(log_files_open(path), -ENOENT);
}

static void test_log_files_that_are_no_more(void **state)
{
	const char *kept[] = {NULL, path};
	assert_int_equal(log_files_put(slice_from_string(path), open_file()), 0);
	assert_int_equal(log_files_put(SLICE("/other"), open_file()), 0);
	log_files_keep(kept, 2, 1);
	int own = log_files_open("/other");
	assert_true(own >= 0);
	close(own);
	log_files_keep(kept, 2, 0);
	assert_int_equal(log_files_open("/other"), -ENOENT);
	own = log_files_open(path);
	assert_true(own >= 0);
	close(own);
	log_files_keep(NULL, 0, 0);
	assert_int_equal(log_files_open(path), -ENOENT);
}

static void test_error_log_goes_to_its_file(void **state)
{
	char text[256];
	assert_int_equal(log_files_put(slice_from_string(path), open_file()), 0);
	error_log_use(path);
	log_info("first");
	assert_true(content(text) > 0);
	assert_non_null(strstr(text, "info: first\n"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(log_files_put(slice_from_string(path), open_file()), 0);
	log_info("to the old one");
	error_log_reopen();
	log_info("second");
	content(text);
	assert_null(strstr(text, "old one"));
	assert_non_null(strstr(text, "info: second\n"));
	log_set_descriptor(STDERR_FILENO);
	log_files_close();
}

static void test_control_path_follows_the_configuration(void **state)
{
	struct sockaddr_un one, same, other;
	char again[160];
	write_file("");
	assert_int_equal(control_path(NULL, path, &one), 0);
	(void)snprintf(again, sizeof again, "%s/./file", directory);
	assert_int_equal(control_path(NULL, again, &same), 0);
	assert_string_equal(one.sun_path, same.sun_path);
	assert_int_equal(control_path(NULL, "/etc/passwd", &other), 0);
	assert_string_not_equal(one.sun_path, other.sun_path);
	assert_int_equal(control_path(NULL, "/nonexistent", &other), -ENOENT);
}

static void test_control_path_given(void **state)
{
	static char endless[200];
	struct sockaddr_un address;
	assert_int_equal(control_path("/run/x.sock", "/nonexistent", &address), 0);
	assert_string_equal(address.sun_path, "/run/x.sock");
	memset(endless, 'x', sizeof endless - 1);
	assert_int_equal(control_path(endless, path, &address), -ENAMETOOLONG);
}

static void test_control_directory_is_ours_alone(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat status;
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%.63s/control", path);
	assert_int_equal(control_path_prepare(&address), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	assert_int_equal(control_path_prepare(&address), 0);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(control_path_prepare(&address), -EPERM);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/tmp", path), 0);
	assert_int_equal(control_path_prepare(&address), -EPERM);
}

int main(void)
{
#define FILE_TEST(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)
	const struct CMUnitTest tests[] = {
		FILE_TEST(test_pid_file),
		FILE_TEST(test_pid_file_of_another_stays),
		FILE_TEST(test_pid_file_that_cannot_be),
		FILE_TEST(test_log_files),
		FILE_TEST(test_log_files_that_are_no_more),
		FILE_TEST(test_error_log_goes_to_its_file),
		FILE_TEST(test_control_path_follows_the_configuration),
		FILE_TEST(test_control_path_given),
		FILE_TEST(test_control_directory_is_ours_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
