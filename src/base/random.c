#include "base/random.h"

#include "base/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/random.h>

static _Thread_local struct random generator_;
static _Thread_local bool seeded_;

void random_reseed(void)
{
	seeded_ = false;
}

// A forked child has a copy of its parent's state and would repeat its numbers.
__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, random_reseed);
}

static struct random *thread_generator(void)
{
	if (__builtin_expect(!seeded_, 0)) {
		uint64_t seed;
		random_secret(&seed, sizeof seed);
		random_seed(&generator_, seed);
		seeded_ = true;
	}
	return &generator_;
}

uint64_t random_number(void)
{
	return random_next(thread_generator());
}

uint64_t random_number_below(uint64_t bound)
{
	return random_below(thread_generator(), bound);
}

void random_seed(struct random *random, uint64_t seed)
{
	// SplitMix64 spreads the seed; its outputs are never all zero.
	for (int i = 0; i < 4; i++) {
		seed += UINT64_C(0x9e3779b97f4a7c15);
		uint64_t word = seed;
		word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
		random->state[i] = word ^ word >> 31;
	}
}

static uint64_t rotate_left(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

uint64_t random_next(struct random *random)
{
	uint64_t *state = random->state;
	uint64_t result = rotate_left(state[1] * 5, 7) * 9;
	uint64_t shifted = state[1] << 17;
	state[2] ^= state[0];
	state[3] ^= state[1];
	state[1] ^= state[2];
	state[0] ^= state[3];
	state[2] ^= shifted;
	state[3] = rotate_left(state[3], 45);
	return result;
}

uint64_t random_below(struct random *random, uint64_t bound)
{
	check(bound > 0);
	// The high half of a product is even but for the first few values of its low half
	// (Lemire, 2019): those are drawn again.
	__uint128_t product = (__uint128_t)random_next(random) * bound;
	if ((uint64_t)product < bound) {
		uint64_t uneven = (0 - bound) % bound;
		while ((uint64_t)product < uneven)
			product = (__uint128_t)random_next(random) * bound;
	}
	return (uint64_t)(product >> 64);
}

void random_secret(void *to, size_t size)
{
	char *next = to;
	while (size > 0) {
		ssize_t got = getrandom(next, size, 0);
		if (got < 0 && errno == EINTR)
			continue;
		check(got > 0);
		next += got;
		size -= (size_t)got;
	}
}
