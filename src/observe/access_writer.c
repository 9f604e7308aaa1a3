#include "observe/access_writer.h"

#include "base/check.h"
#include "base/log.h"
#include "observe/access_file.h"
#include "observe/metrics.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHUNKS_FREE_MAX = 32, STUCK_MS = 100, TELL_EVERY_MS = 10 * 1000 };

// One generation of the thread, with its files: a thread that hangs in a write when the writer
// is stopped keeps them, and frees them should it ever return.
struct writer {
	pthread_t thread;
	pthread_cond_t wake;
	pthread_cond_t ended_changed;
	struct access_file *files, *next_file;
	int64_t reopen_at_ms; // 0: no
	int64_t stop_at_ms;   // 0: no
	bool ended, abandoned;
};

struct access_file {
	struct access_file *next;
	struct writer *writer;
	struct file_output output; // the writing thread's alone, without the lock
	struct access_chunk *first, **last;
	unsigned queued;
	bool in_use, reopen;
	int64_t stuck_until_ms;
	uint64_t lost, lost_told;
	int64_t told_ms;
};

// Guards everything here; held for a few instructions only, never across a system call
// that can wait.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct writer *writer;
static struct access_chunk *free_chunks;
static unsigned free_count, chunk_count;
static uint64_t lost_total;

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

// --- Chunks

struct access_chunk *access_chunk_take(void)
{
	pthread_mutex_lock(&lock);
	struct access_chunk *chunk = free_chunks;
	bool allowed = chunk != NULL || chunk_count < CHUNKS_MAX;
	if (chunk) {
		free_chunks = chunk->next;
		free_count--;
	} else if (allowed) {
		chunk_count++;
	}
	pthread_mutex_unlock(&lock);

	if (chunk == NULL && allowed) {
		chunk = malloc(sizeof(*chunk));
		if (chunk == NULL) {
			pthread_mutex_lock(&lock);
			chunk_count--;
			pthread_mutex_unlock(&lock);
		}
	}
	if (chunk)
		chunk->used = chunk->written = chunk->lines = 0;
	return chunk;
}

// Under the lock.
static void chunk_give(struct access_chunk *chunk)
{
	if (free_count < CHUNKS_FREE_MAX) {
		chunk->next = free_chunks;
		free_chunks = chunk;
		free_count++;
	} else {
		free(chunk);
		chunk_count--;
	}
}

// --- Losses

void access_file_lost(struct access_file *file, unsigned lines, const char *reason)
{
	int64_t now = now_ms();
	pthread_mutex_lock(&lock);
	file->lost += lines;
	lost_total += lines;
	uint64_t untold = file->lost - file->lost_told;
	bool tell = untold > 0 && (file->told_ms == 0 || now - file->told_ms >= TELL_EVERY_MS);
	if (tell) {
		file->lost_told = file->lost;
		file->told_ms = now;
	}
	pthread_mutex_unlock(&lock);

	metric_add(metric_register(METRIC_COUNTER, "usher_access_log_lines_lost_total", "",
				   "Lines that an access log could not take."),
		   lines);
	if (tell)
		log_warning("access log %s: %llu lines lost: %s; traffic goes on", file->output.path,
			    (unsigned long long)untold, reason);
}

uint64_t access_file_lines_lost(const struct access_file *file)
{
	pthread_mutex_lock(&lock);
	uint64_t lost = file->lost;
	pthread_mutex_unlock(&lock);
	return lost;
}

uint64_t access_writer_lines_lost(void)
{
	pthread_mutex_lock(&lock);
	uint64_t lost = lost_total;
	pthread_mutex_unlock(&lock);
	return lost;
}

// --- Handing over

void access_file_submit(struct access_file *file, struct access_chunk *chunk)
{
	pthread_mutex_lock(&lock);
	bool taken = file->queued < CHUNKS_QUEUED_MAX && !file->writer->stop_at_ms;
	unsigned lines = chunk->lines;
	if (taken) {
		chunk->next = NULL;
		*file->last = chunk;
		file->last = &chunk->next;
		file->queued++;
		pthread_cond_signal(&file->writer->wake);
	} else {
		chunk_give(chunk);
	}
	pthread_mutex_unlock(&lock);
	if (!taken)
		access_file_lost(file, lines, "its queue is full, because writing stalls");
}

// --- The thread

