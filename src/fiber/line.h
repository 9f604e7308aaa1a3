// A line: fibers of several threads that wait for what only so many can have at once, first
// come, first served.
//
//	struct line_place place;
//	if (!line_enter(line, &place, at_most))
//		... too many wait already ...
//	if (try_to_take())		// it may have become free just before
//		line_leave(line, &place);
//	else
//		line_wait(line, &place, "server", deadline_ns);
//
// Who frees something looks at line_is_empty afterwards, and calls.
#ifndef USHER_FIBER_LINE_H
#define USHER_FIBER_LINE_H

#include "base/list.h"
#include "fiber/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fiber;

struct line {
	_Atomic uint32_t waiting;
	pthread_mutex_t lock;
	struct list_link places; // by ticket
	uint64_t last_ticket;
};

// Lies on the stack of the fiber that waits.
struct line_place {
	struct list_link link;
	struct loop_message message;
	struct loop *loop;
	struct fiber *fiber;
	uint64_t ticket;
	bool called;  // under the line's lock
	bool arrived; // the call has come to the fiber's thread
};

void line_init(struct line *line);
void line_fini(struct line *line);

static inline bool line_is_empty(const struct line *line)
{
	return atomic_load_explicit(&line->waiting, memory_order_seq_cst) == 0;
}

// Takes a place at the end for the running fiber, or, where `place` was in the line before and was
// called, at its old one. False when `at_most` wait already (nobody who comes again is refused).
// A place that is new has the ticket 0.
//
// Whatever line_call's `suits` looks at must be there before.
bool line_enter(struct line *line, struct line_place *place, uint32_t at_most);

// Suspends until called: 0. -ETIMEDOUT or -ECANCELED: not called, and out of the line. Who is called
// at the last moment is called.
int line_wait(struct line *line, struct line_place *place, const char *what, int64_t deadline_ns);

// Out of the line without waiting. True when it was called meanwhile: then what it was called for is
// the caller's. May suspend for a moment until the call has come.
bool line_leave(struct line *line, struct line_place *place);

// Calls the first one that suits. `suits` runs under the line's lock, while the fiber of the place
// waits or has not yet looked; it may write into what surrounds the place. False when there is none.
// From any thread.
typedef bool line_suits(struct line_place *place, void *argument);
bool line_call(struct line *line, line_suits *suits, void *argument);

// Calls all.
void line_call_all(struct line *line);

#endif
