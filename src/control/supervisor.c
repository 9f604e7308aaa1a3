#include "control/supervisor.h"

#include "base/check.h"
#include "base/log.h"
#include "control/clock.h"
#include "control/log_files.h"
#include "control/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	// A worker that dies is replaced at once, unless so many died within ten seconds, or
	// so many in a row before they were ready.
	RECENT_DEATHS_MAX = 20,
	EARLY_DEATHS_MAX = 3,
	DELAY_SECONDS_MAX = 30,
};

#define RECENT_NS (10 * SECOND_NS)

// A worker that has not taken a configuration by then is stuck: ten thousand sites take it
// less than a second.
#define ANSWER_NS (60 * SECOND_NS)

void supervisor_init(struct supervisor *supervisor)
{
	*supervisor = (struct supervisor){.channel = -1, .start_at_ns = INT64_MAX};
}

// --- Starting

// The new process keeps its end of the pair and the standard descriptors; everything else
// is handed over to it.
static _Noreturn void become_worker(int channel, const struct privileges *privileges)
{
	enum { WORKER_CHANNEL = 3 };
	if (channel != WORKER_CHANNEL && dup3(channel, WORKER_CHANNEL, O_CLOEXEC) < 0)
		_exit(EXIT_FAILURE);
	if (close_range(WORKER_CHANNEL + 1, ~0U, 0) < 0)
		_exit(EXIT_FAILURE);
	log_files_forget();
	exit(worker_run(WORKER_CHANNEL, privileges));
}

int supervisor_start(struct supervisor *supervisor, const struct privileges *privileges)
{
	check(supervisor->pid == 0 && supervisor->channel < 0);
	int ends[2];
	int error = handoff_pair(ends);
	if (error < 0)
		return error;
	pid_t pid = fork();
	if (pid == 0)
		become_worker(ends[1], privileges);
	close(ends[1]);
	if (pid < 0) {
		error = -errno;
		close(ends[0]);
		return error;
	}
	supervisor->pid = pid;
	supervisor->channel = ends[0];
	supervisor->ready = supervisor->awaiting = supervisor->told_to_end = false;
	supervisor->started_ns = clock_now_ns();
	supervisor->start_at_ns = INT64_MAX;
	return 0;
}

// --- Handing over

static int send_listening(int channel, const struct listening *listening)
{
	check(listening->count > 0);
	struct handoff_message message = {.kind = HANDOFF_LISTENER};
	char name[ADDRESS_TEXT_MAX];
	int error = 0;
	message.text = address_format(&listening->configured, name);
	for (unsigned sent = 0; sent < listening->count && error == 0; sent += message.descriptor_count) {
		unsigned left = listening->count - sent;
		message.number = sent;
		message.descriptor_count = left < HANDOFF_DESCRIPTORS_MAX ? left : HANDOFF_DESCRIPTORS_MAX;
		memcpy(message.descriptors, listening->descriptors + sent,
		       message.descriptor_count * sizeof *message.descriptors);
		error = handoff_send(channel, &message);
	}
	return error;
}

static int send_logs(int channel, const struct plan *plan)
{
	int error = 0;
	for (size_t i = 0; i < plan->log_count && error == 0; i++) {
		struct handoff_message message = {.kind = HANDOFF_LOG,
						  .text = slice_from_string(plan->logs[i]),
						  .descriptors = {log_files_open(plan->logs[i])},
						  .descriptor_count = 1};
		if (message.descriptors[0] < 0)
			return message.descriptors[0];
		error = handoff_send(channel, &message);
		handoff_close(&message);
	}
	return error;
}

// What cannot be opened, the worker misses, and tells.
static int send_directories(int channel, const struct plan *plan)
{
	int error = 0;
	for (size_t i = 0; i < plan->directory_count && error == 0; i++) {
		struct handoff_message message = {.kind = HANDOFF_DIRECTORY,
						  .text = slice_from_string(plan->directories[i].path),
						  .descriptors = {plan_open_directory(plan, &plan->directories[i])},
						  .descriptor_count = 1};
		if (message.descriptors[0] < 0)
			continue;
		error = handoff_send(channel, &message);
		handoff_close(&message);
	}
	return error;
}

static int send_configuration(int channel, const struct plan *plan, unsigned threads)
{
	struct handoff_message message = {.kind = HANDOFF_CONFIGURATION,
					  .number = threads,
					  .text = slice_from_string(plan->path),
					  .descriptors = {plan->bundle},
					  .descriptor_count = 1};
	return handoff_send(channel, &message);
}

