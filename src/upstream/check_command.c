// A check by a program of the operator's: well is what exits with 0. It runs beside the loop,
// on a thread of offload(), in a process group of its own, which is killed when its time is
// over.
#include "fiber/loop.h"
#include "fiber/offload.h"
#include "upstream/check_kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// So often a wait looks whether usher ends.
#define LOOK_NS (50 * MILLISECOND_NS)

static atomic_bool is_ending;

enum { VARIABLES = 6, VARIABLE_SIZE = 400, LINE_MAX_BYTES = 120 };

struct command_run {
	const struct check *check;
	char variables[VARIABLES][VARIABLE_SIZE];
	char line[LINE_MAX_BYTES + 1]; // the first of its output
	size_t line_length;
	bool line_ended;
	bool well;
	char reason[CHECK_REASON_SIZE];
};

static int64_t clock_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * SECOND_NS + time.tv_nsec;
}

static int64_t time_left(int64_t deadline_ns)
{
	return atomic_load(&is_ending) ? 0 : deadline_ns - clock_ns();
}

// Waits until the descriptor has something to say: false when time is over, or usher ends.
static bool wait_readable(int descriptor, int64_t deadline_ns)
{
	for (;;) {
		int64_t left_ns = time_left(deadline_ns), wait_ns = left_ns < LOOK_NS ? left_ns : LOOK_NS;
		struct pollfd wait = {.fd = descriptor, .events = POLLIN};
		int ready = left_ns > 0 ? poll(&wait, 1, (int)(wait_ns / MILLISECOND_NS) + 1) : 0;
		if (ready > 0)
			return true;
		if (left_ns <= 0 || (ready < 0 && errno != EINTR))
			return false;
	}
}

// Keeps the first line, and throws the rest away.
static void take_output(struct command_run *run, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length && !run->line_ended; i++) {
		run->line_ended = bytes[i] == '\n' || run->line_length == LINE_MAX_BYTES;
		if (!run->line_ended)
			run->line[run->line_length++] = bytes[i] >= ' ' && bytes[i] < 0x7f ? bytes[i] : '?';
	}
}

// Until the program has closed its output: false when time is over.
static bool read_output(struct command_run *run, int output, int64_t deadline_ns)
{
	char bytes[4096];
	while (wait_readable(output, deadline_ns)) {
		ssize_t got = read(output, bytes, sizeof(bytes));
		if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
			return true;
		if (got > 0)
			take_output(run, bytes, (size_t)got);
	}
	return false;
}

static bool has_ended(pid_t process, int64_t deadline_ns, int *ret_status)
{
	for (;;) {
		if (waitpid(process, ret_status, WNOHANG) == process)
			return true;
		if (time_left(deadline_ns) <= 0)
			return false;
		(void)usleep(1000);
	}
}

static int spawn(struct command_run *run, int output, pid_t *ret_process)
{
	char *environment[VARIABLES + 1];
	for (size_t i = 0; i < VARIABLES; i++)
		environment[i] = run->variables[i];
	environment[VARIABLES] = NULL;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	int error = posix_spawn_file_actions_init(&actions);
	if (error)
		return error;
	error = posix_spawnattr_init(&attributes);
	if (error) {
		posix_spawn_file_actions_destroy(&actions);
		return error;
	}
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, output, 1);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, output, 2);
	if (!error)
		error = posix_spawn(ret_process, run->check->command[0], &actions, &attributes, run->check->command,
				    environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static void judge(struct command_run *run, int status)
{
	const char *colon = run->line_length > 0 ? ": " : "";
	if (WIFSIGNALED(status))
		check_fail(run->reason, "the command ended by signal %d%s%s", WTERMSIG(status), colon, run->line);
	else if (WEXITSTATUS(status) != 0)
		check_fail(run->reason, "the command exited with %d%s%s", WEXITSTATUS(status), colon, run->line);
	else
		run->well = true;
}

static void run_command(void *argument)
{
	struct command_run *run = argument;
	int64_t deadline_ns = clock_ns() + run->check->timeout_ns;
	int ends[2], status;
	pid_t process;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		check_fail(run->reason, "no pipe for the command: %s", strerror(errno));
		return;
	}
	int error = spawn(run, ends[1], &process);
	close(ends[1]);
	if (error) {
		check_fail(run->reason, "the command cannot be run: %s", strerror(error));
	} else if (read_output(run, ends[0], deadline_ns) && has_ended(process, deadline_ns, &status)) {
		judge(run, status);
	} else {
		check_fail(run->reason, "the command was not done in time");
		(void)kill(-process, SIGKILL);
		(void)waitpid(process, &status, 0);
	}
	if (!error)
		(void)kill(-process, SIGKILL); // whoever it left behind
	close(ends[0]);
}

static void name_server(struct command_run *run, const struct server *server)
{
	struct slice name = server_name(server), pool = server_pool_name(server), host = server_authority(server);
	size_t colon = host.length;
	while (colon > 0 && host.data[colon - 1] != ':')
		colon--;
	struct slice port = colon > 0 ? slice_after(host, colon) : SLICE_EMPTY;
	if (colon > 0)
		host = slice_first(host, colon - 1);
	snprintf(run->variables[0], VARIABLE_SIZE, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	snprintf(run->variables[1], VARIABLE_SIZE, "USHER_SERVER=%.*s", SLICE_ARGUMENTS(name));
	snprintf(run->variables[2], VARIABLE_SIZE, "USHER_POOL=%.*s", SLICE_ARGUMENTS(pool));
	snprintf(run->variables[3], VARIABLE_SIZE, "USHER_CHECK=%.*s", SLICE_ARGUMENTS(run->check->name));
	snprintf(run->variables[4], VARIABLE_SIZE, "USHER_HOST=%.*s", SLICE_ARGUMENTS(host));
	if (run->check->port > 0)
		snprintf(run->variables[5], VARIABLE_SIZE, "USHER_PORT=%u", run->check->port);
	else
		snprintf(run->variables[5], VARIABLE_SIZE, "USHER_PORT=%.*s", SLICE_ARGUMENTS(port));
}

bool check_by_command(const struct check *check, struct server *server, char reason[CHECK_REASON_SIZE])
{
	struct command_run *run = calloc(1, sizeof(*run));
	if (!run)
		return check_fail(reason, "out_of_memory");
	run->check = check;
	name_server(run, server);
	if (offload(run_command, run) < 0)
		check_fail(run->reason, "too much runs beside the loop");
	bool well = run->well;
	memcpy(reason, run->reason, CHECK_REASON_SIZE);
	free(run);
	return well;
}

void check_commands_end(bool end)
{
	atomic_store(&is_ending, end);
}
