#include "access/state.h"

#include "access/session.h"
#include "access/state_share.h"
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

enum { QUEUE = 4096, BATCH = 64, OPEN_AGAIN_S = 5, CONNECT_AGAIN_S = 2, DROP_EVERY_S = 3600 };

#define TICK_NS (INT64_C(1) * 1000000000)

struct pending {
	struct kept kept;
	uint64_t ticket;
	bool is_old; // the file or the Redis knew it
};

static struct {
	atomic_bool is_open;
	pthread_mutex_t lock;
	pthread_cond_t noted, attempted;
	struct line line; // of fibers that wait for an attempt
	pthread_t thread;
	bool stopping;
	// Tickets that are below `next`, and not below both others, are in the queue, at their number modulo its
	// length.
	struct pending *queue;
	uint64_t next, written, shared; // written: to the file; shared: by the Redis
	_Atomic uint64_t attempts;	// tickets below it were written, or could not be
	int64_t lost[KEPT_KINDS];	// the highest value that the queue had no room for; 0: none

	// The thread's own.
	int directory;
	char *path;		 // NULL: no file
	struct state_file *file; // NULL: cannot be opened
	const struct state_redis_settings *redis_settings;
	struct state_redis *redis; // NULL: is not connected
	atomic_bool file_works, redis_works;
	int64_t open_again_s, connect_again_s, drop_at_s;
	struct metric *notes, *file_failures, *redis_failures;
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

// With the lock held.
static uint64_t first_in_queue(void)
{
	return store.written < store.shared ? store.written : store.shared;
}

// With the lock held. False without room: then a floor takes its place later.
static bool enqueue(const struct kept *kept, uint64_t *ret_ticket)
{
	if (store.next - first_in_queue() == QUEUE) {
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
	metric_count(store.file_failures);
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
	unsigned char secret[SEAL_KEY_BYTES];
	seal_own_secret(secret);
	bool good = state_file_secret(file, secret, false, why);
	if (good)
		seal_set_own_secret(secret);
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
	if (!store.path || store.file || now_s() < store.open_again_s)
		return;
	if (!open_file(&ignored, why)) {
		file_failed("open", why);
		return;
	}
	file_succeeded();
	// What it has and the Redis may not have is told, and the secret agreed on, when that is connected anew.
	state_redis_close(store.redis);
	store.redis = NULL;
}

// --- The Redis, in the same

static void redis_failed(const char *why)
{
	metric_count(store.redis_failures);
	if (atomic_exchange(&store.redis_works, false))
		log_error("state: Redis at %s: %s; until it is there, other ushers learn nothing of this one, nor this "
			  "one of them",
			  store.redis_settings->address.host, why);
	state_redis_close(store.redis);
	store.redis = NULL;
	store.connect_again_s = now_s() + CONNECT_AGAIN_S;
}

// Whether the Redis did not fail.
static bool with_redis(bool (*what)(struct state_share *share))
{
	struct state_share share = {.redis = store.redis, .file = store.file};
	bool good = what(&share);
	if (share.file_failed)
		file_failed("use", share.file_why);
	if (!good)
		redis_failed(share.why);
	return good;
}

static void connect_again(void)
{
	char why[STATE_REASON_MAX];
	if (!store.redis_settings || store.redis || now_s() < store.connect_again_s)
		return;
	store.redis = state_redis_open(store.redis_settings, why);
	if (!store.redis)
		redis_failed(why);
	if (!store.redis || !with_redis(state_share_begin))
		return;
	if (!store.path)
		kept_trust();
	if (!atomic_exchange(&store.redis_works, true))
		log_info("state: Redis at %s is there again", store.redis_settings->address.host);
}

// --- The thread

// What has no file, or no Redis, need not wait for it.
static void pass_over(uint64_t *cursor, uint64_t until)
{
	pthread_mutex_lock(&store.lock);
	if (*cursor < until)
		*cursor = until;
	pthread_mutex_unlock(&store.lock);
}

// From `first` on, as many as there are and fit.
static unsigned collect(uint64_t first, uint64_t until, const struct kept *ret_kept[BATCH])
{
	unsigned count = 0;
	for (; count < BATCH && first + count < until; count++)
		ret_kept[count] = &slot_of(first + count)->kept;
	return count;
}

static void note_results(uint64_t *cursor, const bool *is_new, unsigned count)
{
	pthread_mutex_lock(&store.lock);
	for (unsigned i = 0; i < count; i++)
		if (!is_new[i])
			slot_of(*cursor + i)->is_old = true;
	*cursor += count;
	pthread_mutex_unlock(&store.lock);
}

static void write_file(uint64_t until)
{
	const struct kept *kept[BATCH];
	bool is_new[BATCH];
	char why[STATE_REASON_MAX];
	while (store.file && store.written < until) {
		unsigned count = collect(store.written, until, kept);
		if (!state_file_write(store.file, kept, is_new, count, why)) {
			file_failed("write to", why);
			return;
		}
		file_succeeded();
		note_results(&store.written, is_new, count);
	}
	if (!store.path)
		pass_over(&store.written, until);
}

// When it is connected again, it gets all that the file has: nothing has to wait for it in the queue.
static void write_redis(uint64_t until)
{
	const struct kept *kept[BATCH];
	bool is_new[BATCH];
	char why[STATE_REASON_MAX];
	while (store.redis && store.shared < until) {
		unsigned count = collect(store.shared, until, kept);
		if (state_redis_write(store.redis, kept, is_new, count, why))
			note_results(&store.shared, is_new, count);
		else
			redis_failed(why);
	}
	if (!store.redis_settings)
		pass_over(&store.shared, until);
	else if (!store.redis && store.file)
		pass_over(&store.shared, store.written);
}

// What the queue had no room for is covered by floors instead.
static void write_lost(void)
{
	pthread_mutex_lock(&store.lock);
	for (unsigned kind = 0; kind < KEPT_KINDS; kind++) {
		uint64_t ticket;
		struct kept floor = kept_floor(kind, now_s());
		floor.value = store.lost[kind];
		if (floor.value > 0 && store.next - first_in_queue() < QUEUE && enqueue(&floor, &ticket))
			store.lost[kind] = 0;
	}
	pthread_mutex_unlock(&store.lock);
}

static void learn(void)
{
	char why[STATE_REASON_MAX];
	if (store.file && !state_file_learn(store.file, NULL, NULL, why))
		file_failed("read", why);
	if (store.redis)
		(void)with_redis(state_share_learn);
	if (now_s() < store.drop_at_s)
		return;
	store.drop_at_s = now_s() + DROP_EVERY_S;
	kept_drop_old(now_s());
	if (store.file && !state_file_drop_old(store.file, now_s(), why))
		file_failed("write to", why);
	if (store.redis && !state_redis_drop_old(store.redis, now_s(), why))
		redis_failed(why);
}

static void attempt(uint64_t until)
{
	open_again();
	write_file(until);
	connect_again();
	write_redis(until);
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
	store.path = settings->path ? strdup(settings->path) : NULL;
	store.redis_settings = settings->redis;
	store.queue = calloc(QUEUE, sizeof *store.queue);
	store.next = store.written = store.shared = 0;
	atomic_store(&store.attempts, 0);
	store.stopping = false;
	store.drop_at_s = store.connect_again_s = 0;
	atomic_store(&store.file_works, true);
	atomic_store(&store.redis_works, true);
	memset(store.lost, 0, sizeof store.lost);
	line_init(&store.line);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&store.noted, &monotonic);
	pthread_cond_init(&store.attempted, &monotonic);
	pthread_condattr_destroy(&monotonic);
	store.notes = metric_register(METRIC_COUNTER, "usher_state_notes_total", "",
				      "sessions ended, and codes used, that were noted");
	store.file_failures = metric_register(METRIC_COUNTER, "usher_state_failures_total", "store=\"file\"",
					      "times that the state store did not work");
	store.redis_failures = metric_register(METRIC_COUNTER, "usher_state_failures_total", "store=\"redis\"",
					       "times that the state store did not work");
	return store.queue && (store.path || !settings->path);
}

static void release(void)
{
	state_file_close(store.file);
	state_redis_close(store.redis);
	store.file = NULL;
	store.redis = NULL;
	if (store.path)
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
	kept_doubt(now_s());
	if (good && store.path && !open_file(&may_pass, ret_why)) {
		good = may_pass;
		if (good)
			file_failed("open", ret_why);
	}
	if (good)
		connect_again();
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
	ret_status->waiting = store.next - first_in_queue();
	for (unsigned kind = 0; kind < KEPT_KINDS; kind++)
		ret_status->waiting += store.lost[kind] > 0;
	pthread_mutex_unlock(&store.lock);
	ret_status->has_file = store.path != NULL;
	ret_status->has_redis = store.redis_settings != NULL;
	ret_status->file_works = ret_status->has_file && atomic_load(&store.file_works);
	ret_status->redis_works = ret_status->has_redis && atomic_load(&store.redis_works);
}
