#include "base/log.h"
#include "observe/access_log.h"
#include "support.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

static char folder[64], path[96], other_path[96];

static int set_up(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/usher-test-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/access.log", folder);
	snprintf(other_path, sizeof(other_path), "%s/access.log.1", folder);
	return 0;
}

static int tear_down(void **state)
{
	access_log_set_opener(NULL);
	unlink(path);
	unlink(other_path);
	return rmdir(folder);
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void pause_ms(int milliseconds)
{
	poll(NULL, 0, milliseconds);
}

static struct access_log *open_log(const char *at, const char *format)
{
	struct access_log *log;
	assert_int_equal(access_log_open(at, slice_from_string(format), &log), 0);
	return log;
}

// A line "ID LENGTH-of-path-bytes".
static void write_line(struct access_log *log, unsigned writer, unsigned number, size_t length)
{
	static const char filling[4096] = {[0 ... 4095] = 'x'};
	char id[32];
	int id_length = snprintf(id, sizeof(id), "%u-%u", writer, number);
	struct access_record record = {
		.request_id = slice_from(id, (size_t)id_length),
		.path = slice_from(filling, length),
		.status = 200,
	};
	access_log_write(log, &record);
}

static const char FORMAT[] = "$request_id $path";

static char *read_file(const char *at, size_t *ret_length)
{
	int file = open(at, O_RDONLY | O_CLOEXEC);
	struct stat status = {0};
	if (file >= 0)
		fstat(file, &status);
	char *bytes = malloc((size_t)status.st_size + 1);
	assert_non_null(bytes);
	ssize_t length = file >= 0 ? read(file, bytes, (size_t)status.st_size) : 0;
	assert_true(length >= 0);
	if (file >= 0)
		close(file);
	bytes[length] = '\0';
	*ret_length = (size_t)length;
	return bytes;
}

static bool file_has(const char *at, const char *text)
{
	size_t length;
	char *bytes = read_file(at, &length);
	bool found = strstr(bytes, text) != NULL;
	free(bytes);
	return found;
}

static size_t file_size(const char *at)
{
	struct stat status;
	return stat(at, &status) == 0 ? (size_t)status.st_size : 0;
}

// --- On a loop

static void with_loop(fiber_function *run)
{
	struct kernel *kernel = kernel_linux_new();
	struct loop *loop = loop_new(kernel);
	assert_non_null(loop);
	assert_non_null(fiber_spawn("test", run, NULL));
	loop_run(loop);
	access_log_end_thread();
	loop_free(loop);
	kernel_linux_free(kernel);
	access_log_stop(5000);
}

static void sleep_ms(int milliseconds)
{
	fiber_sleep("test", loop_now() + milliseconds * MILLISECOND_NS);
}

static void write_and_wait(void *argument)
{
	struct access_log *log = open_log(path, FORMAT);
	assert_ptr_equal(open_log(path, FORMAT), log);
	assert_int_equal(file_size(path), 0);
	struct stat status;
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0137, 0);
	// A single line does not wait for others for ever.
	write_line(log, 1, 0, 3);
	assert_int_equal(file_size(path), 0);
	while (!file_has(path, "1-0 xxx\n"))
		sleep_ms(20);
	// Full buffers go out at once, the rest when the thread ends.
	for (unsigned i = 1; i <= 3000; i++)
		write_line(log, 1, i, 50);
	while (file_size(path) < 2 * 65536)
		sleep_ms(5);
	assert_false(file_has(path, "1-3000 "));
	access_log_close(log);
	access_log_close(log);
	access_log_close(NULL);
}

static void writes_after_a_second_or_when_full(void **state)
{
	with_loop(write_and_wait);
	assert_true(file_has(path, "1-3000 "));
}

static void write_around_reopen(void *argument)
{
	struct access_log *log = open_log(path, FORMAT);
	struct access_log *again = open_log(path, "json");
	assert_ptr_not_equal(again, log);
	write_line(log, 1, 1, 3);
	assert_int_equal(rename(path, other_path), 0);
	access_log_reopen_all();
	access_log_reopen_all(); // an impatient one
	while (file_size(other_path) == 0 || access(path, F_OK) != 0)
		sleep_ms(1);
	write_line(log, 1, 2, 3);
	write_line(again, 1, 3, 3);
}

static void reopens(void **state)
{
	with_loop(write_around_reopen);
	assert_true(file_has(other_path, "1-1 xxx\n"));
	assert_false(file_has(other_path, "1-2 xxx\n"));
	assert_true(file_has(path, "1-2 xxx\n"));
	assert_true(file_has(path, "\"request_id\":\"1-3\""));
}

