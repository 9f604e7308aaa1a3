#include "control/worker.h"

#include "base/check.h"
#include "base/log.h"
#include "control/clock.h"
#include "control/handoff.h"
#include "control/log_files.h"
#include "control/privileges.h"
#include "control/work.h"
#include "exchange/directories.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

// When its master is gone, nobody tells the worker how long it may take.
#define ORPHAN_DRAIN_NS (30 * SECOND_NS)

struct worker {
	int channel; // -1 when the master is gone
	int drained; // an eventfd that each drained thread writes to
	unsigned threads_drained;
	bool ending, aborted;
	int64_t abort_at_ns;
	struct work *work;
};

static int drained_descriptor = -1;

static void thread_drained(void)
{
	uint64_t one = 1;
	ssize_t written = write(drained_descriptor, &one, sizeof one);
	check(written == sizeof one);
}

// As many as the system lets: each client and each server needs one.
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("cannot raise the limit of open files to %llu: %m", (unsigned long long)limit.rlim_max);
}

// --- What the master says

static void begin_drain(struct worker *worker, int64_t drain_ns)
{
	check(drain_ns >= 0);
	int64_t abort_at_ns = drain_ns > INT64_MAX - clock_now_ns() ? INT64_MAX : clock_now_ns() + drain_ns;
	if (worker->ending && worker->abort_at_ns <= abort_at_ns)
		return;
	worker->ending = true;
	worker->abort_at_ns = abort_at_ns;
	work_drain(worker->work);
}

static void abort_now(struct worker *worker)
{
	worker->ending = worker->aborted = true;
	work_abort(worker->work);
}

static void answer(struct worker *worker, const char *failure)
{
	enum handoff_kind kind = failure ? HANDOFF_FAILED : HANDOFF_READY;
	struct slice text = failure ? slice_from_string(failure) : SLICE_EMPTY;
	int error = handoff_send_text(worker->channel, kind, 0, text);
	if (error < 0)
		log_error("worker: answer the master: %s", strerror(-error));
}

static void take_log(struct handoff_message *message)
{
	if (message->descriptor_count != 1)
		return;
	int descriptor = message->descriptors[0];
	message->descriptor_count = 0;
	if (log_files_put(message->text, descriptor) < 0)
		log_error("worker: no memory for a log file");
}

static void take_directory(struct handoff_message *message)
{
	if (message->descriptor_count != 1)
		return;
	message->descriptor_count = 0;
	directories_put(message->text, message->descriptors[0]);
}

static void take(struct worker *worker, struct handoff_message *message)
{
	char failure[HANDOFF_TEXT_MAX];
	switch (message->kind) {
	case HANDOFF_LISTENER:
		if (work_take_port(worker->work, message) < 0)
			log_error("worker: no memory for a port");
		break;
	case HANDOFF_LOG:
		take_log(message);
		break;
	case HANDOFF_DIRECTORY:
		take_directory(message);
		break;
	case HANDOFF_CONFIGURATION:
		answer(worker, work_take_configuration(worker->work, message, failure) ? NULL : failure);
		directories_close();
		break;
	case HANDOFF_REOPEN:
		work_reopen_logs();
		break;
	case HANDOFF_DRAIN:
		begin_drain(worker, message->number);
		break;
	case HANDOFF_ABORT:
		abort_now(worker);
		break;
	case HANDOFF_READY:
	case HANDOFF_FAILED:
		break;
	}
	handoff_close(message);
}

static void master_is_gone(struct worker *worker)
{
	close(worker->channel);
	worker->channel = -1;
	if (worker->ending)
		return;
	log_warning("worker: the master is gone: finishing what is under way");
	begin_drain(worker, ORPHAN_DRAIN_NS);
}

static void listen_to_master(struct worker *worker)
{
	char buffer[HANDOFF_TEXT_MAX];
	struct handoff_message message;
	int error = handoff_receive(worker->channel, buffer, &message);
	if (error == 0)
		take(worker, &message);
	else if (error == -EPIPE)
		master_is_gone(worker);
	else if (error != -EAGAIN)
		log_error("worker: a message from the master: %s", strerror(-error));
}

// --- The wait

static void count_drained(struct worker *worker)
{
	uint64_t count;
	if (read(worker->drained, &count, sizeof count) == sizeof count)
		worker->threads_drained += (unsigned)count;
}

static void serve(struct worker *worker)
{
	while (!worker->ending || worker->threads_drained < work_thread_count(worker->work)) {
		struct pollfd waits[] = {{.fd = worker->channel, .events = POLLIN},
					 {.fd = worker->drained, .events = POLLIN}};
		int ready = poll(waits, 2, clock_poll_ms(worker->aborted ? INT64_MAX : worker->abort_at_ns));
		if (ready < 0 && errno != EINTR) {
			log_error("worker: poll: %m");
			return;
		}
		if (waits[1].revents)
			count_drained(worker);
		if (worker->channel >= 0 && waits[0].revents)
			listen_to_master(worker);
		if (worker->ending && !worker->aborted && clock_now_ns() >= worker->abort_at_ns) {
			log_warning("worker: cutting off what is still under way after the time for draining");
			abort_now(worker);
		}
	}
}

int worker_run(int channel, const struct privileges *privileges)
{
	struct worker worker = {.channel = channel, .abort_at_ns = INT64_MAX};
	(void)prctl(PR_SET_NAME, "usher-worker");
	raise_descriptor_limit();
	int error = privileges_drop(privileges);
	if (error < 0) {
		log_error("worker: become user %u, group %u: %s", (unsigned)privileges->user,
			  (unsigned)privileges->group, strerror(-error));
		return EXIT_FAILURE;
	}
	worker.drained = drained_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	worker.work = work_new(thread_drained);
	if (worker.drained < 0 || !worker.work) {
		log_error("worker: start: %m");
		return EXIT_FAILURE;
	}
	serve(&worker);
	work_free(worker.work);
	log_files_close();
	directories_close();
	close(worker.drained);
	// The channel stays open to the last: its end tells the master that the worker is gone.
	return EXIT_SUCCESS;
}
