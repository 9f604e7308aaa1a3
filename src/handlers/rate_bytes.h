// Bodies that move no faster than so many bytes a second. For the handler `rate`.
#ifndef USHER_HANDLERS_RATE_BYTES_H
#define USHER_HANDLERS_RATE_BYTES_H

#include "base/arena.h"
#include "http/body.h"

#include <stdint.h>

struct byte_rate {
	int64_t bytes; // a second; 0: no limit
	int64_t burst; // bytes that may go at once, which then have to be made up for
};

// The burst where none is written: what a tenth of a second brings, and 64 KiB at least.
int64_t byte_rate_burst(int64_t bytes);

// A body in front of `inner` whose reads wait for their turn, in the arena: the bytes that came through by any moment
// are no more than the burst and what the time has brought. All bodies with the same key (of rate_key) share the rate,
// by pieces in turn; with 0 it is this body's own. NULL when memory is out. Its reads suspend; where the fiber is
// cancelled they fail with FAULT_CLIENT_GONE. No plain stream is lent, since what is spliced is not seen. `step` is a
// literal that names the waits.
struct body *paced_body_new(struct arena *arena, struct body *inner, const struct byte_rate *rate, uint64_t key,
			    const char *step);

#endif
