#include "fiber/fiber.h"

#include "base/check.h"
#include "base/sanitizer.h"
#include "fiber/fiber_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#if SANITIZE_ADDRESS
#include <sanitizer/common_interface_defs.h>
#endif
#if SANITIZE_THREAD
#include <sanitizer/tsan_interface.h>
#endif

enum {
	// All stacks begin at the same place of a page, so that the ends of many of them would
	// fight for the same lines of the cache. Each gets one of these offsets.
	COLOURS = 32,
	COLOUR_SIZE = 128,
};

// --- A fiber's life.

// The last steps on the loop's stack before, and the first ones on the fiber's stack after
// the switch; sanitizers follow both.
static void begin_switch(void **ret_fake_stack, const void *bottom, size_t size, void *tsan_fiber)
{
#if SANITIZE_ADDRESS
	__sanitizer_start_switch_fiber(ret_fake_stack, bottom, size);
#endif
#if SANITIZE_THREAD
	__tsan_switch_to_fiber(tsan_fiber, 0);
#endif
}

static void end_switch(void *fake_stack, const void **ret_old_bottom, size_t *ret_old_size)
{
#if SANITIZE_ADDRESS
	__sanitizer_finish_switch_fiber(fake_stack, ret_old_bottom, ret_old_size);
#endif
}

// Back to the loop. With `last` there is no return.
static void leave(struct fiber *fiber, bool last)
{
	struct loop *loop = fiber->loop;
	begin_switch(last ? NULL : &fiber->asan_stack, loop->asan_bottom, loop->asan_size, loop->tsan_fiber);
	context_switch(&fiber->context, &loop->context);
	end_switch(fiber->asan_stack, &loop->asan_bottom, &loop->asan_size);
}

static void fiber_main(void *argument)
{
	struct fiber *fiber = argument;
	end_switch(NULL, &fiber->loop->asan_bottom, &fiber->loop->asan_size);
	fiber->run(fiber->argument);
	check(fiber->loop->current == fiber);
	fiber->state = FIBER_ENDED;
	leave(fiber, true);
	check_failed("an ended fiber ran", __FILE__, __LINE__);
}

static void make_ready(struct fiber *fiber)
{
	check(fiber->state == FIBER_WAITING);
	fiber->state = FIBER_READY;
	fiber_queue_push(&fiber->loop->ready, fiber);
	context_prefetch(&fiber->context);
}

// A wait's deadline is kept without touching the wheel each time: a timer that runs for an
// earlier deadline is left alone, and set anew for the one that is wanted when it fires. So a
// fiber whose waits all end soon sets one timer for many waits.
static void timer_fired(struct timer *timer)
{
	struct fiber *fiber = LIST_ENTRY(timer, struct fiber, timer);
	check(fiber->magic == FIBER_MAGIC);
	if (fiber->state != FIBER_WAITING || fiber->deadline_ns == FIBER_NEVER)
		return;
	if (fiber->deadline_ns <= fiber->loop->now_ns)
		make_ready(fiber);
	else
		timer_wheel_start(&fiber->loop->timers, timer, fiber->deadline_ns);
}

static void arm_timer(struct fiber *fiber, int64_t deadline_ns)
{
	fiber->deadline_ns = deadline_ns;
	if (deadline_ns == FIBER_NEVER || (timer_is_running(&fiber->timer) && fiber->timer.due_ns <= deadline_ns))
		return;
	timer_wheel_start(&fiber->loop->timers, &fiber->timer, deadline_ns);
}

static struct fiber *spawn(const char *name, fiber_function *run, void *argument, bool joinable)
{
	struct loop *loop = loop_current();
	check(loop != NULL && name != NULL && run != NULL);
	if (loop->fiber_limit > 0 && loop->fiber_count >= loop->fiber_limit)
		return NULL;
	struct stack *stack = stack_take(&loop->stacks);
	if (stack == NULL)
		return NULL;

	size_t size = stack->size - sizeof(struct fiber) - stack->number % COLOURS * COLOUR_SIZE;
	size &= ~(size_t)63;
	struct fiber *fiber = (struct fiber *)(stack->bottom + size);
	*fiber = (struct fiber){
		.magic = FIBER_MAGIC,
		.state = FIBER_READY,
		.is_joinable = joinable,
		.deadline_ns = FIBER_NEVER,
		.since_ns = loop->now_ns,
		.loop = loop,
		.name = name,
		.run = run,
		.argument = argument,
		.stack = stack,
	};
	timer_init(&fiber->timer, timer_fired);
	context_init(&fiber->context, stack->bottom, size, fiber_main, fiber);
#if SANITIZE_THREAD
	fiber->tsan_fiber = __tsan_create_fiber(0);
#endif
	list_push_back(&loop->fibers, &fiber->link);
	loop->fiber_count++;
	fiber_queue_push(&loop->ready, fiber);
	return fiber;
}

struct fiber *fiber_spawn(const char *name, fiber_function *run, void *argument)
{
	return spawn(name, run, argument, false);
}

struct fiber *fiber_spawn_joinable(const char *name, fiber_function *run, void *argument)
{
	return spawn(name, run, argument, true);
}

static void free_fiber(struct fiber *fiber)
{
	struct loop *loop = fiber->loop;
	check(fiber->state == FIBER_ENDED);
	fiber->magic = 0;
#if SANITIZE_THREAD
	__tsan_destroy_fiber(fiber->tsan_fiber);
#endif
	stack_give(&loop->stacks, fiber->stack);
	if (stack_pool_wants_trim(&loop->stacks) && !timer_is_running(&loop->trim_timer))
		timer_wheel_start(&loop->timers, &loop->trim_timer,
				  loop->now_ns + STACK_TRIM_PERIOD_MS * MILLISECOND_NS);
}

