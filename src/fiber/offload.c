#include "fiber/offload.h"

#include "base/check.h"
#include "fiber/fiber.h"
#include "fiber/fiber_internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

// A piece of work; lies on the stack of the fiber that waits for it. Only the thread that
// took it touches it until its message has come to the fiber's loop.
struct job {
	struct list_link link;
	struct loop_message message;
	void (*run)(void *argument);
	void *argument;
	struct loop *loop;
	struct fiber *fiber;
	bool done;
};

// What waits for others over a network has threads of its own, so that what others make slow holds up nothing else.
struct pool {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct list_link queue;
	unsigned queued, queue_length;
	pthread_t *threads;
	unsigned thread_count, thread_max;
	unsigned idle; // threads that wait for work
	int nice;      // of its threads: setpriority(2)
	bool started, stopping;
};

enum { LOCAL, REMOTE, HEAVY, POOLS };
enum { REMOTE_THREADS = 16, REMOTE_QUEUE = 256 };
// With nice 10 the p99 of requests beside hashes was 2.2 times that without, with 19 it is 1.1 to 1.5 times (bench/run,
// guests).
enum { HEAVY_THREADS = 2, HEAVY_QUEUE = 256, HEAVY_NICE = 19 };

static struct pool pools[POOLS] = {
	[LOCAL] = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER},
	[REMOTE] = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER},
	[HEAVY] = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .nice = HEAVY_NICE},
};

static int start_thread(struct pool *pool);

// --- The fiber's side.

static void job_came_back(struct loop_message *message)
{
	struct job *job = LIST_ENTRY(message, struct job, message);
	job->done = true;
	fiber_wake(job->fiber);
}

static void job_runs_here(struct loop_message *message)
{
	struct job *job = LIST_ENTRY(message, struct job, message);
	job->run(job->argument);
	job_came_back(message);
}

// Another thread, where all are busy and there may be more. False when there is none at all.
static bool has_thread(struct pool *pool)
{
	if (pool->idle <= pool->queued && pool->thread_count < pool->thread_max)
		(void)start_thread(pool);
	return pool->thread_count > 0;
}

static bool enqueue(struct pool *pool, struct job *job)
{
	pthread_mutex_lock(&pool->lock);
	check(pool->started);
	bool accepted = pool->queued < pool->queue_length && !pool->stopping && has_thread(pool);
	if (accepted) {
		list_push_back(&pool->queue, &job->link);
		pool->queued++;
		pthread_cond_signal(&pool->changed);
	}
	pthread_mutex_unlock(&pool->lock);
	return accepted;
}

static int run_by(struct pool *pool, void (*run)(void *argument), void *argument)
{
	struct job job = {.run = run, .argument = argument, .loop = loop_current(), .fiber = fiber_current()};
	check(job.fiber != NULL);
	if (pool->thread_max > 0) {
		job.message.run = job_came_back;
		if (!enqueue(pool, &job))
			return -EAGAIN;
	} else {
		check(pool->started);
		job.message.run = job_runs_here;
		loop_post(job.loop, &job.message);
	}
	while (!job.done)
		fiber_wait_steadfast("offloaded work");
	return 0;
}

int offload(void (*run)(void *argument), void *argument)
{
	return run_by(&pools[LOCAL], run, argument);
}

int offload_remote(void (*run)(void *argument), void *argument)
{
	return run_by(&pools[REMOTE], run, argument);
}

int offload_heavy(void (*run)(void *argument), void *argument)
{
	return run_by(&pools[HEAVY], run, argument);
}

void offload_surely(void (*run)(void *argument), void *argument)
{
	if (!fiber_current()) {
		run(argument);
		return;
	}
	while (offload(run, argument) < 0)
		fiber_yield();
}

// --- The threads' side.

// The next piece of work, or NULL at the end.
static struct job *dequeue(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->idle++;
	while (list_is_empty(&pool->queue) && !pool->stopping)
		pthread_cond_wait(&pool->changed, &pool->lock);
	pool->idle--;
	struct list_link *link = list_pop_front(&pool->queue);
	if (link != NULL)
		pool->queued--;
	pthread_mutex_unlock(&pool->lock);
	return link != NULL ? LIST_ENTRY(link, struct job, link) : NULL;
}

static void *run_thread(void *argument)
{
	const struct pool *pool = argument;
	struct job *job;
	// Of this thread alone, as Linux has it.
	if (pool->nice != 0)
		(void)setpriority(PRIO_PROCESS, 0, pool->nice);
	while ((job = dequeue(argument)) != NULL) {
		job->run(job->argument);
		loop_post(job->loop, &job->message);
	}
	return NULL;
}

static int start_thread(struct pool *pool)
{
	// Signals are for the loops' threads.
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&pool->threads[pool->thread_count], NULL, run_thread, pool);
	if (failed == 0)
		pool->thread_count++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -failed;
}

static int start(struct pool *pool, unsigned thread_max, unsigned queue_length)
{
	check(!pool->started);
	pool->threads = thread_max > 0 ? calloc(thread_max, sizeof *pool->threads) : NULL;
	if (thread_max > 0 && pool->threads == NULL)
		return -ENOMEM;
	list_init(&pool->queue);
	pool->thread_max = thread_max;
	pool->queue_length = queue_length;
	pool->stopping = false;
	pool->started = true;
	return 0;
}

static void stop(struct pool *pool)
{
	if (!pool->started)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	check(pool->queued == 0);
	free(pool->threads);
	pool->threads = NULL;
	pool->thread_count = 0;
	pool->started = false;
}

int offload_start(unsigned threads, unsigned queue_length)
{
	int failed = start(&pools[LOCAL], threads, queue_length);
	if (failed == 0)
		failed = start(&pools[REMOTE], threads > 0 ? REMOTE_THREADS : 0, REMOTE_QUEUE);
	if (failed == 0)
		failed = start(&pools[HEAVY], threads > 0 ? HEAVY_THREADS : 0, HEAVY_QUEUE);
	while (failed == 0 && pools[LOCAL].thread_count < threads)
		failed = start_thread(&pools[LOCAL]);
	if (failed != 0)
		offload_stop();
	return failed;
}

void offload_stop(void)
{
	for (unsigned i = 0; i < POOLS; i++)
		stop(&pools[i]);
}