int supervisor_hand_over(struct supervisor *supervisor, const struct plan *plan, unsigned threads,
			 const struct sockets *const *sets, unsigned set_count)
{
	check(supervisor->pid > 0 && !supervisor->awaiting && plan->bundle >= 0);
	int error = 0;
	for (unsigned i = 0; i < set_count; i++) {
		for (size_t j = 0; j < sets[i]->count && error == 0; j++)
			error = send_listening(supervisor->channel, &sets[i]->items[j]);
	}
	if (error == 0)
		error = send_logs(supervisor->channel, plan);
	if (error == 0)
		error = send_directories(supervisor->channel, plan);
	if (error == 0)
		error = send_configuration(supervisor->channel, plan, threads);
	if (error == 0) {
		supervisor->awaiting = true;
		supervisor->answer_by_ns = clock_now_ns() + ANSWER_NS;
	}
	return error;
}

int supervisor_reopen_logs(struct supervisor *supervisor, const struct plan *plan)
{
	if (supervisor->pid == 0)
		return 0;
	int error = send_logs(supervisor->channel, plan);
	return error < 0 ? error : handoff_send_text(supervisor->channel, HANDOFF_REOPEN, 0, SLICE_EMPTY);
}

// --- Ending

static void tell_to_end(struct supervisor *supervisor, enum handoff_kind kind, int64_t number)
{
	if (supervisor->pid == 0)
		return;
	supervisor->told_to_end = true;
	if (handoff_send_text(supervisor->channel, kind, number, SLICE_EMPTY) < 0)
		supervisor_kill(supervisor);
}

void supervisor_drain(struct supervisor *supervisor, int64_t drain_ns)
{
	tell_to_end(supervisor, HANDOFF_DRAIN, drain_ns);
}

void supervisor_abort(struct supervisor *supervisor)
{
	tell_to_end(supervisor, HANDOFF_ABORT, 0);
}

void supervisor_kill(struct supervisor *supervisor)
{
	if (supervisor->pid > 0)
		(void)kill(supervisor->pid, SIGKILL);
}

// --- Death

static void log_death(const struct supervisor *supervisor, int status)
{
	double lived = (double)(clock_now_ns() - supervisor->started_ns) / SECOND_NS;
	if (WIFSIGNALED(status))
		log_error("worker %d was ended by signal %d (%s)%s after %.3f s", (int)supervisor->pid,
			  WTERMSIG(status), strsignal(WTERMSIG(status)), WCOREDUMP(status) ? ", core dumped" : "",
			  lived);
	else if (WEXITSTATUS(status) != 0 || !supervisor->told_to_end)
		log_error("worker %d ended with exit code %d after %.3f s", (int)supervisor->pid, WEXITSTATUS(status),
			  lived);
}

// When the next one may start: at once, unless workers die like flies.
static int64_t next_start(struct supervisor *supervisor)
{
	int64_t now_ns = clock_now_ns();
	if (now_ns - supervisor->recent_since_ns > RECENT_NS) {
		supervisor->recent_since_ns = now_ns;
		supervisor->recent_deaths = 0;
	}
	supervisor->recent_deaths++;
	supervisor->early_deaths = supervisor->ready ? 0 : supervisor->early_deaths + 1;
	unsigned too_many = 0;
	if (supervisor->recent_deaths > RECENT_DEATHS_MAX)
		too_many = 1;
	if (supervisor->early_deaths > EARLY_DEATHS_MAX)
		too_many = supervisor->early_deaths - EARLY_DEATHS_MAX;
	if (too_many == 0)
		return now_ns;
	int64_t seconds = too_many < 5 ? INT64_C(1) << (too_many - 1) : DELAY_SECONDS_MAX;
	log_error("workers die one after the other: starting the next one in %lld s", (long long)seconds);
	return now_ns + seconds * SECOND_NS;
}

bool supervisor_gives_up(const struct supervisor *supervisor)
{
	return supervisor->early_deaths > EARLY_DEATHS_MAX;
}

bool supervisor_reap(struct supervisor *supervisor, bool *ret_failed)
{
	int status;
	if (supervisor->pid == 0 || waitpid(supervisor->pid, &status, WNOHANG) != supervisor->pid)
		return false;
	*ret_failed = !supervisor->told_to_end || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	log_death(supervisor, status);
	close(supervisor->channel);
	supervisor->channel = -1;
	supervisor->pid = 0;
	supervisor->awaiting = false;
	supervisor->start_at_ns = supervisor->told_to_end ? INT64_MAX : next_start(supervisor);
	return true;
}
