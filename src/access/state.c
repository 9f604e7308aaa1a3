#include "access/state.h"

#include "access/session.h"
#include "base/check.h"
#include "base/log.h"
#include "fiber/fiber.h"
#include "fiber/line.h"
#include "observe/metrics.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { QUEUE = 4096, BATCH = 64, OPEN_AGAIN_S = 5, DROP_EVERY_S = 3600 };

#define TICK_NS (INT64_C(1) * 1000000000)

struct pending {
	struct kept kept;
	uint64_t ticket;
	bool is_old; // the file knew it
};

static struct {
	atomic_bool is_open;
	pthread_mutex_t lock;
	pthread_cond_t noted, attempted;
	struct line line; // of fibers that wait for an attempt
	pthread_t thread;
	bool stopping;
	// Tickets from `written` to `next` are in the queue, at their number modulo its length.
	struct pending *queue;
	uint64_t next, written;
	_Atomic uint64_t attempts; // tickets below it were written, or could not be
	int64_t lost[KEPT_KINDS];  // the highest value that the queue had no room for; 0: none

	// The thread's own.
	int directory;
	char *path;
	struct state_file *file; // NULL: cannot be opened
	atomic_bool file_works;
	int64_t open_again_s, drop_at_s;
	struct metric *notes, *failures;
} store = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

static void deadline_in(int64_t in_ns, struct timespec *ret_deadline)
{
	clock_gettime(CLOCK_MONOTONIC, ret_deadline);
	int64_t ns = ret_deadline->tv_nsec + in_ns;
	ret_deadline->tv_sec += ns / TICK_NS;
	ret_deadline->tv_nsec = ns % TICK_NS;
}

// --- Noting

static struct pending *slot_of(uint64_t ticket)
{
	return &store.queue[ticket % QUEUE];
}

// With the lock held. False without room: then a floor takes its place later.
static bool enqueue(const struct kept *kept, uint64_t *ret_ticket)
{
	if (store.next - store.written == QUEUE) {
		if (kept->value > store.lost[kept->kind])
			store.lost[kept->kind] = kept->value;
		return false;
	}
	*ret_ticket = store.next++;
	*slot_of(*ret_ticket) = (struct pending){.kept = *kept, .ticket = *ret_ticket};
	pthread_cond_signal(&store.noted);
	return true;
}

static bool is_attempted(uint64_t ticket)
{
	return atomic_load(&store.attempts) > ticket;
}

static void wait_on_fiber(uint64_t ticket)
{
	struct line_place place = {0};
	int64_t deadline_ns = loop_now() + STATE_WAIT_NS;
	while (!is_attempted(ticket)) {
		(void)line_enter(&store.line, &place, UINT32_MAX);
		if (is_attempted(ticket)) {
			(void)line_leave(&store.line, &place);
			return;
		}
		if (line_wait(&store.line, &place, "state to be written", deadline_ns) < 0)
			return;
	}
}

static void wait_in_thread(uint64_t ticket)
{
	struct timespec deadline;
	deadline_in(STATE_WAIT_NS, &deadline);
	pthread_mutex_lock(&store.lock);
	while (!is_attempted(ticket) && pthread_cond_timedwait(&store.attempted, &store.lock, &deadline) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&store.lock);
}

// What was overwritten meanwhile is not known: nothing is opened by it.
static bool was_old(uint64_t ticket)
{
	pthread_mutex_lock(&store.lock);
	const struct pending *pending = slot_of(ticket);
	bool is_old = pending->ticket != ticket || pending->is_old;
	pthread_mutex_unlock(&store.lock);
	return is_old;
}

bool state_note(const struct kept *kept)
{
	uint64_t ticket;
	if (!kept_put(kept))
		return false;
	if (!atomic_load(&store.is_open))
		return true;
	metric_count(store.notes);
	pthread_mutex_lock(&store.lock);
	bool is_queued = enqueue(kept, &ticket);
	pthread_mutex_unlock(&store.lock);
	if (!is_queued)
		return true;
	if (fiber_current())
		wait_on_fiber(ticket);
	else
		wait_in_thread(ticket);
	return !was_old(ticket);
}

// --- The file, in the thread or before it runs

