#include "base/check.h"
#include "upstream/connection.h"
#include "upstream/idle.h"
#include "upstream/links.h"
#include "upstream/local.h"
#include "upstream/thread_round.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

_Thread_local struct upstream_thread upstream_thread;

static struct {
	pthread_mutex_t lock;
	struct upstream_thread *first;
	uint64_t round;		     // the last one that was begun
	struct thread_round *rounds; // that are not over, newest first
} threads = {.lock = PTHREAD_MUTEX_INITIALIZER};

// A table of slots for numbers up to this one.
static bool grow_slots(struct upstream_thread *thread, uint32_t number)
{
	uint32_t count = thread->slot_count ? thread->slot_count : 16;
	while (count <= number)
		count *= 2;
	struct local_slot *slots = realloc(thread->slots, count * sizeof(*slots));
	if (!slots)
		return false;
	for (uint32_t i = thread->slot_count; i < count; i++)
		slots[i] = (struct local_slot){0};
	thread->slots = slots;
	thread->slot_count = count;
	return true;
}

struct server_local *server_local_new(struct server *server)
{
	struct upstream_thread *thread = &upstream_thread;
	check(thread->started);
	if (server->number >= thread->slot_count && !grow_slots(thread, server->number))
		return NULL;
	struct server_local *local = calloc(1, sizeof(*local));
	if (!local)
		return NULL;
	local->server = server;
	list_init(&local->idle);
	list_init(&local->with_idle);
	list_init(&local->links);
	list_init(&local->opening);
	wait_queue_init(&local->stream_waiters);
	local->next = atomic_load_explicit(&server->locals, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&server->locals, &local->next, local, memory_order_release,
						      memory_order_relaxed))
		;
	thread->slots[server->number] = (struct local_slot){server->id, local};
	return local;
}

// --- Rounds

// With the lock held: takes off the list those that all threads have come round for.
static struct thread_round *take_finished(void)
{
	uint64_t oldest = threads.round;
	for (const struct upstream_thread *thread = threads.first; thread; thread = thread->next)
		oldest = thread->round < oldest ? thread->round : oldest;
	struct thread_round **at = &threads.rounds;
	while (*at && (*at)->number > oldest)
		at = &(*at)->next;
	struct thread_round *finished = *at;
	*at = NULL;
	return finished;
}

// Without the lock.
static void finish_rounds(struct thread_round *finished)
{
	while (finished) {
		struct thread_round *next = finished->next;
		finished->done(finished);
		finished = next;
	}
}

// With the lock held.
static void post_to_all(void)
{
	for (struct upstream_thread *thread = threads.first; thread; thread = thread->next) {
		if (thread->posted)
			continue;
		thread->posted = true;
		loop_post(thread->loop, &thread->message);
	}
}

void thread_round_begin(struct thread_round *round, void (*done)(struct thread_round *round))
{
	pthread_mutex_lock(&threads.lock);
	round->done = done;
	round->number = ++threads.round;
	round->next = threads.rounds;
	threads.rounds = round;
	post_to_all();
	struct thread_round *finished = take_finished();
	pthread_mutex_unlock(&threads.lock);
	finish_rounds(finished);
}

void upstream_threads_sweep(void)
{
	pthread_mutex_lock(&threads.lock);
	post_to_all();
	pthread_mutex_unlock(&threads.lock);
}

static void message_arrived(struct loop_message *message)
{
	struct upstream_thread *thread = &upstream_thread;
	pthread_mutex_lock(&threads.lock);
	thread->posted = false;
	thread->round = threads.round;
	struct thread_round *finished = take_finished();
	pthread_mutex_unlock(&threads.lock);
	finish_rounds(finished);
	if (!thread->started)
		return;
	idle_close_retired();
	links_close_retired();
	idle_close_wanted();
	links_close_wanted();
}

// --- The beginning and the end of a thread

int upstream_thread_start(void)
{
	struct upstream_thread *thread = &upstream_thread;
	check(!thread->started);
	*thread = (struct upstream_thread){.started = true, .loop = loop_current()};
	if (!grow_slots(thread, 0)) {
		thread->started = false;
		return -ENOMEM;
	}
	idle_init(thread);
	links_init(thread);
	thread->message.run = message_arrived;
	pthread_mutex_lock(&threads.lock);
	thread->round = threads.round;
	thread->next = threads.first;
	threads.first = thread;
	pthread_mutex_unlock(&threads.lock);
	return 0;
}

void upstream_thread_stop(void)
{
	struct upstream_thread *thread = &upstream_thread;
	check(thread->started);
	pthread_mutex_lock(&threads.lock);
	struct upstream_thread **at = &threads.first;
	while (*at != thread)
		at = &(*at)->next;
	*at = thread->next;
	struct thread_round *finished = take_finished();
	pthread_mutex_unlock(&threads.lock);
	finish_rounds(finished);

	upstream_thread_close_idle();
	thread->started = false;
	idle_fini(thread);
	links_fini(thread);
	free(thread->slots);
	thread->slots = NULL;
	thread->slot_count = 0;
}

unsigned upstream_thread_close_idle(void)
{
	return idle_close_all() + links_close_idle();
}
