// A thread of the worker: its loop, and all that serves connections on it.
//
// The seam between control and everything that serves: what a thread needs is made, fed and
// ended here. Its functions are called by the worker's main thread; but for thread_drain
// and thread_abort they wait until the thread has done it.
#ifndef USHER_CONTROL_THREAD_H
#define USHER_CONTROL_THREAD_H

#include "base/list.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snapshot;
struct thread;

// An address that the worker listens on, with a socket for each thread. It is never freed
// while a thread runs: connections point at the name.
struct port {
	struct list_link link;
	char name[ADDRESS_TEXT_MAX]; // its address, as configured
	int *descriptors;	     // one for each thread; NULL when it is closed
	unsigned count;
	bool wanted; // by the configuration being taken
};

// Starts thread `number` (from 0; number 0 also resolves names for all), serving by the
// snapshot, without ports yet. 0 or -errno.
int thread_start(unsigned number, struct snapshot *snapshot, struct thread **ret_thread);

// Accepts connections from the port, or goes on to: 0 or -errno.
int thread_listen(struct thread *thread, struct port *port);

// Takes what waits in the port's queue and accepts no more. Nothing, when it did not.
void thread_unlisten(struct thread *thread, struct port *port);

// New exchanges get this snapshot: 0 or -errno.
int thread_use(struct thread *thread, struct snapshot *snapshot);

// Finishes what is under way; then the function given to thread_set_drained is called, in
// the thread. It must still be ended by thread_join.
void thread_drain(struct thread *thread);

// As thread_drain, but cuts off what is under way.
void thread_abort(struct thread *thread);

void thread_set_drained(void (*drained)(void));

// Ends a thread that is drained, and frees it.
void thread_join(struct thread *thread);

#endif
