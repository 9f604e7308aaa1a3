#include "fail_alloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

static atomic_long left = -1; // until one fails; -1: none will
static atomic_bool failed;
static atomic_ulong count;

void fail_alloc_after(unsigned passed)
{
	failed = false;
	left = (long)passed;
}

bool fail_alloc_stop(void)
{
	left = -1;
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

static bool fails(void)
{
	count++;
	if (left < 0 || left-- > 0)
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
