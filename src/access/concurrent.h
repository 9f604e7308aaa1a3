// How many of a kind are under way at once, over all threads, in a table of a fixed size.
#ifndef USHER_ACCESS_CONCURRENT_H
#define USHER_ACCESS_CONCURRENT_H

#include <stdint.h>

// A place that was taken.
struct concurrent;

enum concurrent_result {
	CONCURRENT_TAKEN,
	CONCURRENT_FULL,      // as many as may be are under way
	CONCURRENT_UNCOUNTED, // the table has no room for another key: it may go on, and gives nothing back
};

// Takes one of `limit` places (at least 1) of the key, as rate_key makes it. From any thread.
enum concurrent_result concurrent_take(uint64_t key, uint32_t limit, struct concurrent **ret_place);

// Gives back a place, once. From any thread.
void concurrent_give(struct concurrent *place);

#endif
