// A kernel whose clock moves only when the loop waits, or the test says so.
#ifndef USHER_TESTS_FAKE_KERNEL_H
#define USHER_TESTS_FAKE_KERNEL_H

#include "fiber/kernel.h"
#include "fiber/loop.h"

#include <stdbool.h>

enum { FAKE_EVENTS_MAX = 16 };

struct fake_kernel {
	struct kernel kernel;
	int64_t now_ns;
	unsigned waits;		 // calls of wait
	int64_t last_timeout_ns; // of the last one
	bool interrupted;
	struct kernel_event events[FAKE_EVENTS_MAX]; // handed out by the next wait
	int event_count;
};

// Sets the kernel up and makes this thread's loop over it. The clock stands at an odd value.
struct loop *fake_loop_new(struct fake_kernel *fake);

// Has the next wait report the event.
void fake_event(struct fake_kernel *fake, struct io *io, unsigned ready);

#endif
