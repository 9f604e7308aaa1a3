// Randomness of the simulated kernel. The linker's --wrap sends getrandom here.
#include "sim_internal.h"

#include <string.h>

static struct random random_;
static bool playing;

ssize_t __real_getrandom(void *to, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *to, size_t size, unsigned flags);

void sim_random_begin(uint64_t seed)
{
	random_seed(&random_, ~seed);
	playing = true;
	random_reseed();
}

void sim_random_end(void)
{
	playing = false;
	random_reseed();
}

ssize_t __wrap_getrandom(void *to, size_t size, unsigned flags)
{
	if (!playing)
		return __real_getrandom(to, size, flags);
	uint64_t word = random_next(&random_);
	size_t count = size < sizeof word ? size : sizeof word;
	memcpy(to, &word, count);
	return (ssize_t)count;
}
