// Work that may block or needs a deep stack, done by bounded pools of threads.
#ifndef USHER_FIBER_OFFLOAD_H
#define USHER_FIBER_OFFLOAD_H

// Starts `threads` threads, with at most `queue_length` pieces of work waiting for them;
// for the whole process. 0 or -errno. With no threads the work runs on the loop's own stack,
// and the loop stands still meanwhile: for simulations, which threads would disturb.
int offload_start(unsigned threads, unsigned queue_length);

// Finishes what is queued and ends the threads.
void offload_stop(void);

// Runs run(argument) on one of the threads and suspends the running fiber until it has
// returned, cancelled or not: argument may live on the fiber's stack. 0, or -EAGAIN when
// the queue is full (then it was not run).
int offload(void (*run)(void *argument), void *argument);

// The same for what waits for others over a network, for seconds: on threads of its own, sixteen at most, which are
// started when they are needed.
int offload_remote(void (*run)(void *argument), void *argument);

// The same for what takes a core's whole time, such as a password's hash: on two threads of their own, behind the loops
// where both want the same core.
int offload_heavy(void (*run)(void *argument), void *argument);

// As offload, for what must be run: while the queue is full, it waits. Where no fiber runs, it is run at once.
void offload_surely(void (*run)(void *argument), void *argument);

#endif
