// Rates: how often something may happen, by the generic cell rate algorithm (GCRA, ITU-T I.371), which needs one time
// for each key: when it would be through if all went at the steady rate.
//
// In a table of a fixed size that all threads and all rules share. A key that is not in it has done nothing of late;
// where there are more keys than room, those that are nearest to that are forgotten: a flood from everywhere is not
// held up by this, and nobody is refused because of others.
#ifndef USHER_NET_RATE_H
#define USHER_NET_RATE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct rate {
	int64_t interval_ns; // between two, at the steady rate
	int64_t burst_ns;    // how far ahead of it one may be: interval_ns times the burst
};

// What became of a try.
struct rate_result {
	bool is_within;
	int64_t wait_ns; // not within: until it would be; within: until it is its turn at the steady rate
	int64_t left;	 // how many more may follow at once
	int64_t full_ns; // until the whole burst is there again
};

// Rules that are no route's.
#define RATE_OF_HANDSHAKES UINT64_C(1)

// A key's hash, of a rule and of whom it counts; nobody outside can find two that collide.
uint64_t rate_key(uint64_t rule, struct slice who);

// Counts one, when it is within. From any thread; now_ns is of one clock.
struct rate_result rate_take(const struct rate *rate, uint64_t key, int64_t now_ns);

// Books so much of a rate's time, whether it is within or not, for what cannot be refused: returns how long it has to
// wait for its turn, after all that was booked before, `burst_ns` ahead of the steady rate. A cost below 0 takes back
// what was booked and not used. From any thread.
int64_t rate_book(uint64_t key, int64_t cost_ns, int64_t burst_ns, int64_t now_ns);

// The same for a rate of the caller's own, in *due_ns (0 at first).
int64_t rate_book_at(int64_t *due_ns, int64_t cost_ns, int64_t burst_ns, int64_t now_ns);

#endif