static void file_failed(const char *what, const char *why)
{
	metric_count(store.failures);
	if (atomic_exchange(&store.file_works, false))
		log_error("state: cannot %s %s/state.db: %s; until it can be, what ends or is used up is known to this "
			  "process alone",
			  what, store.path, why);
	if (store.file && state_file_is_damaged(store.file)) {
		state_file_close(store.file);
		store.file = NULL;
		store.open_again_s = 0;
	}
}

static void file_succeeded(void)
{
	if (!atomic_exchange(&store.file_works, true))
		log_info("state: %s/state.db is written again", store.path);
}

// What a damaged file knew was before now: all of it is covered from now on.
static bool begin_anew(struct state_file *file, char why[STATE_REASON_MAX])
{
	struct kept floors[KEPT_KINDS];
	const struct kept *pointers[KEPT_KINDS];
	bool is_new[KEPT_KINDS];
	log_error("state: %s/state.db was damaged, and was moved aside: a new one begins, in which all sessions have "
		  "ended, and no recovery code that was made before now is good",
		  store.path);
	for (unsigned kind = 0; kind < KEPT_KINDS; kind++) {
		floors[kind] = kept_floor(kind, now_s());
		pointers[kind] = &floors[kind];
		(void)kept_put(&floors[kind]);
	}
	return state_file_write(file, pointers, is_new, KEPT_KINDS, why);
}

static bool take_secret(struct state_file *file, char why[STATE_REASON_MAX])
{
	unsigned char secret[SESSION_KEY_BYTES];
	session_own_secret(secret);
	bool good = state_file_secret(file, secret, false, why);
	if (good)
		session_set_own_secret(secret);
	explicit_bzero(secret, sizeof secret);
	return good;
}

// False with words, and the time of another try is set; *ret_may_pass tells whether one makes sense.
static bool open_file(bool *ret_may_pass, char why[STATE_REASON_MAX])
{
	bool was_damaged;
	struct state_file *file = state_file_open(store.directory, &was_damaged, ret_may_pass, why);
	store.open_again_s = now_s() + OPEN_AGAIN_S;
	if (!file)
		return false;
	*ret_may_pass = true;
	if ((was_damaged && !begin_anew(file, why)) || !state_file_learn(file, NULL, NULL, why) ||
	    !take_secret(file, why)) {
		state_file_close(file);
		return false;
	}
	store.file = file;
	kept_trust();
	return true;
}

static void open_again(void)
{
	char why[STATE_REASON_MAX];
	bool ignored;
	if (store.file || now_s() < store.open_again_s)
		return;
	if (open_file(&ignored, why))
		file_succeeded();
	else
		file_failed("open", why);
}

// --- The thread

static void write_file(uint64_t until)
{
	const struct kept *kept[BATCH];
	bool is_new[BATCH];
	char why[STATE_REASON_MAX];
	while (store.file && store.written < until) {
		unsigned count = 0;
		for (; count < BATCH && store.written + count < until; count++)
			kept[count] = &slot_of(store.written + count)->kept;
		if (!state_file_write(store.file, kept, is_new, count, why)) {
			file_failed("write to", why);
			return;
		}
		file_succeeded();
		pthread_mutex_lock(&store.lock);
		for (unsigned i = 0; i < count; i++)
			slot_of(store.written + i)->is_old = !is_new[i];
		store.written += count;
		pthread_mutex_unlock(&store.lock);
	}
}

// What the queue had no room for is covered by floors instead.
static void write_lost(void)
{
	pthread_mutex_lock(&store.lock);
	for (unsigned kind = 0; kind < KEPT_KINDS; kind++) {
		uint64_t ticket;
		struct kept floor = kept_floor(kind, now_s());
		floor.value = store.lost[kind];
		if (floor.value > 0 && store.next - store.written < QUEUE && enqueue(&floor, &ticket))
			store.lost[kind] = 0;
	}
	pthread_mutex_unlock(&store.lock);
}

static void learn(void)
{
	char why[STATE_REASON_MAX];
	if (store.file && !state_file_learn(store.file, NULL, NULL, why))
		file_failed("read", why);
	if (now_s() < store.drop_at_s)
		return;
	store.drop_at_s = now_s() + DROP_EVERY_S;
	kept_drop_old(now_s());
	if (store.file && !state_file_drop_old(store.file, now_s(), why))
		file_failed("write to", why);
}

static void attempt(uint64_t until)
{
	open_again();
	write_file(until);
	pthread_mutex_lock(&store.lock);
	atomic_store(&store.attempts, until);
	pthread_cond_broadcast(&store.attempted);
	pthread_mutex_unlock(&store.lock);
	if (!line_is_empty(&store.line))
		line_call_all(&store.line);
	write_lost();
}

