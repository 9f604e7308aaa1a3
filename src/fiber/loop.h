// The event loop: one for each worker thread; it runs fibers, timers and callbacks.
//
// A turn: fire timers that are due, run what is ready, free what was deferred, wait for the
// kernel, hand out its events. Fibers that become ready meanwhile run in the same turn, but
// for so many that events would have to wait. All functions but loop_post and loop_stop work
// on the calling thread's loop.
#ifndef USHER_FIBER_LOOP_H
#define USHER_FIBER_LOOP_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct kernel;
struct loop;

#define SECOND_NS INT64_C(1000000000)
#define MILLISECOND_NS INT64_C(1000000)

// Makes this thread's loop over `kernel`, which it does not own. NULL when memory is out.
struct loop *loop_new(struct kernel *kernel);

// Ends this thread's loop; no fiber may be left. Messages that came after the last turn are
// run here; they may spawn no fiber.
void loop_free(struct loop *loop);

// Runs until loop_stop was called (also before; it counts once), or nothing is left to wait
// for.
void loop_run(struct loop *loop);

// One turn; waits for the kernel at most timeout_ns (-1: until something happens).
// False when there is no fiber, timer or watched io left.
bool loop_turn(struct loop *loop, int64_t timeout_ns);

// Makes loop_run return after the current turn. From any thread.
void loop_stop(struct loop *loop);

// The calling thread's loop.
struct loop *loop_current(void);
struct kernel *loop_kernel(void);

// The clock as read after the last wait, in nanoseconds: cheap, and the same for all that
// happens in one turn. loop_now_exact asks the kernel.
int64_t loop_now(void);
int64_t loop_now_exact(void);

// Wall clock in nanoseconds since 1970, derived from loop_now (read once a turn).
int64_t loop_wall_clock(void);

// --- Timers: set and stopped in constant time, with a resolution of a millisecond.

struct timer {
	struct list_link link;
	int64_t due_ns;
	void (*fire)(struct timer *timer); // runs in the loop, outside of any fiber
};

void timer_init(struct timer *timer, void (*fire)(struct timer *timer));
// Sets or resets. Never fires early.
void timer_start(struct timer *timer, int64_t due_ns);
void timer_stop(struct timer *timer);
bool timer_is_running(const struct timer *timer);

// --- Deferred work: runs once, when no event that the kernel has reported can refer to the
// memory any more, and every fiber that is ready now has run. For freeing what another
// fiber may still see.

struct deferred {
	struct deferred *next;
	void (*run)(struct deferred *deferred);
};

void loop_defer(struct deferred *deferred, void (*run)(struct deferred *deferred));

// --- Messages from other threads: `run` is called in the loop's thread. The caller owns
// `message` until then. Never blocks.

struct loop_message {
	struct loop_message *next;
	void (*run)(struct loop_message *message);
};

void loop_post(struct loop *loop, struct loop_message *message);

#endif
