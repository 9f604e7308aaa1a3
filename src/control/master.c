#include "control/master.h"

#include "base/check.h"
#include "base/log.h"
#include "control/clock.h"
#include "control/control_path.h"
#include "control/log_files.h"
#include "control/master_state.h"
#include "control/notify.h"
#include "control/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
	WAIT_SIGNALS,
	WAIT_WORKER,
	WAIT_WATCHER,
	WAIT_CONTROL,
	WAIT_COUNT = WAIT_CONTROL + CONTROL_POLLS,
};

// After the worker should have ended by itself.
#define KILL_AFTER_NS (5 * SECOND_NS)
#define KILL_AFTER_ABORT_NS (2 * SECOND_NS)

// --- The worker

static void start_worker(struct master *master)
{
	check(!master->stopping && !master->reloading && master->plan.bundle >= 0);
	const struct sockets *sets[] = {&master->sockets};
	int error = supervisor_start(&master->supervisor, &master->plan.privileges);
	if (error == 0)
		error = supervisor_hand_over(&master->supervisor, &master->plan, master->threads, sets, 1);
	if (error == 0)
		return;
	log_error("start a worker: %s", strerror(-error));
	supervisor_kill(&master->supervisor);
	if (master->supervisor.pid == 0)
		master->supervisor.start_at_ns = clock_now_ns() + SECOND_NS;
}

static void first_worker_is_ready(struct master *master)
{
	char text[256];
	master->serving = true;
	describe(master, text, sizeof text);
	log_info("%s", text);
	notify_ready(text);
	if (master->options->serving)
		master->options->serving(&master->plan, &master->sockets);
}

static void worker_is_ready(struct master *master)
{
	master->supervisor.ready = true;
	if (master->stopping)
		return;
	if (master->serving)
		log_info("worker %d serves", (int)master->supervisor.pid);
	else
		first_worker_is_ready(master);
	reload_next(master);
}

static void close_ports(struct master *master)
{
	sockets_unlink(&master->sockets);
	sockets_close(&master->sockets);
	sockets_unlink(&master->next_sockets);
	sockets_close(&master->next_sockets);
}

static void begin_stop(struct master *master)
{
	if (master->stopping)
		return;
	master->stopping = true;
	notify_stopping();
	log_info("stopping: finishing what is under way, for at most %.0f s",
		 (double)master->plan.drain_ns / SECOND_NS);
	// First, so that the worker's are the last: it empties the queues before it closes them.
	close_ports(master);
	supervisor_drain(&master->supervisor, master->plan.drain_ns);
	master->kill_at_ns = clock_now_ns() + master->plan.drain_ns + KILL_AFTER_NS;
}

static void abort_now(struct master *master)
{
	begin_stop(master);
	if (master->aborting)
		return;
	master->aborting = true;
	log_info("stopping now");
	supervisor_abort(&master->supervisor);
	master->kill_at_ns = clock_now_ns() + KILL_AFTER_ABORT_NS;
}

static void first_worker_failed(struct master *master, const char *failure)
{
	log_error("cannot start: %s", failure);
	master->failed = master->stopping = master->aborting = true;
	close_ports(master);
	supervisor_abort(&master->supervisor);
	master->kill_at_ns = clock_now_ns() + KILL_AFTER_ABORT_NS;
}

static void listen_to_worker(struct master *master)
{
	char buffer[HANDOFF_TEXT_MAX + 1];
	struct handoff_message message;
	int error = handoff_receive(master->supervisor.channel, buffer, &message);
	if (error == -EAGAIN)
		return;
	if (error < 0) {
		// It ends; its death is told by SIGCHLD. One that closed its end and lives is
		// no use.
		supervisor_kill(&master->supervisor);
		return;
	}
	handoff_close(&message);
	buffer[message.text.length] = '\0';
	if (!master->supervisor.awaiting || (message.kind != HANDOFF_READY && message.kind != HANDOFF_FAILED))
		return;
	master->supervisor.awaiting = false;
	const char *failure = message.kind == HANDOFF_FAILED ? buffer : NULL;
	if (master->reloading)
		reload_end(master, failure);
	else if (!failure)
		worker_is_ready(master);
	else if (!master->serving)
		first_worker_failed(master, failure);
	else {
		log_error("worker %d cannot serve: %s", (int)master->supervisor.pid, failure);
		supervisor_kill(&master->supervisor);
	}
}

static void worker_has_ended(struct master *master, bool failed)
{
	if (master->reloading)
		reload_lost_worker(master);
	if (master->stopping)
		master->failed = master->failed || failed;
	else if (!master->serving && supervisor_gives_up(&master->supervisor))
		first_worker_failed(master, "one worker after the other died before it served");
}

