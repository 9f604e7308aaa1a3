// The state store: it outlives crashes, damage and full disks, and two processes learn of each other.
#include "access/session.h"
#include "access/state.h"
#include "cmocka_all.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"
#include "kept_session.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NOTED = 40, THREADS = 4, FIBERS = 50, QUEUE = 4096, PATIENCE_S = 60 };

static const char *program; // this one; with arguments it is another process that has the store open
static char path[] = "/tmp/usher-test-state-XXXXXX";

static int begin(void **state)
{
	memcpy(path + sizeof path - 7, "XXXXXX", 6);
	kept_forget_all();
	return mkdtemp(path) ? 0 : -1;
}

static int remove_one(const char *name, const struct stat *status, int flag, struct FTW *ftw)
{
	return remove(name);
}

static int end(void **state)
{
	state_close();
	return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool open_at(const char *directory, char why[STATE_REASON_MAX])
{
	const struct state_settings settings = {
		.path = directory,
		.directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	};
	return state_open(&settings, why);
}

static void open_store(void)
{
	char why[STATE_REASON_MAX];
	if (!open_at(path, why))
		fail_msg("%s", why);
}

// As after a restart: what memory knows is what the file knew.
static void open_again(void)
{
	state_close();
	kept_forget_all();
	open_store();
}

static bool note(uint64_t id, int64_t created_s)
{
	const struct kept kept = kept_session(id, created_s);
	return state_note(&kept);
}

static void pause_a_little(void)
{
	const struct timespec little = {.tv_nsec = 10 * 1000 * 1000};
	nanosleep(&little, NULL);
}

#define EVENTUALLY(condition)                                                                                          \
	do {                                                                                                           \
		time_t end_s_ = time(NULL) + PATIENCE_S;                                                               \
		while (!(condition) && time(NULL) < end_s_)                                                            \
			pause_a_little();                                                                              \
		assert_true(condition);                                                                                \
	} while (0)

static uint64_t waiting(void)
{
	struct state_status status;
	state_read_status(&status);
	return status.waiting;
}

static bool works(void)
{
	struct state_status status;
	state_read_status(&status);
	return status.file_works;
}

// --- Restarts

static void test_it_outlives_a_restart(void **state)
{
	unsigned char secret[SEAL_KEY_BYTES], now[SEAL_KEY_BYTES];
	open_store();
	seal_own_secret(secret);
	assert_true(note(1, 100));
	assert_false(note(1, 100));
	assert_true(note(1, 101));
	const struct kept user = {
		.kind = KEPT_USER, .value = 7, .until_s = LATE, .subject_length = 3, .subject = "ann"};
	assert_true(state_note(&user));
	const unsigned char other[SEAL_KEY_BYTES] = {1};
	state_close();
	seal_set_own_secret(other);
	open_again();
	assert_true(has_session(1, 101) && kept_covers(&user));
	assert_false(has_session(1, 102) || has_session(2, 1));
	seal_own_secret(now);
	assert_memory_equal(secret, now, sizeof secret);
}

static void test_without_a_store_it_is_in_memory(void **state)
{
	assert_false(state_is_open());
	assert_true(note(5, 100));
	assert_false(note(5, 100));
	assert_true(has_session(5, 100));
}

static void test_what_is_old_goes_from_the_file(void **state)
{
	open_store();
	struct kept old = kept_session(1, 100);
	old.until_s = 1000;
	assert_true(state_note(&old));
	assert_true(note(2, 100));
	open_again();
	// It is swept with the first look at what others wrote.
	EVENTUALLY(kept_count() == 1);
	open_again();
	assert_true(has_session(2, 100));
	assert_false(has_session(1, 100));
}

// --- Other processes

static pid_t start_other(const char *what, int *ret_output)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		execl(program, program, what, path, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	*ret_output = ends[0];
	return pid;
}

// What it says, one number after the other, until it is killed.
static int other_notes_until_killed(void)
{
	for (uint64_t id = 1;; id++) {
		if (!note(id, 100) || write(STDOUT_FILENO, &id, sizeof id) != sizeof id)
			return 1;
	}
}

static int other_notes_one(void)
{
	uint64_t was_new = note(77, 100);
	return write(STDOUT_FILENO, &was_new, sizeof was_new) == sizeof was_new ? 0 : 1;
}

static int be_other(const char *what, const char *directory)
{
	char why[STATE_REASON_MAX];
	if (!open_at(directory, why))
		return 1;
	int code = strcmp(what, "until-killed") == 0 ? other_notes_until_killed() : other_notes_one();
	state_close();
	return code;
}

// Whatever was said to be written is there, wherever the crash was.
static void test_it_outlives_a_crash(void **state)
{
	for (unsigned round = 0; round < 5; round++) {
		uint64_t last = 0;
		int output, status;
		pid_t pid = start_other("until-killed", &output);
		while (last < NOTED * (round + 1))
			assert_int_equal(read(output, &last, sizeof last), sizeof last);
		kill(pid, SIGKILL);
		uint64_t more;
		while (read(output, &more, sizeof more) == sizeof more)
			last = more;
		close(output);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		open_again();
		for (uint64_t id = 1; id <= last; id++)
			assert_true(has_session(id, 100));
		assert_false(has_session(last + 2, 100));
		end(state);
		begin(state);
	}
}

static void test_another_process_is_learnt_of(void **state)
{
	uint64_t was_new;
	int output, status;
	open_store();
	assert_false(has_session(77, 100));
	pid_t pid = start_other("one", &output);
	assert_int_equal(read(output, &was_new, sizeof was_new), sizeof was_new);
	close(output);
	waitpid(pid, &status, 0);
	assert_int_equal(was_new, 1);
	EVENTUALLY(has_session(77, 100));
	// The other way round, at once: by the file, whatever the memory knows.
	pid = start_other("one", &output);
	assert_int_equal(read(output, &was_new, sizeof was_new), sizeof was_new);
	close(output);
	waitpid(pid, &status, 0);
	assert_int_equal(was_new, 0);
}

// Of two that use a code up at the same moment, one does so, though neither's memory knows of the other.
static void test_the_file_knows_what_memory_does_not(void **state)
{
	open_store();
	assert_true(note(9, 100));
	kept_forget_all();
	assert_false(note(9, 100));
	assert_true(note(9, 101));
}

// --- What goes wrong

static void write_into(const char *name, off_t at, const char *bytes)
{
	char whole[128];
	snprintf(whole, sizeof whole, "%s/%s", path, name);
	int descriptor = open(whole, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(descriptor >= 0);
	assert_int_equal(pwrite(descriptor, bytes, strlen(bytes), at), strlen(bytes));
	close(descriptor);
}

static void test_a_damaged_file_is_moved_aside(void **state)
{
	int64_t now_s = (int64_t)time(NULL);
	open_store();
	assert_true(note(1, now_s - 10));
	state_close();
	kept_forget_all();
	write_into("state.db", 0, "this is no database at all, and never was one");
	open_store();
	assert_true(has_session(1, now_s - 10) && has_session(2, now_s - 10)); // all have ended
	assert_false(has_session(3, now_s + 100));
	assert_true(note(3, now_s + 100));
	open_again();
	assert_true(has_session(1, now_s - 10) && has_session(3, now_s + 100));
	assert_false(has_session(4, now_s + 100));
}

static void test_no_file_can_be_made(void **state)
{
	char why[STATE_REASON_MAX], name[128];
	snprintf(name, sizeof name, "%s/state.db", path);
	assert_int_equal(mkdir(name, 0700), 0);
	assert_false(open_at(path, why));
	assert_non_null(strstr(why, "state.db: Is a directory"));
	assert_false(state_is_open() || has_session(1, 100));
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

// What it could not write, it writes when it can; until then memory knows it.
static void test_a_full_disk(void **state)
{
	open_store();
	assert_true(note(1, 100));
	limit_files(4096);
	assert_true(note(2, 100));
	limit_files(RLIM_INFINITY);
	assert_true(has_session(2, 100));
	EVENTUALLY(waiting() == 0);
	assert_true(works());
	open_again();
	assert_true(has_session(1, 100) && has_session(2, 100));
}

static void test_more_than_can_wait_is_covered_by_a_floor(void **state)
{
	open_store();
	limit_files(4096);
	for (uint64_t id = 1; id <= QUEUE + 10; id++)
		assert_true(note(id, 100 + (int64_t)id));
	assert_false(works());
	limit_files(RLIM_INFINITY);
	EVENTUALLY(waiting() == 0 && works());
	assert_false(has_session(999999, 100)); // this process knows each
	open_again();
	for (uint64_t id = 1; id <= QUEUE + 10; id++)
		assert_true(has_session(id, 100 + (int64_t)id));
	assert_true(has_session(999999, 100 + QUEUE + 10));
	assert_false(has_session(999999, 100 + QUEUE + 11));
}

// At a full disk from the beginning, nothing that was before counts until the file could be read.
static void test_in_doubt_until_it_can_be_opened(void **state)
{
	int64_t now_s = (int64_t)time(NULL);
	open_store();
	assert_true(note(1, now_s - 10));
	state_close();
	kept_forget_all();
	limit_files(1);
	open_store();
	assert_false(works());
	assert_true(has_session(1, now_s - 10) && has_session(2, now_s - 10));
	assert_false(has_session(2, now_s + 100));
	assert_true(note(3, now_s + 100));
	limit_files(RLIM_INFINITY);
	EVENTUALLY(works());
	EVENTUALLY(!has_session(2, now_s - 10));
	assert_true(has_session(1, now_s - 10) && has_session(3, now_s + 100));
	open_again();
	assert_true(has_session(1, now_s - 10) && has_session(3, now_s + 100));
}

// --- Many at once

static void *note_many(void *argument)
{
	uint64_t first = (uint64_t)(uintptr_t)argument * 1000;
	uintptr_t wrong = 0;
	for (uint64_t id = first; id < first + NOTED; id++)
		wrong += !note(id, 100) + !has_session(id, 100);
	return (void *)wrong;
}

static void test_several_threads(void **state)
{
	pthread_t threads[THREADS];
	open_store();
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, note_many, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	open_again();
	for (uint64_t i = 1; i <= THREADS; i++)
		assert_true(has_session(i * 1000, 100) && has_session(i * 1000 + NOTED - 1, 100));
}

static unsigned new_ones, ended;

// All note the same few.
static void note_on_fiber(void *argument)
{
	new_ones += note((uint64_t)(uintptr_t)argument % 10, 100);
	ended++;
}

static void test_fibers_wait(void **state)
{
	struct kernel *kernel = kernel_linux_new();
	struct loop *loop = loop_new(kernel);
	open_store();
	new_ones = ended = 0;
	for (uintptr_t i = 0; i < FIBERS; i++)
		assert_non_null(fiber_spawn("note", note_on_fiber, (void *)i));
	while (ended < FIBERS)
		(void)loop_turn(loop, 100 * MILLISECOND_NS);
	assert_int_equal(new_ones, 10);
	assert_int_equal(waiting(), 0);
	loop_free(loop);
	kernel_linux_free(kernel);
}

int main(int count, char **arguments)
{
	if (count == 3)
		return be_other(arguments[1], arguments[2]);
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_it_outlives_a_restart, begin, end),
		cmocka_unit_test_setup_teardown(test_without_a_store_it_is_in_memory, begin, end),
		cmocka_unit_test_setup_teardown(test_what_is_old_goes_from_the_file, begin, end),
		cmocka_unit_test_setup_teardown(test_it_outlives_a_crash, begin, end),
		cmocka_unit_test_setup_teardown(test_another_process_is_learnt_of, begin, end),
		cmocka_unit_test_setup_teardown(test_the_file_knows_what_memory_does_not, begin, end),
		cmocka_unit_test_setup_teardown(test_a_damaged_file_is_moved_aside, begin, end),
		cmocka_unit_test_setup_teardown(test_no_file_can_be_made, begin, end),
		cmocka_unit_test_setup_teardown(test_a_full_disk, begin, end),
		cmocka_unit_test_setup_teardown(test_more_than_can_wait_is_covered_by_a_floor, begin, end),
		cmocka_unit_test_setup_teardown(test_in_doubt_until_it_can_be_opened, begin, end),
		cmocka_unit_test_setup_teardown(test_several_threads, begin, end),
		cmocka_unit_test_setup_teardown(test_fibers_wait, begin, end),
	};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	(void)sigaction(SIGXFSZ, &ignore, NULL);
	program = arguments[0];
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	kept_forget_all();
	return failed;
}