static void reopen_in_vain(void *argument)
{
	struct access_log *log = open_log(path, FORMAT);
	write_line(log, 1, 1, 3);
	// The name is a folder now: the old file goes on.
	assert_int_equal(rename(path, other_path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	access_log_reopen_all();
	sleep_ms(50);
	write_line(log, 1, 2, 3);
}

static void keeps_the_file_that_it_cannot_reopen(void **state)
{
	with_loop(reopen_in_vain);
	assert_true(file_has(other_path, "1-1 xxx\n1-2 xxx\n"));
	assert_int_equal(rmdir(path), 0);
}

// The thread ends before its loop has seen the reopen.
static void reopen_and_end(void *argument)
{
	struct access_log *log = open_log(path, FORMAT);
	write_line(log, 1, 1, 3);
	access_log_reopen_all();
	access_log_end_thread();
	write_line(log, 1, 2, 3);
	sleep_ms(10);
}

static void a_thread_may_end_during_a_reopen(void **state)
{
	with_loop(reopen_and_end);
	assert_true(file_has(path, "1-1 xxx\n1-2 xxx\n"));
}

// --- Many threads

enum { WRITERS = 4, LINES = 8000 };

static struct access_log *shared;

static void write_many(void *argument)
{
	for (unsigned i = 0; i < LINES; i++) {
		write_line(shared, *(unsigned *)argument, i, i % 100);
		if (i % 500 == 0)
			fiber_yield();
	}
}

static void *writer_run(void *argument)
{
	struct kernel *kernel = kernel_linux_new();
	struct loop *loop = loop_new(kernel);
	fiber_spawn("writer", write_many, argument);
	while (fiber_count() > 0)
		loop_turn(loop, 0);
	access_log_end_thread();
	loop_free(loop);
	kernel_linux_free(kernel);
	return NULL;
}

// Each line whole, each writer's in order; counted over both files.
static void count_lines(const char *at, unsigned next[WRITERS])
{
	size_t length;
	char *bytes = read_file(at, &length);
	char *rest = bytes;
	while (*rest) {
		char *line = strsep(&rest, "\n"), *end;
		assert_non_null(rest); // the last one is whole, too
		unsigned writer = (unsigned)strtoul(line, &end, 10), number = (unsigned)strtoul(end + 1, &end, 10);
		assert_true(writer < WRITERS);
		assert_int_equal(number, next[writer]);
		next[writer]++;
		size_t expected = number % 100 ? number % 100 : 2; // an empty value is ""
		assert_int_equal(strlen(end + 1), expected);
	}
	free(bytes);
}

static void threads_write_to_one_file(void **state)
{
	pthread_t threads[WRITERS];
	unsigned numbers[WRITERS], next[WRITERS] = {0};
	shared = open_log(path, FORMAT);
	for (unsigned i = 0; i < WRITERS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, writer_run, &numbers[i]), 0);
	}
	pause_ms(1);
	assert_int_equal(rename(path, other_path), 0);
	access_log_reopen_all();
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(access_log_lost(shared), 0);
	access_log_stop(30000);
	count_lines(other_path, next);
	count_lines(path, next);
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(next[i], LINES);
}

// --- What goes wrong. Without a loop each line goes out by itself.

static void wait_for_loss(struct access_log *log, uint64_t lines)
{
	int64_t until = now_ms() + 30000;
	while (access_log_lost(log) < lines && now_ms() < until)
		pause_ms(2);
	assert_int_equal(access_log_lost(log), lines);
}

static void counts_what_a_full_disk_loses(void **state)
{
	uint64_t before = access_log_lost(NULL);
	struct access_log *log = open_log("/dev/full", FORMAT);
	for (unsigned i = 0; i < 50; i++)
		write_line(log, 1, i, 10);
	wait_for_loss(log, 50);
	assert_int_equal(access_log_lost(NULL), before + 50);
	access_log_end_thread();
	access_log_stop(5000);
	assert_int_equal(access_log_lost(NULL), before + 50);
}

// The disk takes half a line, and later there is room again.
static void ends_a_torn_line(void **state)
{
	struct rlimit before, small;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	struct access_log *log = open_log(path, FORMAT);
	small = (struct rlimit){.rlim_cur = 100, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned i = 0; i < 5; i++)
		write_line(log, 1, i, 40);
	wait_for_loss(log, 3);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(file_size(path), 100);
	write_line(log, 1, 5, 3);
	write_line(log, 1, 6, 3);
	access_log_end_thread();
	access_log_stop(5000);
	assert_true(file_has(path, " xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n1-2 "));
	assert_true(file_has(path, "x\n1-5 xxx\n1-6 xxx\n"));
	assert_false(file_has(path, "\n\n"));
}