// --- Signals and commands

static void reopen_logs(struct master *master)
{
	(void)open_logs(&master->plan, true, NULL);
	error_log_reopen();
	int error = supervisor_reopen_logs(&master->supervisor, &master->plan);
	if (error < 0)
		log_error("hand the log files to the worker: %s", strerror(-error));
	else
		log_info("reopened the log files");
}

static void take_signal(struct master *master)
{
	struct signalfd_siginfo signal;
	if (read(master->signals, &signal, sizeof signal) != sizeof signal)
		return;
	bool failed;
	switch (signal.ssi_signo) {
	case SIGTERM:
	case SIGINT:
		if (master->stopping)
			abort_now(master);
		else
			begin_stop(master);
		break;
	case SIGHUP:
		reload_begin(master, RELOAD_ALL);
		break;
	case SIGUSR1:
		reopen_logs(master);
		break;
	case SIGCHLD:
		if (supervisor_reap(&master->supervisor, &failed))
			worker_has_ended(master, failed);
		break;
	}
}

static void say_status(struct master *master)
{
	char text[512];
	int length = snprintf(text, sizeof text, "pid %d\nworker %d\nthreads %u\nconfiguration %s\n", (int)getpid(),
			      (int)master->supervisor.pid, master->threads, master->plan.path);
	control_say(&master->control, CONTROL_STATUS,
		    slice_from(text, (size_t)length < sizeof text ? (size_t)length : 0));
	for (size_t i = 0; i < master->sockets.count; i++) {
		char name[ADDRESS_TEXT_MAX], bound[ADDRESS_TEXT_MAX];
		struct slice configured = address_format(&master->sockets.items[i].configured, name);
		struct slice real = address_format(&master->sockets.items[i].bound, bound);
		length = snprintf(text, sizeof text, "listen %.*s %.*s\n", SLICE_ARGUMENTS(configured),
				  SLICE_ARGUMENTS(real));
		control_say(&master->control, CONTROL_STATUS, slice_from(text, (size_t)length));
	}
	control_answer(&master->control, CONTROL_STATUS, true);
}

static void run_command(void *argument, struct control_client *client)
{
	struct master *master = argument;
	switch (client->command) {
	case CONTROL_STATUS:
		say_status(master);
		break;
	case CONTROL_RELOAD:
		reload_begin(master, RELOAD_ALL);
		break;
	case CONTROL_STOP:
		begin_stop(master);
		break;
	case CONTROL_ABORT:
		abort_now(master);
		break;
	case CONTROL_REOPEN:
		reopen_logs(master);
		control_answer(&master->control, CONTROL_REOPEN, true);
		break;
	case CONTROL_NONE:
		break;
	}
}

// --- The wait

static int64_t worker_deadline(const struct master *master)
{
	if (master->stopping)
		return master->kill_at_ns;
	const struct supervisor *supervisor = &master->supervisor;
	if (supervisor->pid == 0)
		return supervisor->start_at_ns;
	return supervisor->awaiting ? supervisor->answer_by_ns : INT64_MAX;
}

static void meet_deadlines(struct master *master)
{
	if (clock_now_ns() < worker_deadline(master))
		return;
	if (!master->stopping && master->supervisor.pid == 0) {
		start_worker(master);
		return;
	}
	if (!master->stopping) {
		log_error("worker %d does not take its configuration: killing it", (int)master->supervisor.pid);
		supervisor_kill(&master->supervisor);
		master->supervisor.answer_by_ns = INT64_MAX;
		return;
	}
	log_error("worker %d did not end in time: killing it", (int)master->supervisor.pid);
	control_say(&master->control, CONTROL_STOP, SLICE("the worker did not end in time and was killed\n"));
	supervisor_kill(&master->supervisor);
	master->failed = true;
	master->kill_at_ns = INT64_MAX;
}

static int64_t next_deadline(const struct master *master)
{
	int64_t worker_ns = worker_deadline(master), look_ns = reload_look_at(master);
	return worker_ns < look_ns ? worker_ns : look_ns;
}