static void end_fiber(struct fiber *fiber)
{
	struct loop *loop = fiber->loop;
	timer_wheel_stop(&loop->timers, &fiber->timer);
	list_remove(&fiber->link);
	check(loop->fiber_count > 0);
	loop->fiber_count--;
	if (!fiber->is_joinable)
		free_fiber(fiber);
	else if (fiber->joiner != NULL)
		fiber_wake(fiber->joiner);
}

void fiber_enter(struct loop *loop, struct fiber *fiber)
{
	check(fiber->magic == FIBER_MAGIC && fiber->state == FIBER_READY);
	fiber->state = FIBER_RUNNING;
	loop->current = fiber;
	loop->io_streak = 0;
#if SANITIZE_THREAD
	loop->tsan_fiber = __tsan_get_current_fiber();
#endif
	begin_switch(&loop->asan_stack, fiber->stack->bottom, (size_t)((char *)fiber - fiber->stack->bottom),
		     fiber->tsan_fiber);
	context_switch(&loop->context, &fiber->context);
	end_switch(loop->asan_stack, NULL, NULL);
	loop->current = NULL;
	if (fiber->state == FIBER_ENDED)
		end_fiber(fiber);
}

// --- Waiting and waking.

struct fiber *fiber_current(void)
{
	struct loop *loop = loop_current();
	return loop != NULL ? loop->current : NULL;
}

static struct fiber *running(void)
{
	struct fiber *fiber = fiber_current();
	check(fiber != NULL && fiber->state == FIBER_RUNNING);
	return fiber;
}

static void suspend(struct fiber *fiber, const char *what)
{
	fiber->wait = what;
	fiber->since_ns = fiber->loop->now_ns;
	fiber->state = FIBER_WAITING;
	leave(fiber, false);
}

static bool take_wake(struct fiber *fiber)
{
	bool woken = fiber->woken;
	fiber->woken = false;
	return woken;
}

int fiber_wait(const char *what, int64_t deadline_ns)
{
	struct fiber *fiber = running();
	if (fiber->cancelled)
		return -ECANCELED;
	if (take_wake(fiber))
		return 0;
	if (deadline_ns <= fiber->loop->now_ns)
		return -ETIMEDOUT;
	arm_timer(fiber, deadline_ns);
	suspend(fiber, what);
	if (fiber->cancelled)
		return -ECANCELED;
	return take_wake(fiber) ? 0 : -ETIMEDOUT;
}

void fiber_wait_steadfast(const char *what)
{
	struct fiber *fiber = running();
	if (take_wake(fiber))
		return;
	fiber->deadline_ns = FIBER_NEVER;
	suspend(fiber, what);
	fiber->woken = false;
}

void fiber_wake(struct fiber *fiber)
{
	check(fiber->magic == FIBER_MAGIC && fiber->loop == loop_current());
	if (fiber->state == FIBER_ENDED)
		return;
	fiber->woken = true;
	if (fiber->state == FIBER_WAITING)
		make_ready(fiber);
}

void fiber_cancel(struct fiber *fiber)
{
	check(fiber->magic == FIBER_MAGIC && fiber->loop == loop_current());
	if (fiber->cancelled || fiber->state == FIBER_ENDED)
		return;
	fiber->cancelled = true;
	if (fiber->state == FIBER_WAITING)
		make_ready(fiber);
}

bool fiber_is_cancelled(const struct fiber *fiber)
{
	return fiber->cancelled;
}

bool fiber_clear_cancel(void)
{
	struct fiber *fiber = running();
	bool cancelled = fiber->cancelled;
	fiber->cancelled = false;
	return cancelled;
}

int fiber_sleep(const char *what, int64_t deadline_ns)
{
	int outcome;
	do {
		outcome = fiber_wait(what, deadline_ns);
	} while (outcome == 0);
	return outcome == -ETIMEDOUT ? 0 : outcome;
}

void fiber_yield(void)
{
	struct fiber *fiber = running();
	fiber->state = FIBER_READY;
	fiber_queue_push(&fiber->loop->yielded, fiber);
	leave(fiber, false);
}

void fiber_join(struct fiber *fiber)
{
	struct fiber *self = running();
	check(fiber->magic == FIBER_MAGIC && fiber->is_joinable && fiber->joiner == NULL && fiber != self);
	fiber->joiner = self;
	while (fiber->state != FIBER_ENDED)
		fiber_wait_steadfast(fiber->name);
	free_fiber(fiber);
}

// --- Counting and reporting.

size_t fiber_count(void)
{
	return loop_current()->fiber_count;
}

void fiber_set_limit(size_t fibers)
{
	loop_current()->fiber_limit = fibers;
}

void fiber_visit(fiber_visitor *visit, void *argument)
{
	struct loop *loop = loop_current();
	for (struct list_link *link = loop->fibers.next; link != &loop->fibers; link = link->next) {
		const struct fiber *fiber = LIST_ENTRY(link, struct fiber, link);
		visit(argument, fiber->name, fiber->state == FIBER_WAITING ? fiber->wait : NULL, fiber->since_ns);
	}
}

static void report(const char *text)
{
	ssize_t written = write(STDERR_FILENO, text, strlen(text));
	(void)written; // there is nowhere else to tell
}

void fiber_report(void)
{
	const struct fiber *fiber = fiber_current();
	if (fiber == NULL || fiber->magic != FIBER_MAGIC) {
		report("usher: no fiber was running\n");
		return;
	}
	report("usher: running fiber: ");
	report(fiber->name);
	report("; its last wait: ");
	report(fiber->wait != NULL ? fiber->wait : "none");
	report("\n");
}
