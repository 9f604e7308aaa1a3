// The nearest of several names, for messages about misspelt ones.
#ifndef USHER_CONFIG_SUGGEST_H
#define USHER_CONFIG_SUGGEST_H

#include "base/slice.h"

// How many letters must be put in, left out, replaced or swapped with their neighbour to get
// from one to the other; `limit` + 1 when it is more than `limit`, or either is longer than
// 64 bytes.
unsigned suggest_distance(struct slice a, struct slice b, unsigned limit);

// A name that is compared with others, and the nearest so far.
struct suggestion {
	struct slice given;
	struct slice nearest; // .data is NULL while none is near
	unsigned distance;
};

void suggest_begin(struct suggestion *suggestion, struct slice given);
void suggest_compare(struct suggestion *suggestion, struct slice name);

#endif