static void serve(struct master *master)
{
	while (!master->stopping || master->supervisor.pid != 0) {
		struct pollfd waits[WAIT_COUNT];
		waits[WAIT_SIGNALS] = (struct pollfd){.fd = master->signals, .events = POLLIN};
		waits[WAIT_WORKER] = (struct pollfd){.fd = master->supervisor.channel, .events = POLLIN};
		waits[WAIT_WATCHER] = (struct pollfd){.fd = watcher_descriptor(&master->watcher), .events = POLLIN};
		control_server_poll(&master->control, waits + WAIT_CONTROL);
		int ready = poll(waits, WAIT_COUNT, clock_poll_ms(next_deadline(master)));
		if (ready < 0 && errno != EINTR) {
			log_error("master: poll: %m");
			master->failed = true;
			abort_now(master);
		}
		if (ready > 0) {
			if (waits[WAIT_WORKER].revents)
				listen_to_worker(master);
			if (waits[WAIT_SIGNALS].revents)
				take_signal(master);
			if (waits[WAIT_WATCHER].revents)
				watcher_take(&master->watcher, clock_now_ns());
			control_server_take(&master->control, waits + WAIT_CONTROL, run_command, master);
		}
		meet_deadlines(master);
		reload_look(master);
	}
}

// --- Start and end

static bool open_signals(struct master *master)
{
	sigset_t set;
	sigemptyset(&set);
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sigaddset(&set, numbers[i]);
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	(void)sigaction(SIGPIPE, &ignore, NULL);
	// The worker inherits these: only its master tells it what to do.
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return false;
	master->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return master->signals >= 0;
}

static bool open_control(struct master *master)
{
	const struct master_options *options = master->options;
	struct sockaddr_un address;
	if (options->without_control)
		return true;
	int error = control_path(options->control, options->path, &address);
	if (error == 0 && !options->control)
		error = control_path_prepare(&address);
	if (error == 0)
		error = control_server_open(&master->control, &address);
	if (error == -EADDRINUSE) {
		log_error("usher runs already with %s: `usher reload` and `usher stop` talk to it; to run another one "
			  "with this file give each a --control PATH",
			  options->path);
		return false;
	}
	if (error < 0)
		log_warning("no socket for `usher reload` and `usher stop` (%s): signals work all the same",
			    strerror(-error));
	return true;
}

static bool open_sockets(struct master *master)
{
	const struct plan_listen *at_fault;
	int error = sockets_open(&master->plan, NULL, master->threads, &master->sockets, &at_fault);
	if (error < 0 && at_fault)
		log_error("%s: cannot listen on %s: %s", at_fault->place, at_fault->name, strerror(-error));
	else if (error < 0)
		log_error("listen: %s", strerror(-error));
	return error == 0;
}

static bool write_pid_file(struct master *master)
{
	const char *path = master->options->pid_file ? master->options->pid_file : master->plan.pid_file;
	if (!path)
		return true;
	int error = pid_file_write(path);
	master->pid_file = error == 0 ? strdup(path) : NULL;
	if (error < 0)
		log_error("write the PID file %s: %s", path, strerror(-error));
	return error == 0;
}

// Where a standard descriptor is closed, the next socket would get its number, and what is
// printed would go there.
static bool open_standard_descriptors(void)
{
	int descriptor;
	do {
		descriptor = open("/dev/null", O_RDWR);
	} while (descriptor >= 0 && descriptor <= STDERR_FILENO);
	if (descriptor >= 0)
		close(descriptor);
	return descriptor >= 0;
}

static bool start(struct master *master)
{
	const struct master_options *options = master->options;
	if (!open_standard_descriptors())
		return false;
	if (!open_signals(master)) {
		log_error("take signals: %m");
		return false;
	}
	if (!plan_load(options->source, options->path, stderr, isatty(STDERR_FILENO) && !getenv("NO_COLOR"),
		       &master->plan))
		return false;
	reload_watch(master);
	master->threads = master->plan.threads;
	if (!open_control(master) || !open_logs(&master->plan, false, NULL) || !check_directories(&master->plan, NULL))
		return false;
	error_log_use(master->plan.error_log);
	// Who finds the port open finds the PID file, too.
	return write_pid_file(master) && open_sockets(master);
}

int master_run(const struct master_options *options)
{
	struct master master = {.options = options, .signals = -1, .plan = {.bundle = -1}, .next_plan = {.bundle = -1}};
	supervisor_init(&master.supervisor);
	watcher_init(&master.watcher);
	control_server_init(&master.control);
	if (start(&master)) {
		start_worker(&master);
		serve(&master);
		log_info("stopped");
	} else {
		master.failed = true;
	}
	if (master.pid_file)
		pid_file_remove(master.pid_file);
	free(master.pid_file);
	close_ports(&master);
	plan_free(&master.plan);
	watcher_fini(&master.watcher);
	log_files_close();
	control_answer(&master.control, CONTROL_RELOAD, false);
	control_answer(&master.control, CONTROL_STOP, !master.failed);
	control_answer(&master.control, CONTROL_ABORT, !master.failed);
	control_server_close(&master.control);
	if (master.signals >= 0)
		close(master.signals);
	return master.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
