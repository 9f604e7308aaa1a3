#include "fail_alloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

static atomic_long left = -1; // until one fails; -1: none will
static atomic_ulong chance_state;
static atomic_uint chance; // per mille
static atomic_bool failed;
static atomic_ulong count;

void fail_alloc_after(unsigned passed)
{
	failed = false;
	left = (long)passed;
}

void fail_alloc_by_chance(unsigned long seed, unsigned per_mille)
{
	failed = false;
	chance_state = seed;
	chance = per_mille;
}

bool fail_alloc_stop(void)
{
	left = -1;
	chance = 0;
	return failed;
}

bool fail_alloc_round(unsigned round)
{
	if (!fail_alloc_stop() && round > 0)
		return false;
	fail_alloc_after(round);
	return true;
}

unsigned long fail_alloc_count(void)
{
	return count;
}

// A linear congruential generator, whose high bits are the good ones.
static bool fails_by_chance(void)
{
	if (chance == 0)
		return false;
	chance_state = chance_state * 6364136223846793005ul + 1442695040888963407ul;
	return (chance_state >> 33) % 1000 < chance;
}

static bool fails(void)
{
	count++;
	bool now = left >= 0 && left-- == 0;
	if (!now && !fails_by_chance())
		return false;
	failed = true;
	errno = ENOMEM;
	return true;
}

// The linker's --wrap sends the calls here, and __real_ to where they went before.
void *__real_malloc(size_t size);
void *__real_calloc(size_t number, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **ret_memory, size_t alignment, size_t size);
void *__real_mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t number, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **ret_memory, size_t alignment, size_t size);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t number, size_t size)
{
	return fails() ? NULL : __real_calloc(number, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

int __wrap_posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
	return fails() ? ENOMEM : __real_posix_memalign(ret_memory, alignment, size);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset)
{
	return fails() ? MAP_FAILED : __real_mmap(address, size, protection, flags, descriptor, offset);
}
