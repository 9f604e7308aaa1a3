#include "observe/access_log.h"

#include "base/check.h"
#include "base/list.h"
#include "fiber/loop.h"
#include "observe/access_file.h"
#include "observe/access_format.h"
#include "observe/access_writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// A reopen waits so long for threads whose loops do not turn.
enum { REOPEN_WAIT_MS = 1000 };

static const int64_t FLUSH_NS = SECOND_NS;

struct access_log {
	unsigned index; // in each thread's array
	unsigned uses;
	char *path, *format_text;
	struct access_format *format;
	struct access_file *file;
};

// What a thread has of one log: lines that have not been handed over.
struct thread_log {
	struct access_log *log;
	struct access_chunk *chunk; // NULL: no line waits
	struct timer flush;	    // runs while lines wait
};

struct access_thread {
	struct list_link link; // in registry.threads
	struct loop *loop;
	struct loop_message reopen;
	bool reopen_posted;
	bool ended; // with its message still on the way: it frees itself when that arrives
	struct thread_log *logs[ACCESS_LOGS_MAX];
};

static struct {
	pthread_mutex_t lock;
	struct access_log *logs[ACCESS_LOGS_MAX];
	unsigned log_count;
	struct list_link threads;
	unsigned reopens_posted;
} registry = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.threads = {&registry.threads, &registry.threads},
};

static _Thread_local struct access_thread *here;

// --- Writing

static void thread_log_flush(struct thread_log *own)
{
	struct access_chunk *chunk = own->chunk;
	own->chunk = NULL;
	timer_stop(&own->flush);
	if (chunk)
		access_file_submit(own->log->file, chunk);
}

static void thread_log_due(struct timer *timer)
{
	thread_log_flush(LIST_ENTRY(timer, struct thread_log, flush));
}

static struct access_thread *thread_begin(void);

// What this thread has of the log, with a chunk; NULL when memory is out.
static struct thread_log *thread_log_ready(struct access_log *log)
{
	struct access_thread *thread = here ? here : thread_begin();
	if (thread == NULL)
		return NULL;
	struct thread_log *own = thread->logs[log->index];
	if (own == NULL) {
		own = calloc(1, sizeof(*own));
		if (own == NULL)
			return NULL;
		own->log = log;
		timer_init(&own->flush, thread_log_due);
		thread->logs[log->index] = own;
	}
	if (own->chunk == NULL) {
		own->chunk = access_chunk_take();
		if (own->chunk && thread->loop)
			timer_start(&own->flush, loop_now() + FLUSH_NS);
	}
	return own->chunk ? own : NULL;
}

void access_log_write(struct access_log *log, const struct access_record *record)
{
	struct thread_log *own = thread_log_ready(log);
	if (own == NULL) {
		access_file_lost(log->file, 1, "no memory for it");
		return;
	}
	struct access_chunk *chunk = own->chunk;
	check(chunk->used < CHUNK_FULL);
	chunk->used += access_format_line(log->format, record, chunk->data + chunk->used);
	chunk->lines++;
	// Without a loop there is no timer that would flush it later.
	if (chunk->used >= CHUNK_FULL || here->loop == NULL)
		thread_log_flush(own);
}

_Static_assert(CHUNK_FULL + ACCESS_LINE_MAX <= CHUNK_SIZE, "a line that is begun fits");

// --- Threads

static void thread_flush(struct access_thread *thread)
{
	for (unsigned i = 0; i < ACCESS_LOGS_MAX; i++) {
		if (thread->logs[i])
			thread_log_flush(thread->logs[i]);
	}
}

static void thread_reopen(struct loop_message *message);

static struct access_thread *thread_begin(void)
{
	struct access_thread *thread = calloc(1, sizeof(*thread));
	if (thread == NULL)
		return NULL;
	thread->loop = loop_current();
	thread->reopen.run = thread_reopen;
	pthread_mutex_lock(&registry.lock);
	list_push_back(&registry.threads, &thread->link);
	pthread_mutex_unlock(&registry.lock);
	here = thread;
	return thread;
}

// Under the registry's lock: one thread fewer for a reopen to wait for.
static void reopen_counted(struct access_thread *thread)
{
	thread->reopen_posted = false;
	if (--registry.reopens_posted == 0)
		access_writer_reopen();
}

