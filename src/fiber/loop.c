#include "fiber/loop.h"

#include "base/check.h"
#include "fiber/fiber_internal.h"
#include "fiber/io.h"

#include <sched.h>
#include <stdlib.h>

enum {
	EVENTS_A_TURN = 256,
	// After so many events, what they made ready runs: what one exchange gives back
	// (stack, blocks) is still in the cache when the next one takes it.
	EVENTS_A_BATCH = 8,
	// Besides those that are ready when a turn begins, so many fibers that become ready
	// meanwhile run before the kernel is asked again.
	EXTRA_RUNS_A_TURN = 128,
};

// This model is the fastest, and right for whatever is linked into a program.
static _Thread_local __attribute__((tls_model("initial-exec"))) struct loop *current_loop;

struct loop *loop_current(void)
{
	return current_loop;
}

struct kernel *loop_kernel(void)
{
	return current_loop->kernel;
}

int64_t loop_now(void)
{
	return current_loop->now_ns;
}

int64_t loop_now_exact(void)
{
	struct kernel *kernel = current_loop->kernel;
	return kernel->now(kernel);
}

int64_t loop_wall_clock(void)
{
	struct loop *loop = current_loop;
	if (loop->wall_clock_ns == 0)
		loop->wall_clock_ns = loop->kernel->wall_clock(loop->kernel);
	return loop->wall_clock_ns;
}

// --- A turn.

static void run_ready(struct loop *loop)
{
	size_t runs = loop->ready.count + EXTRA_RUNS_A_TURN;
	while (loop->ready.first != NULL && runs-- > 0)
		fiber_enter(loop, fiber_queue_pop(&loop->ready));
	while (loop->yielded.first != NULL)
		fiber_queue_push(&loop->ready, fiber_queue_pop(&loop->yielded));
}

static void call_parked(struct loop *loop)
{
	// Those that park again with something there have their next turn.
	struct list_link batch;
	list_init(&batch);
	list_move_all(&loop->parked, &batch);
	struct list_link *link;
	while ((link = list_pop_front(&batch)) != NULL)
		io_call_parked(LIST_ENTRY(link, struct io, link));
}

static void run_deferred_list(struct deferred *deferred)
{
	while (deferred != NULL) {
		struct deferred *next = deferred->next;
		deferred->run(deferred);
		deferred = next;
	}
}

// All that is ready when a turn begins has run by its end. So what was deferred can be seen
// no more when nobody is ready now, and else at the next turn's end.
static void run_deferred(struct loop *loop)
{
	struct deferred *before = loop->deferred_before;
	struct deferred *deferred = loop->deferred;
	// Asked once: what is run here may make fibers ready.
	bool is_seen = loop->ready.first != NULL;
	loop->deferred = NULL;
	loop->deferred_before = is_seen ? deferred : NULL;
	run_deferred_list(before);
	if (!is_seen)
		run_deferred_list(deferred);
}

static bool has_immediate_work(struct loop *loop)
{
	return loop->ready.first != NULL || loop->deferred != NULL || loop->deferred_before != NULL ||
	       !list_is_empty(&loop->parked) || atomic_load_explicit(&loop->messages, memory_order_relaxed) != NULL;
}

static bool has_something_to_wait_for(struct loop *loop)
{
	size_t timers = loop->timers.running - (timer_is_running(&loop->trim_timer) ? 1 : 0);
	return loop->fiber_count > 0 || timers > 0 || loop->watched > 0 || has_immediate_work(loop);
}

static int64_t choose_timeout(struct loop *loop, int64_t timeout_ns)
{
	if (has_immediate_work(loop))
		return 0;
	int64_t next = timer_wheel_next(&loop->timers);
	if (next == INT64_MAX)
		return timeout_ns;
	int64_t until_next = next > loop->now_ns ? next - loop->now_ns : 0;
	return timeout_ns >= 0 && timeout_ns < until_next ? timeout_ns : until_next;
}

static void read_clock(struct loop *loop)
{
	int64_t now = loop->kernel->now(loop->kernel);
	check(now >= loop->now_ns);
	loop->now_ns = now;
	loop->wall_clock_ns = 0;
}

static void wait_for_events(struct loop *loop, int64_t timeout_ns)
{
	struct kernel_event events[EVENTS_A_TURN];
	int count = loop->kernel->wait(loop->kernel, events, EVENTS_A_TURN, timeout_ns);
	check(count <= EVENTS_A_TURN);
	read_clock(loop);
	for (int i = 0; i < count; i++) {
		io_handle_event(events[i].io, events[i].ready);
		if (i % EVENTS_A_BATCH == EVENTS_A_BATCH - 1)
			run_ready(loop);
	}
}