// Under the lock.
static void chunk_pop(struct access_file *file)
{
	struct access_chunk *chunk = file->first;
	file->first = chunk->next;
	if (file->first == NULL)
		file->last = &file->first;
	file->queued--;
	chunk_give(chunk);
}

static bool has_work(const struct access_file *file, int64_t now)
{
	if (file->reopen)
		return true;
	if (file->first)
		return file->stuck_until_ms <= now;
	// Standard output is never closed.
	return !file->in_use && !file->output.standard && file_output_is_open(&file->output);
}

// The next file with work, each in its turn.
static struct access_file *file_next(struct writer *own, int64_t now)
{
	struct access_file *start = own->next_file ? own->next_file : own->files;
	struct access_file *file = start;
	while (file) {
		struct access_file *following = file->next ? file->next : own->files;
		if (has_work(file, now)) {
			own->next_file = following;
			return file;
		}
		if (following == start)
			return NULL;
		file = following;
	}
	return NULL;
}

static unsigned lines_left(const struct access_chunk *chunk)
{
	unsigned lines = 0;
	for (size_t i = chunk->written; i < chunk->used; i++)
		lines += chunk->data[i] == '\n';
	return lines;
}

// Writes the first chunk of the file; the lock is given up meanwhile.
static void file_write(struct access_file *file)
{
	struct access_chunk *chunk = file->first;
	pthread_mutex_unlock(&lock);
	int failed = file_output_write(&file->output, chunk->data, chunk->used, &chunk->written);
	unsigned lost = failed && failed != -EAGAIN ? lines_left(chunk) : 0;
	if (lost)
		access_file_lost(file, lost, strerror(-failed));
	pthread_mutex_lock(&lock);
	if (failed == -EAGAIN)
		file->stuck_until_ms = now_ms() + STUCK_MS;
	else
		chunk_pop(file);
}

static void file_work(struct access_file *file)
{
	if (file->first && file->stuck_until_ms <= now_ms())
		file_write(file);
	bool stuck = file->stuck_until_ms > now_ms();
	if (file->reopen && (file->first == NULL || stuck)) {
		file->reopen = false;
		file->stuck_until_ms = 0;
		pthread_mutex_unlock(&lock);
		file_output_reopen(&file->output);
		pthread_mutex_lock(&lock);
	}
	if (file->first == NULL && !file->in_use)
		file_output_close(&file->output);
}

// Under the lock.
static void mark_reopen(struct writer *own)
{
	own->reopen_at_ms = 0;
	for (struct access_file *file = own->files; file; file = file->next)
		file->reopen = true;
}

static bool anything_queued(const struct writer *own)
{
	for (const struct access_file *file = own->files; file; file = file->next) {
		if (file->first)
			return true;
	}
	return false;
}

static void earlier(int64_t *due, int64_t than)
{
	if (than != 0 && (*due == 0 || than < *due))
		*due = than;
}

// Sleeps until something is handed over, or a time comes that the writer waits for.
static void writer_sleep(struct writer *own)
{
	int64_t due = 0;
	earlier(&due, own->reopen_at_ms);
	earlier(&due, own->stop_at_ms);
	for (const struct access_file *file = own->files; file; file = file->next) {
		if (file->first)
			earlier(&due, file->stuck_until_ms);
	}
	if (due == 0) {
		pthread_cond_wait(&own->wake, &lock);
		return;
	}
	struct timespec until = {.tv_sec = due / 1000, .tv_nsec = due % 1000 * 1000000};
	pthread_cond_timedwait(&own->wake, &lock, &until);
}

static void writer_free(struct writer *own)
{
	for (struct access_file *file = own->files; file;) {
		struct access_file *next = file->next;
		while (file->first)
			chunk_pop(file);
		file_output_close(&file->output);
		file_output_fini(&file->output);
		free(file);
		file = next;
	}
	pthread_cond_destroy(&own->wake);
	pthread_cond_destroy(&own->ended_changed);
	free(own);
}

static void *writer_run(void *argument)
{
	struct writer *own = argument;
	pthread_mutex_lock(&lock);
	for (;;) {
		int64_t now = now_ms();
		if (own->reopen_at_ms && now >= own->reopen_at_ms)
			mark_reopen(own);
		if (own->stop_at_ms && (now >= own->stop_at_ms || !anything_queued(own)))
			break;
		struct access_file *file = file_next(own, now);
		if (file)
			file_work(file);
		else
			writer_sleep(own);
	}
	own->ended = true;
	pthread_cond_signal(&own->ended_changed);
	if (own->abandoned)
		writer_free(own);
	pthread_mutex_unlock(&lock);
	return NULL;
}

