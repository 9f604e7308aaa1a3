// Fibers: straight-line code that waits without holding a thread.
//
// A fiber has its own stack and runs until it waits or returns. It belongs to the loop
// that spawned it and never leaves its thread. Waking a fiber only puts it on the ready
// list; only the loop (loop.h) runs fibers, so a waker never sees the woken one's
// effects before it waits itself.
#ifndef USHER_FIBER_FIBER_H
#define USHER_FIBER_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fiber;

typedef void fiber_function(void *argument);

// A deadline that never comes; only for waits that something else bounds.
#define FIBER_NEVER INT64_MAX

// Makes a fiber and puts it on the ready list of this thread's loop. `name` is a literal
// that reports show. NULL when no stack can be had: the bound of fibers is reached, memory
// is out, or the kernel allows no more mappings (vm.max_map_count).
struct fiber *fiber_spawn(const char *name, fiber_function *run, void *argument);

// The fiber that is running, NULL outside of one (in the loop's own callbacks).
struct fiber *fiber_current(void);

// Suspends the running fiber. `what` is a literal that names the wait in reports;
// deadline_ns is on the loop's clock. Returns 0 when woken (also when woken before the
// wait began), -ETIMEDOUT, or -ECANCELED (at once, when it was cancelled before).
int fiber_wait(const char *what, int64_t deadline_ns);

// As fiber_wait without a deadline, and also for a cancelled fiber: for waits on what is
// bounded by itself, and must not be left before. May return early; the caller tests its
// condition again.
void fiber_wait_steadfast(const char *what);

// Ends the wait of a fiber, or makes its next one return at once. A wake may be
// spurious for who is waited for: waiters test their condition again.
void fiber_wake(struct fiber *fiber);

// Asks a fiber to end: its wait and every later one return -ECANCELED. Idempotent.
void fiber_cancel(struct fiber *fiber);

// Whether the running fiber was cancelled.
bool fiber_is_cancelled(const struct fiber *fiber);

// Forgets a cancellation of the running fiber, for one that goes on to other work: a
// connection whose exchange was cancelled, a clean-up that has to wait. Returns whether
// there was one.
bool fiber_clear_cancel(void);

// Suspends until the deadline: 0, or -ECANCELED.
int fiber_sleep(const char *what, int64_t deadline_ns);

// Lets the other ready fibers run first; for long work without waits.
void fiber_yield(void);

// Waits until `fiber` has ended. Not cancelled by fiber_cancel (the joined fiber's end
// bounds it; cancel that one first). Each fiber can be joined once, by a fiber that took
// it with fiber_spawn_joinable.
void fiber_join(struct fiber *fiber);

// As fiber_spawn, for a fiber that must be joined: its struct lives until then.
struct fiber *fiber_spawn_joinable(const char *name, fiber_function *run, void *argument);

// How many fibers this thread has, and at most may have (the default is set by
// fiber_set_limit; 0 asks for as many as memory maps allow).
size_t fiber_count(void);
void fiber_set_limit(size_t fibers);

// For reports: calls `visit` for each fiber of this thread with its name, the name of
// its wait (or NULL when it is ready) and since when it waits.
typedef void fiber_visitor(void *argument, const char *name, const char *wait, int64_t since_ns);
void fiber_visit(fiber_visitor *visit, void *argument);

#endif
