// Taking a new configuration while the old one goes on to rule.
//
// Nothing changes until the worker has said that all its threads serve by the new one.
#include "base/check.h"
#include "base/log.h"
#include "base/text.h"
#include "control/bundle.h"
#include "control/clock.h"
#include "control/log_files.h"
#include "control/master_state.h"
#include "control/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// How often it is said again what there is to warn of.
#define REVIEW_NS (24 * 3600 * SECOND_NS)

// --- What opening takes

// A FIFO is opened for reading too: then nobody has to be there to read it, nor to stay.
static int open_log(const char *path)
{
	struct stat status;
	bool fifo = stat(path, &status) == 0 && S_ISFIFO(status.st_mode);
	int access = fifo ? O_RDWR : O_WRONLY | O_CREAT;
	int descriptor = open(path, access | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
	return descriptor < 0 ? -errno : log_files_put(slice_from_string(path), descriptor);
}

static bool is_open(const char *path)
{
	int descriptor = log_files_open(path);
	if (descriptor >= 0)
		close(descriptor);
	return descriptor >= 0;
}

bool open_logs(const struct plan *plan, bool anew, FILE *messages)
{
	bool well = true;
	for (size_t i = 0; i < plan->log_count; i++) {
		const char *path = plan->logs[i];
		int error = anew || !is_open(path) ? open_log(path) : 0;
		if (error == 0)
			continue;
		well = false;
		if (messages)
			fprintf(messages, "cannot open the log file %s: %s\n", path, strerror(-error));
		else
			log_error("cannot open the log file %s: %s", path, strerror(-error));
	}
	return well;
}

bool check_directories(const struct plan *plan, FILE *messages)
{
	bool well = true;
	for (size_t i = 0; i < plan->directory_count; i++) {
		const struct plan_directory *directory = &plan->directories[i];
		int descriptor = plan_open_directory(plan, directory);
		if (descriptor >= 0) {
			close(descriptor);
			continue;
		}
		well = false;
		if (messages)
			fprintf(messages, "%s: %s: %s: %s\n", directory->place, directory->key, directory->path,
				strerror(-descriptor));
		else
			log_error("%s: %s: %s: %s", directory->place, directory->key, directory->path,
				  strerror(-descriptor));
	}
	return well;
}

void describe(const struct master *master, char *ret_text, size_t size)
{
	struct text text;
	text_init(&text, ret_text, size - 1);
	text_printf(&text, "serving %zu site%s with %u thread%s on", master->plan.sites,
		    master->plan.sites == 1 ? "" : "s", master->threads, master->threads == 1 ? "" : "s");
	for (size_t i = 0; i < master->sockets.count && !text.overflow; i++) {
		char buffer[ADDRESS_TEXT_MAX];
		struct slice address = address_format(&master->sockets.items[i].bound, buffer);
		text_printf(&text, "%s %.*s", i > 0 ? "," : "", SLICE_ARGUMENTS(address));
	}
	ret_text[text.length] = '\0';
}

// --- Beginning

static bool open_next(struct master *master, FILE *messages)
{
	const struct plan_listen *at_fault;
	int error =
		sockets_open(&master->next_plan, &master->sockets, master->threads, &master->next_sockets, &at_fault);
	if (error < 0 && at_fault)
		fprintf(messages, "%s: cannot listen on %s: %s\n", at_fault->place, at_fault->name, strerror(-error));
	else if (error < 0)
		fprintf(messages, "cannot listen: %s\n", strerror(-error));
	return error == 0 && open_logs(&master->next_plan, false, messages) &&
	       check_directories(&master->next_plan, messages);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void warn_of_restarts(struct master *master, FILE *messages)
{
	const struct plan *now = &master->plan, *next = &master->next_plan;
	if (next->threads != master->threads)
		fprintf(messages, "warning: workers: %u takes effect with the next start; usher goes on with %u\n",
			next->threads, master->threads);
	if (!same_text(now->user, next->user))
		fprintf(messages, "warning: user takes effect with the next start\n");
	if (!same_text(now->pid_file, next->pid_file))
		fprintf(messages, "warning: pid_file takes effect with the next start\n");
}

static int hand_over(struct master *master)
{
	struct supervisor *supervisor = &master->supervisor;
	const struct sockets *sets[] = {&master->next_sockets, &master->sockets};
	if (supervisor->pid != 0)
		return supervisor_hand_over(supervisor, &master->next_plan, master->threads, sets, 1);
	int error = supervisor_start(supervisor, &master->plan.privileges);
	return error < 0 ? error : supervisor_hand_over(supervisor, &master->next_plan, master->threads, sets, 2);
}

// What loading said goes to the error log, line by line, and to who asked for the reload.
static void pass_on(struct master *master, struct slice messages, enum log_level level)
{
	struct slice line, rest = messages;
	if (master->reloading == RELOAD_ALL)
		control_say(&master->control, CONTROL_RELOAD, messages);
	while (rest.length > 0) {
		if (!slice_cut(rest, '\n', &line, &rest))
			rest = SLICE_EMPTY;
		struct log_place unlimited = {0}; // all of them are wanted
		log_line(level, &unlimited, "%.*s", SLICE_ARGUMENTS(line));
	}
}

// Whether there is a next plan that is fit to be handed over.
static bool load_next(struct master *master, FILE *messages)
{
	const struct master_options *options = master->options;
	if (master->reloading == RELOAD_WATCHED)
		return plan_renew(&master->plan, options->source, messages, &master->next_plan);
	if (!plan_load(options->source, options->path, messages, false, &master->next_plan))
		return false;
	warn_of_restarts(master, messages);
	return true;
}

static void hand_over_next(struct master *master)
{
	int error = hand_over(master);
	if (error == 0)
		return;
	log_error("hand the configuration to the worker: %s", strerror(-error));
	supervisor_kill(&master->supervisor);
	if (master->supervisor.pid == 0)
		master->supervisor.start_at_ns = clock_now_ns() + SECOND_NS;
	reload_lost_worker(master);
}

static void finish(struct master *master, bool well);

// Only touched, or replaced by the same: the worker hears nothing of it.
static void end_without_change(struct master *master)
{
	watcher_watch(&master->watcher, &master->next_plan.watched, clock_now_ns());
	finish(master, true);
}

void reload_begin(struct master *master, enum reload_kind kind)
{
	check(kind != RELOAD_NONE);
	if (master->stopping) {
		control_say(&master->control, CONTROL_RELOAD, SLICE("usher is stopping\n"));
		control_answer(&master->control, CONTROL_RELOAD, false);
		return;
	}
	if (master->reloading || master->supervisor.awaiting) {
		master->reload_again = kind > master->reload_again ? kind : master->reload_again;
		return;
	}
	char *text = NULL;
	size_t length = 0;
	FILE *messages = open_memstream(&text, &length);
	if (!messages) {
		log_error("reload: no memory");
		control_answer(&master->control, CONTROL_RELOAD, false);
		return;
	}
	notify_reloading();
	master->reloading = kind;
	master->reload_started_ns = clock_now_ns();
	bool fit = load_next(master, messages) && open_next(master, messages);
	bool is_new = !fit || !bundle_equal(master->plan.bundle, master->next_plan.bundle);
	if (fclose(messages) == 0 && (is_new || kind == RELOAD_ALL))
		pass_on(master, slice_from(text, length), fit ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR);
	free(text);
	if (!fit)
		reload_end(master, "");
	else if (kind == RELOAD_WATCHED && !is_new)
		end_without_change(master);
	else
		hand_over_next(master);
}

void reload_next(struct master *master)
{
	enum reload_kind kind = master->reload_again;
	master->reload_again = RELOAD_NONE;
	if (kind != RELOAD_NONE && !master->stopping)
		reload_begin(master, kind);
}

// --- Watched files

static void review(struct master *master)
{
	char *text = NULL;
	size_t length = 0;
	master->review_at_ns = clock_now_ns() + REVIEW_NS;
	FILE *messages = open_memstream(&text, &length);
	if (!messages)
		return;
	plan_review(&master->plan, messages);
	if (fclose(messages) == 0)
		pass_on(master, slice_from(text, length), LOG_LEVEL_WARNING);
	free(text);
}

void reload_watch(struct master *master)
{
	int64_t now_ns = clock_now_ns();
	watcher_watch(&master->watcher, &master->plan.watched, now_ns);
	// Loading has just said it.
	master->review_at_ns = master->watcher.list.count > 0 ? now_ns + REVIEW_NS : INT64_MAX;
}

int64_t reload_look_at(const struct master *master)
{
	if (!master->serving || master->stopping || master->reloading || master->supervisor.awaiting)
		return INT64_MAX;
	int64_t look_ns = master->watcher.look_at_ns;
	return look_ns < master->review_at_ns ? look_ns : master->review_at_ns;
}

void reload_look(struct master *master)
{
	int64_t now_ns = clock_now_ns();
	const char *first;
	if (now_ns < reload_look_at(master))
		return;
	if (now_ns >= master->review_at_ns)
		review(master);
	size_t changed = now_ns >= master->watcher.look_at_ns ? watcher_look(&master->watcher, now_ns, &first) : 0;
	if (changed == 0)
		return;
	// The name is gone with the list that it stands in.
	char name[PATH_MAX];
	(void)snprintf(name, sizeof name, "%s", first);
	reload_begin(master, RELOAD_WATCHED);
	if (master->reloading != RELOAD_WATCHED)
		return;
	if (changed > 1)
		log_info("taking %s, which was replaced, and %zu more", name, changed - 1);
	else
		log_info("taking %s, which was replaced", name);
}

// --- The end of it

static void drop_next(struct master *master)
{
	sockets_unlink(&master->next_sockets);
	sockets_close(&master->next_sockets);
	plan_free(&master->next_plan);
}

static void commit(struct master *master)
{
	check(master->next_plan.bundle >= 0 && !master->supervisor.awaiting);
	if (sockets_merge(&master->sockets, &master->next_sockets) < 0) {
		// The worker serves by what the master cannot keep: the next one will serve by
		// the former configuration.
		log_error("reload: no memory: starting a worker with the former configuration");
		supervisor_kill(&master->supervisor);
		return;
	}
	sockets_keep(&master->sockets, &master->next_plan);
	// These rule until the end, whatever the new one says.
	struct privileges privileges = master->plan.privileges;
	plan_free(&master->plan);
	master->plan = master->next_plan;
	master->plan.privileges = privileges;
	master->next_plan = (struct plan){.bundle = -1};
	master->supervisor.ready = true;
	error_log_use(master->plan.error_log);
	log_files_keep((const char *const *)master->plan.logs, master->plan.log_count, 0);
	reload_watch(master);
}

void reload_lost_worker(struct master *master)
{
	if (master->retrying || master->stopping) {
		reload_end(master, "the worker died while it took the new configuration");
		return;
	}
	log_warning("the worker died while it took the new configuration: trying once more with the next one");
	if (master->reload_again < master->reloading)
		master->reload_again = master->reloading;
	master->reloading = RELOAD_NONE;
	master->retrying = true;
	drop_next(master);
}

static void say_success(struct master *master)
{
	struct log_place unlimited = {0}; // who reloads often wants to see each
	double milliseconds = (double)(clock_now_ns() - master->reload_started_ns) / MILLISECOND_NS;
	if (master->reloading == RELOAD_ALL)
		log_line(LOG_LEVEL_INFO, &unlimited, "reloaded %s in %.0f ms", master->plan.path, milliseconds);
	else
		log_line(LOG_LEVEL_INFO, &unlimited, "took the replaced files in %.0f ms", milliseconds);
}

static void say_failure(struct master *master, const char *failure)
{
	struct log_place unlimited = {0};
	if (failure[0])
		pass_on(master, slice_from_string(failure), LOG_LEVEL_ERROR);
	log_line(LOG_LEVEL_ERROR, &unlimited,
		 master->reloading == RELOAD_ALL ? "reload failed: the former configuration goes on to rule"
						 : "the replaced files are not taken: the former ones stay in use");
}

// Ready for the next one. Who asked while this one was under way gets the answer of the next.
static void finish(struct master *master, bool well)
{
	char text[256];
	drop_next(master);
	master->reloading = RELOAD_NONE;
	master->retrying = false;
	describe(master, text, sizeof text);
	notify_ready(text);
	if (master->reload_again == RELOAD_NONE || master->stopping)
		control_answer(&master->control, CONTROL_RELOAD, well);
	reload_next(master);
}

void reload_end(struct master *master, const char *failure)
{
	check(master->reloading);
	if (!failure) {
		commit(master);
		say_success(master);
	} else {
		say_failure(master, failure);
		// What the new files name is watched, too: it may be what is wrong.
		if (master->reloading == RELOAD_WATCHED)
			watcher_add(&master->watcher, &master->next_plan.watched, clock_now_ns());
	}
	finish(master, !failure);
}