// --- Start and stop

static void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attributes);
	pthread_condattr_destroy(&attributes);
}

int access_writer_start(void)
{
	pthread_mutex_lock(&lock);
	int failed = 0;
	struct writer *started = writer ? NULL : calloc(1, sizeof(*started));
	if (started) {
		cond_init(&started->wake);
		cond_init(&started->ended_changed);
		// Signals are for the threads that expect them; SIGPIPE becomes EPIPE.
		sigset_t all, before;
		sigfillset(&all);
		pthread_sigmask(SIG_BLOCK, &all, &before);
		failed = -pthread_create(&started->thread, NULL, writer_run, started);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		if (failed)
			writer_free(started);
		else
			writer = started;
	} else if (writer == NULL) {
		failed = -ENOMEM;
	}
	pthread_mutex_unlock(&lock);
	return failed;
}

int access_file_new(const char *path, struct access_file **ret_file)
{
	struct access_file *file = calloc(1, sizeof(*file));
	int failed = file ? file_output_init(&file->output, path) : -ENOMEM;
	if (failed) {
		free(file);
		return failed;
	}
	file->last = &file->first;
	pthread_mutex_lock(&lock);
	check(writer);
	file->writer = writer;
	file->next = writer->files;
	writer->files = file;
	writer->next_file = NULL;
	file->in_use = true;
	pthread_mutex_unlock(&lock);
	*ret_file = file;
	return 0;
}

void access_file_use(struct access_file *file)
{
	pthread_mutex_lock(&lock);
	// It may have been closed, and what its name means may have changed since.
	file->reopen = file->reopen || !file->in_use;
	file->in_use = true;
	pthread_cond_signal(&file->writer->wake);
	pthread_mutex_unlock(&lock);
}

void access_file_leave(struct access_file *file)
{
	pthread_mutex_lock(&lock);
	file->in_use = false;
	pthread_cond_signal(&file->writer->wake);
	pthread_mutex_unlock(&lock);
}

void access_writer_reopen(void)
{
	access_writer_reopen_after(0);
}

void access_writer_reopen_after(unsigned milliseconds)
{
	pthread_mutex_lock(&lock);
	if (writer && milliseconds == 0)
		mark_reopen(writer);
	else if (writer)
		writer->reopen_at_ms = now_ms() + milliseconds;
	if (writer)
		pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&lock);
}

static void trim_chunks(void)
{
	while (free_chunks) {
		struct access_chunk *chunk = free_chunks;
		free_chunks = chunk->next;
		free(chunk);
		free_count--;
		chunk_count--;
	}
}

// Counts what is still queued as lost.
static void give_up(struct writer *own)
{
	for (struct access_file *file = own->files; file; file = file->next) {
		unsigned lines = 0;
		for (const struct access_chunk *chunk = file->first; chunk; chunk = chunk->next)
			lines += lines_left(chunk);
		lost_total += lines;
		if (lines)
			log_warning("access log %s: %u lines lost: there was no time left to write them",
				    file->output.path, lines);
	}
}

void access_writer_stop(unsigned timeout_ms)
{
	pthread_mutex_lock(&lock);
	struct writer *own = writer;
	writer = NULL;
	if (own == NULL) {
		pthread_mutex_unlock(&lock);
		return;
	}
	int64_t due = own->stop_at_ms = now_ms() + timeout_ms;
	// A moment more, for a thread that only has to notice that the time is over.
	struct timespec until = {.tv_sec = (due + STUCK_MS) / 1000, .tv_nsec = (due + STUCK_MS) % 1000 * 1000000};
	pthread_cond_signal(&own->wake);
	while (!own->ended) {
		if (pthread_cond_timedwait(&own->ended_changed, &lock, &until) == ETIMEDOUT)
			break;
	}
	give_up(own);
	own->abandoned = !own->ended;
	bool ended = own->ended;
	pthread_t thread = own->thread;
	pthread_mutex_unlock(&lock);

	if (!ended) {
		pthread_detach(thread);
		return;
	}
	pthread_join(thread, NULL);
	pthread_mutex_lock(&lock);
	writer_free(own);
	trim_chunks();
	pthread_mutex_unlock(&lock);
}