// A FIFO that nobody reads takes what a pipe and the queue hold; the rest is lost, and nobody
// waits. Who reads it later gets whole lines.
static void a_fifo_that_nobody_reads_stops_nobody(void **state)
{
	enum { MANY = 12000 };
	assert_int_equal(mkfifo(path, 0600), 0);
	struct access_log *log = open_log(path, FORMAT), *file = open_log(other_path, FORMAT);
	for (unsigned i = 0; i < MANY; i++)
		write_line(log, 1, i, 1000);
	assert_true(access_log_lost(log) > 0);
	// The other log goes on.
	write_line(file, 1, 1, 3);
	while (!file_has(other_path, "1-1 xxx\n"))
		pause_ms(2);

	int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader >= 0);
	static char bytes[65536];
	size_t lines = 0, column = 0;
	uint64_t lost = access_log_lost(log);
	for (int64_t until = now_ms() + 30000; lines < MANY - lost && now_ms() < until;) {
		ssize_t count = read(reader, bytes, sizeof(bytes));
		if (count <= 0)
			pause_ms(1);
		for (ssize_t i = 0; i < count; i++) {
			column++;
			if (bytes[i] != '\n')
				continue;
			assert_true(column >= 1000 + 5 && column <= 1000 + 10);
			lines++;
			column = 0;
		}
	}
	assert_int_equal(column, 0);
	assert_int_equal(lines, MANY - lost);
	close(reader);
	access_log_end_thread();
	access_log_stop(5000);
}

static void stopping_is_bounded(void **state)
{
	assert_int_equal(mkfifo(path, 0600), 0);
	struct access_log *log = open_log(path, FORMAT);
	for (unsigned i = 0; i < 200; i++)
		write_line(log, 1, i, 1000);
	access_log_end_thread();
	uint64_t before = access_log_lost(NULL);
	int64_t begun = now_ms();
	access_log_stop(100);
	assert_true(now_ms() - begun >= 100);
	uint64_t lost = access_log_lost(NULL) - before;
	assert_true(lost > 0 && lost < 200); // a pipe took some
}

// Standard output is not usher's own: it may be a pipe that blocks.
static void writes_to_standard_output(void **state)
{
	int ends[2], output = dup(STDOUT_FILENO);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fflush(stdout);
	dup2(ends[1], STDOUT_FILENO);
	struct access_log *log = open_log("stdout", FORMAT);
	write_line(log, 1, 1, 3);
	for (unsigned i = 2; i < 200; i++)
		write_line(log, 1, i, 1000);
	char bytes[9] = "";
	assert_int_equal(read(ends[0], bytes, 8), 8);
	access_log_end_thread();
	access_log_stop(50);
	dup2(output, STDOUT_FILENO);
	close(output);
	close(ends[0]);
	close(ends[1]);
	assert_string_equal(bytes, "1-1 xxx\n");
}

static void says_why_it_cannot_open(void **state)
{
	struct access_log *log;
	assert_int_equal(access_log_open("/nonexistent/access.log", SLICE("combined"), &log), -ENOENT);
	assert_int_equal(access_log_open(folder, SLICE("combined"), &log), -EISDIR);
	assert_int_equal(access_log_open(path, SLICE("$nonsense"), &log), -EINVAL);
	assert_int_not_equal(access(path, F_OK), 0);
	access_log_stop(1000);
	access_log_stop(1000); // of nothing
}

static int open_for_others(const char *wanted)
{
	assert_string_equal(wanted, "/root-only/access.log");
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void opens_through_somebody_else(void **state)
{
	access_log_set_opener(open_for_others);
	struct access_log *log = open_log("/root-only/access.log", FORMAT);
	write_line(log, 1, 1, 3);
	access_log_end_thread();
	access_log_stop(5000);
	assert_true(file_has(path, "1-1 xxx\n"));
}

// What nobody uses is closed, and opened again when it is wanted.
static void closes_and_opens_again(void **state)
{
	struct access_log *log = open_log(path, FORMAT);
	write_line(log, 1, 1, 3);
	access_log_close(log);
	while (!file_has(path, "1-1 xxx\n"))
		pause_ms(2);
	write_line(log, 1, 2, 3); // a late one
	while (!file_has(path, "1-2 xxx\n"))
		pause_ms(2);
	assert_ptr_equal(open_log(path, FORMAT), log);
	write_line(log, 1, 3, 3);
	access_log_end_thread();
	access_log_stop(5000);
	assert_true(file_has(path, "1-1 xxx\n1-2 xxx\n1-3 xxx\n"));
}

// There is nothing to close then, and the writer has nothing to do.
static void leaves_standard_output_open(void **state)
{
	struct access_log *log = open_log("stdout", FORMAT);
	access_log_close(log);
	struct timespec before, after;
	pause_ms(20);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	pause_ms(300);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	int64_t busy_ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
	access_log_end_thread();
	access_log_stop(5000);
	assert_true(busy_ms < 200);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(writes_after_a_second_or_when_full),
		TEST(reopens),
		TEST(keeps_the_file_that_it_cannot_reopen),
		TEST(a_thread_may_end_during_a_reopen),
		TEST(threads_write_to_one_file),
		TEST(counts_what_a_full_disk_loses),
		TEST(ends_a_torn_line),
		TEST(a_fifo_that_nobody_reads_stops_nobody),
		TEST(stopping_is_bounded),
		TEST(writes_to_standard_output),
		TEST(says_why_it_cannot_open),
		TEST(opens_through_somebody_else),
		TEST(closes_and_opens_again),
		TEST(leaves_standard_output_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
