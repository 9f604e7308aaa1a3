// What the files of this folder know of fibers and of the loop, and nobody else.
#ifndef USHER_FIBER_FIBER_INTERNAL_H
#define USHER_FIBER_FIBER_INTERNAL_H

#include "base/list.h"
#include "fiber/context.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"
#include "fiber/stack.h"
#include "fiber/timer_wheel.h"

#include <stdatomic.h>

struct io;

enum fiber_state { FIBER_READY, FIBER_RUNNING, FIBER_WAITING, FIBER_ENDED };

enum { FIBER_MAGIC = 0x66696272 };

// Lies at the top of its own stack; nothing is allocated for a fiber but the stack.
struct fiber {
	unsigned magic;
	enum fiber_state state;
	bool cancelled;
	bool woken; // a wake that no wait has taken yet
	bool is_joinable;
	struct fiber *next; // on the loop's ready list
	struct context context;
	int64_t deadline_ns; // of the wait
	int64_t since_ns;    // when the wait began
	const char *wait;    // the name of the wait, or of the last one
	struct timer timer;  // may run on after a wait, see arm_timer
	struct loop *loop;
	struct fiber *joiner; // waits for the end
	const char *name;
	fiber_function *run;
	void *argument;
	struct stack *stack;
	struct list_link link; // on the loop's list of all fibers
	void *asan_stack;      // AddressSanitizer's fake stack while another one runs
	void *tsan_fiber;
};

// Fibers in the order in which they became ready.
struct fiber_queue {
	struct fiber *first, *last;
	size_t count;
};

struct loop {
	struct kernel *kernel;
	int64_t now_ns;
	int64_t wall_clock_ns; // 0: not read in this turn
	struct fiber *current;
	struct context context; // of the loop itself, while a fiber runs
	struct fiber_queue ready;
	struct fiber_queue yielded; // ready again in the next turn
	unsigned io_streak;	    // io calls of the running fiber that did not suspend
	struct stack_pool stacks;
	struct list_link fibers;
	size_t fiber_count, fiber_limit;
	size_t watched;		 // open ios
	struct list_link parked; // ios for which something had come before they were parked
	struct timer_wheel timers;
	struct timer trim_timer; // gives memory of unused stacks back
	// Deferred in this turn; and earlier, while fibers that may still see the memory
	// were ready.
	struct deferred *deferred, *deferred_before;
	_Atomic(struct loop_message *) messages; // newest first
	atomic_bool stopping;
	atomic_uint posting; // threads inside of loop_post
	// The stack that loop_run was called on, for AddressSanitizer, and its fake stack.
	const void *asan_bottom;
	size_t asan_size;
	void *asan_stack;
	void *tsan_fiber;
};

static inline void fiber_queue_push(struct fiber_queue *queue, struct fiber *fiber)
{
	fiber->next = NULL;
	if (queue->last != NULL)
		queue->last->next = fiber;
	else
		queue->first = fiber;
	queue->last = fiber;
	queue->count++;
}

static inline struct fiber *fiber_queue_pop(struct fiber_queue *queue)
{
	struct fiber *fiber = queue->first;
	queue->first = fiber->next;
	if (queue->first == NULL)
		queue->last = NULL;
	queue->count--;
	return fiber;
}

// Runs a ready fiber until it waits, yields or ends.
void fiber_enter(struct loop *loop, struct fiber *fiber);

// Writes the running fiber and its wait to standard error.
void fiber_report(void);

// Takes in what the kernel said of an io.
void io_handle_event(struct io *io, unsigned ready);

// Calls io's `parked`, if it is still parked.
void io_call_parked(struct io *io);

#endif
