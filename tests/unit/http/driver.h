// What the tests of connection drivers share: fibers over loopback, on a loop whose socket
// calls are counted and whose clock can be put forward.
#ifndef USHER_TESTS_UNIT_HTTP_DRIVER_H
#define USHER_TESTS_UNIT_HTTP_DRIVER_H

#include "../net/support.h"
#include "fail_alloc.h"

#include <stdio.h>
#include <string.h>

// Calls of the kernel by everyone but the descriptors that the test works with itself.
struct driver_calls {
	unsigned reads, empty_reads, writes, splices, connects, accepts, closes;
	uint64_t bytes_read, bytes_written;
};
extern struct driver_calls driver_calls;

// Runs the function in a fiber to its end; nothing may be left behind.
void driver_run(fiber_function *run, void *argument);

// Leaves a stream of the test's own out of the count.
void driver_leave_out(const struct tcp_stream *tcp);

// Puts the clock forward, and lets what is due happen.
void driver_skip(int64_t duration_ns);

// Lets the news of the kernel be handed out.
void driver_settle(void);

// Sends the bytes one by one, each in a turn of its own, and then ends the sending side
// where `then_end`; in a fiber of its own.
struct driver_drip {
	struct tcp_stream *to;
	struct slice bytes;
	bool then_end;
};
void driver_drip(void *argument);

// What arrives until the other side ends or `until` was received (NULL: only the end), in
// memory that the next call uses again; NUL behind it.
struct slice driver_receive(struct tcp_stream *from, const char *until);

void driver_send(struct tcp_stream *to, struct slice bytes);

#endif
