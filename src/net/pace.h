// How fast bytes go: a rate that they wait for, shared by all with the same key. Whoever moves bytes books a piece,
// waits as long as he is told, moves it, and gives back what there was not. The bytes that went by any moment are no
// more than the burst and what the time has brought.
#ifndef USHER_NET_PACE_H
#define USHER_NET_PACE_H

#include <stddef.h>
#include <stdint.h>

struct pace {
	struct pace *next; // another one that holds as well; NULL
	int64_t bytes_a_second, burst_ns;
	size_t piece; // what goes at a time
	uint64_t key; // of rate_key; 0: of its own, in due_ns
	int64_t due_ns;
};

// Bytes a second, 1 KiB at least, and the bytes that may go at once, as many at least.
struct pace pace_of(int64_t bytes_a_second, int64_t burst, uint64_t key);

// What may be booked at a time: the least of all that hold.
size_t pace_piece(const struct pace *pace);

// Returns how long the bytes have to wait for their turn. now_ns is exact (loop_now_exact).
int64_t pace_book(struct pace *pace, size_t bytes, int64_t now_ns);

// Of what was booked, so many bytes did not go.
void pace_give_back(struct pace *pace, size_t bytes, int64_t now_ns);

#endif