static void thread_reopen(struct loop_message *message)
{
	struct access_thread *thread = LIST_ENTRY(message, struct access_thread, reopen);
	if (!thread->ended)
		thread_flush(thread);
	pthread_mutex_lock(&registry.lock);
	if (thread->ended) {
		list_remove(&thread->link);
		free(thread);
	} else {
		reopen_counted(thread);
	}
	pthread_mutex_unlock(&registry.lock);
}

void access_log_end_thread(void)
{
	struct access_thread *thread = here;
	if (thread == NULL)
		return;
	here = NULL;
	thread_flush(thread);
	for (unsigned i = 0; i < ACCESS_LOGS_MAX; i++)
		free(thread->logs[i]);
	pthread_mutex_lock(&registry.lock);
	if (thread->reopen_posted) {
		thread->ended = true;
		reopen_counted(thread);
	} else {
		list_remove(&thread->link);
		free(thread);
	}
	pthread_mutex_unlock(&registry.lock);
}

void access_log_reopen_all(void)
{
	pthread_mutex_lock(&registry.lock);
	for (struct list_link *link = registry.threads.next; link != &registry.threads; link = link->next) {
		struct access_thread *thread = LIST_ENTRY(link, struct access_thread, link);
		if (thread->loop == NULL || thread->reopen_posted || thread->ended)
			continue;
		thread->reopen_posted = true;
		registry.reopens_posted++;
		loop_post(thread->loop, &thread->reopen);
	}
	if (registry.reopens_posted == 0)
		access_writer_reopen();
	else
		access_writer_reopen_after(REOPEN_WAIT_MS);
	pthread_mutex_unlock(&registry.lock);
}

// --- Logs

static void log_free(struct access_log *log)
{
	free(log->path);
	free(log->format_text);
	access_format_free(log->format);
	free(log);
}

// Under the registry's lock.
static int log_new(const char *path, struct slice format, struct access_log **ret_log)
{
	if (registry.log_count == ACCESS_LOGS_MAX)
		return -EMFILE;
	struct access_log *log = calloc(1, sizeof(*log));
	if (log == NULL)
		return -ENOMEM;
	log->path = strdup(path);
	log->format_text = strndup(format.data, format.length);
	struct slice wrong;
	int failed = log->path && log->format_text ? 0 : -ENOMEM;
	if (!failed)
		failed = access_format_new(slice_from_string(log->format_text), &log->format, &wrong);
	if (!failed)
		failed = access_writer_start();
	if (!failed)
		failed = access_file_new(path, &log->file);
	if (failed) {
		log_free(log);
		return failed;
	}
	log->index = registry.log_count++;
	registry.logs[log->index] = log;
	*ret_log = log;
	return 0;
}

static struct access_log *log_find(const char *path, struct slice format)
{
	for (unsigned i = 0; i < registry.log_count; i++) {
		struct access_log *log = registry.logs[i];
		if (strcmp(log->path, path) == 0 && slice_equal(slice_from_string(log->format_text), format))
			return log;
	}
	return NULL;
}

int access_log_open(const char *path, struct slice format, struct access_log **ret_log)
{
	pthread_mutex_lock(&registry.lock);
	struct access_log *log = log_find(path, format);
	int failed = log ? 0 : log_new(path, format, &log);
	if (!failed) {
		if (log->uses++ == 0)
			access_file_use(log->file);
		*ret_log = log;
	}
	pthread_mutex_unlock(&registry.lock);
	return failed;
}

void access_log_close(struct access_log *log)
{
	if (log == NULL)
		return;
	pthread_mutex_lock(&registry.lock);
	check(log->uses > 0);
	if (--log->uses == 0)
		access_file_leave(log->file);
	pthread_mutex_unlock(&registry.lock);
}

void access_log_stop(unsigned timeout_ms)
{
	pthread_mutex_lock(&registry.lock);
	check(here == NULL);
	for (unsigned i = 0; i < registry.log_count; i++)
		log_free(registry.logs[i]);
	registry.log_count = 0;
	pthread_mutex_unlock(&registry.lock);
	access_writer_stop(timeout_ms);
}

bool access_log_has_country(const struct access_log *log)
{
	return access_format_has_country(log->format);
}

uint64_t access_log_lost(const struct access_log *log)
{
	if (log)
		return access_file_lines_lost(log->file);
	return access_writer_lines_lost();
}

void access_log_set_opener(int (*open)(const char *path))
{
	file_output_set_opener(open);
}