// Until there is something that was not attempted, or a second has gone.
static uint64_t wait_for_work(const struct timespec *tick, bool *ret_ends)
{
	pthread_mutex_lock(&store.lock);
	while (store.next == atomic_load(&store.attempts) && !store.stopping &&
	       pthread_cond_timedwait(&store.noted, &store.lock, tick) != ETIMEDOUT)
		;
	uint64_t until = store.next;
	*ret_ends = store.stopping;
	pthread_mutex_unlock(&store.lock);
	return until;
}

static bool has_passed(const struct timespec *time)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > time->tv_sec || (now.tv_sec == time->tv_sec && now.tv_nsec >= time->tv_nsec);
}

static void *run_thread(void *argument)
{
	struct timespec tick;
	deadline_in(TICK_NS, &tick);
	for (bool ends = false; !ends;) {
		uint64_t until = wait_for_work(&tick, &ends);
		attempt(until);
		if (!has_passed(&tick))
			continue;
		learn();
		deadline_in(TICK_NS, &tick);
	}
	return NULL;
}

// --- Beginning and end

static bool start_thread(void)
{
	// Signals are for others.
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool good = pthread_create(&store.thread, NULL, run_thread, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return good;
}

static bool prepare(const struct state_settings *settings)
{
	pthread_condattr_t monotonic;
	store.directory = settings->directory;
	store.path = strdup(settings->path);
	store.queue = calloc(QUEUE, sizeof *store.queue);
	store.next = store.written = 0;
	atomic_store(&store.attempts, 0);
	store.stopping = false;
	store.drop_at_s = 0;
	atomic_store(&store.file_works, true);
	memset(store.lost, 0, sizeof store.lost);
	line_init(&store.line);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&store.noted, &monotonic);
	pthread_cond_init(&store.attempted, &monotonic);
	pthread_condattr_destroy(&monotonic);
	store.notes = metric_register(METRIC_COUNTER, "usher_state_notes_total", "",
				      "sessions ended, and codes used, that were noted");
	store.failures = metric_register(METRIC_COUNTER, "usher_state_failures_total", "store=\"file\"",
					 "times that the state store did not work");
	return store.path && store.queue;
}

static void release(void)
{
	state_file_close(store.file);
	store.file = NULL;
	close(store.directory);
	free(store.path);
	free(store.queue);
	store.path = NULL;
	store.queue = NULL;
	line_fini(&store.line);
	pthread_cond_destroy(&store.noted);
	pthread_cond_destroy(&store.attempted);
}

bool state_open(const struct state_settings *settings, char ret_why[STATE_REASON_MAX])
{
	bool may_pass = false;
	check(!atomic_load(&store.is_open));
	snprintf(ret_why, STATE_REASON_MAX, "no memory");
	bool good = prepare(settings);
	if (good && !open_file(&may_pass, ret_why)) {
		good = may_pass;
		kept_doubt(now_s());
	}
	if (good && !store.file)
		file_failed("open", ret_why);
	if (good && !start_thread()) {
		snprintf(ret_why, STATE_REASON_MAX, "no thread: %s", strerror(errno));
		good = false;
	}
	atomic_store(&store.is_open, good);
	if (!good) {
		kept_trust();
		release();
	}
	return good;
}

void state_close(void)
{
	if (!atomic_exchange(&store.is_open, false))
		return;
	pthread_mutex_lock(&store.lock);
	store.stopping = true;
	pthread_cond_signal(&store.noted);
	pthread_mutex_unlock(&store.lock);
	pthread_join(store.thread, NULL);
	release();
}

bool state_is_open(void)
{
	return atomic_load(&store.is_open);
}

void state_read_status(struct state_status *ret_status)
{
	*ret_status = (struct state_status){.is_open = state_is_open(), .kept = kept_count()};
	if (!ret_status->is_open)
		return;
	pthread_mutex_lock(&store.lock);
	ret_status->noted = (uint64_t)metric_read(store.notes);
	ret_status->waiting = store.next - store.written;
	for (unsigned kind = 0; kind < KEPT_KINDS; kind++)
		ret_status->waiting += store.lost[kind] > 0;
	pthread_mutex_unlock(&store.lock);
	ret_status->file_works = atomic_load(&store.file_works);
}