static void take_messages(struct loop *loop)
{
	if (atomic_load_explicit(&loop->messages, memory_order_relaxed) == NULL)
		return;
	struct loop_message *newest = atomic_exchange_explicit(&loop->messages, NULL, memory_order_acquire);
	struct loop_message *oldest = NULL;
	while (newest != NULL) {
		struct loop_message *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest != NULL) {
		struct loop_message *next = oldest->next;
		oldest->run(oldest);
		oldest = next;
	}
}

bool loop_turn(struct loop *loop, int64_t timeout_ns)
{
	check(loop == current_loop && loop->current == NULL);
	timer_wheel_advance(&loop->timers, loop->now_ns);
	call_parked(loop);
	run_ready(loop);
	run_deferred(loop);
	if (!has_something_to_wait_for(loop))
		return false;
	wait_for_events(loop, choose_timeout(loop, timeout_ns));
	take_messages(loop);
	return true;
}

void loop_run(struct loop *loop)
{
	read_clock(loop);
	bool more = true;
	while (more && !atomic_load_explicit(&loop->stopping, memory_order_acquire))
		more = loop_turn(loop, -1);
	atomic_store_explicit(&loop->stopping, false, memory_order_relaxed);
}

// --- Timers, deferred work, messages.

void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
	list_init(&timer->link);
	timer->due_ns = 0;
	timer->fire = fire;
}

void timer_start(struct timer *timer, int64_t due_ns)
{
	timer_wheel_start(&current_loop->timers, timer, due_ns);
}

void timer_stop(struct timer *timer)
{
	if (timer_is_running(timer))
		timer_wheel_stop(&current_loop->timers, timer);
}

bool timer_is_running(const struct timer *timer)
{
	return timer->link.next != &timer->link;
}

void loop_defer(struct deferred *deferred, void (*run)(struct deferred *deferred))
{
	deferred->run = run;
	deferred->next = current_loop->deferred;
	current_loop->deferred = deferred;
}

void loop_post(struct loop *loop, struct loop_message *message)
{
	// As soon as the message is there, the loop may run it and end; loop_free waits until
	// nobody is in here.
	atomic_fetch_add_explicit(&loop->posting, 1, memory_order_acquire);
	struct loop_message *newest = atomic_load_explicit(&loop->messages, memory_order_relaxed);
	do {
		message->next = newest;
	} while (!atomic_compare_exchange_weak_explicit(&loop->messages, &newest, message, memory_order_release,
							memory_order_relaxed));
	// Who finds messages there can rely on the interrupt of the one who put the first.
	if (newest == NULL)
		loop->kernel->interrupt(loop->kernel);
	atomic_fetch_sub_explicit(&loop->posting, 1, memory_order_release);
}

void loop_stop(struct loop *loop)
{
	atomic_fetch_add_explicit(&loop->posting, 1, memory_order_acquire);
	atomic_store_explicit(&loop->stopping, true, memory_order_release);
	loop->kernel->interrupt(loop->kernel);
	atomic_fetch_sub_explicit(&loop->posting, 1, memory_order_release);
}

// --- A loop's beginning and end.

static void trim_stacks(struct timer *timer)
{
	struct loop *loop = LIST_ENTRY(timer, struct loop, trim_timer);
	stack_pool_trim(&loop->stacks);
	if (stack_pool_wants_trim(&loop->stacks))
		timer_wheel_start(&loop->timers, timer, loop->now_ns + STACK_TRIM_PERIOD_MS * MILLISECOND_NS);
}

struct loop *loop_new(struct kernel *kernel)
{
	check(current_loop == NULL && kernel != NULL);
	struct loop *loop = calloc(1, sizeof *loop);
	if (loop == NULL)
		return NULL;
	loop->kernel = kernel;
	loop->now_ns = kernel->now(kernel);
	stack_pool_init(&loop->stacks);
	list_init(&loop->fibers);
	list_init(&loop->parked);
	timer_wheel_init(&loop->timers, loop->now_ns);
	timer_init(&loop->trim_timer, trim_stacks);
	current_loop = loop;
	check_set_reporter(fiber_report);
	return loop;
}

void loop_free(struct loop *loop)
{
	check(loop == current_loop && loop->current == NULL && loop->fiber_count == 0);
	while (atomic_load_explicit(&loop->posting, memory_order_acquire) > 0)
		sched_yield();
	take_messages(loop); // those that came after the last turn
	while (loop->deferred != NULL || loop->deferred_before != NULL)
		run_deferred(loop);
	timer_wheel_stop(&loop->timers, &loop->trim_timer);
	stack_pool_fini(&loop->stacks);
	current_loop = NULL;
	free(loop);
}
