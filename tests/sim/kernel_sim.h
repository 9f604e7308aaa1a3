// A simulated kernel: time, readiness, sockets and their failures, played from a seed.
//
// It is a struct kernel (fiber/kernel.h), so that a loop over it runs clients, usher and its
// servers as fibers of one thread, and a seed repeats all that happens. The clock jumps to
// the next happening whenever the loop waits. Connections are pairs of bounded buffers; what
// is written arrives later, in pieces.
//
// Edges are as strict as epoll's: an endpoint is reported when something changed, and not
// again; but edges may be merged, reported late and out of order, or without cause. What the
// real kernel may refuse, this one may refuse too. A descriptor that is used after it was
// closed fails a check; numbers are not used twice, and are no descriptors of the process.
//
// When nothing can happen any more while the loop waits without a timeout, it reports the
// fibers and their waits, and aborts: a wake-up was lost, or the test forgot loop_stop.
#ifndef USHER_TESTS_KERNEL_SIM_H
#define USHER_TESTS_KERNEL_SIM_H

#include "base/random.h"
#include "fiber/kernel.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

// Chances are in a thousand calls.
struct sim_options {
	unsigned short_read;	 // less than there is; the rest arrives right after
	unsigned short_write;	 // less than there is room for; room is told of later
	unsigned interrupted;	 // -EINTR from read, write, accept, wait
	unsigned spurious;	 // a wait reports an endpoint that did not change
	unsigned false_edge;	 // of those: as ready for what it is not
	unsigned late_edge;	 // an edge is kept for a later wait
	unsigned reset;		 // a write is followed by the loss of the connection
	unsigned refuse;	 // a connect is refused
	unsigned blackhole;	 // a connect is never answered
	unsigned no_descriptors; // connect, accept and duplicate fail with -EMFILE
	unsigned no_memory;	 // watch fails with -ENOMEM
	unsigned aborted;	 // accept finds the connection gone: -ECONNABORTED
	int64_t delay_ns;	 // each way takes up to this
	size_t buffer_size;	 // each direction of a connection holds 1 to this many bytes
};

// Nothing fails, buffers are large, delays are short.
struct sim_options sim_options_calm(void);

// Drawn from the seed: every seed has its own weather, from calm to foul.
struct sim_options sim_options_weather(uint64_t seed);

// What has happened so far, for tests that want to be sure that it did.
struct sim_counts {
	uint64_t waits, events, spurious_events, reads, writes, short_reads, short_writes;
	uint64_t connections, refusals, resets;
};

// Never NULL; frees what is left open.
struct kernel *kernel_sim_new(uint64_t seed, const struct sim_options *options);
void kernel_sim_free(struct kernel *kernel);

// A listening socket: its descriptor. Where something listens already: -EADDRINUSE. Port 0
// takes a free one, and *address is changed.
int kernel_sim_listen(struct kernel *kernel, struct sockaddr *address, socklen_t length, int backlog);

// From now on; happenings that are on their way keep their time.
void kernel_sim_set_options(struct kernel *kernel, const struct sim_options *options);

// The generator that all of the kernel's choices are drawn from; for the test's own too.
struct random *kernel_sim_random(struct kernel *kernel);

// How many descriptors are open; each is listed with its address and its unread bytes.
size_t kernel_sim_open_count(struct kernel *kernel);
void kernel_sim_list_open(struct kernel *kernel, FILE *to);

const struct sim_counts *kernel_sim_counts(struct kernel *kernel);

#endif
