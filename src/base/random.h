// Random numbers: fast ones for choices, ones from the kernel for secrets, and ones from a
// seed for tests.
#ifndef USHER_BASE_RANDOM_H
#define USHER_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

// A generator of its own (xoshiro256**): the same seed gives the same numbers.
struct random {
	uint64_t state[4];
};

void random_seed(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);

// 0 to bound - 1, each as likely as the others; bound is at least 1.
uint64_t random_below(struct random *random, uint64_t bound);

// The same from this thread's generator, seeded by the kernel at first use, and again after
// a fork. For balancing, jitter, ids that may be guessed; never for secrets.
uint64_t random_number(void);
uint64_t random_number_below(uint64_t bound);

// Has this thread's generator seeded anew at its next use.
void random_reseed(void);

// Bytes that nobody can guess, from the kernel. Ends the process when the kernel has none:
// to go on with guessable secrets would be worse.
void random_secret(void *to, size_t size);

#endif
