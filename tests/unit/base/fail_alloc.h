// Makes allocations fail, one after the other: for tests of what happens when memory is out.
//
// A test that links `fail_alloc` has malloc, calloc, realloc, aligned_alloc, posix_memalign
// and mmap of its own objects and of usher's (not of other libraries) counted.
#ifndef USHER_TESTS_FAIL_ALLOC_H
#define USHER_TESTS_FAIL_ALLOC_H

#include <stdbool.h>

// The allocation after `passed` more of them fails, once. Forgets what was set before.
void fail_alloc_after(unsigned passed);

// Each allocation from now on fails with a chance of so many in a thousand, drawn from the seed.
void fail_alloc_by_chance(unsigned long seed, unsigned per_mille);

// No allocation fails from now on. Whether one did since fail_alloc_after.
bool fail_alloc_stop(void);

// How many allocations were asked for since the program began, by all threads.
unsigned long fail_alloc_count(void);

// Use: for (unsigned n = 0; fail_alloc_round(n); n++) { ... }, so that in each round another
// allocation fails: the first, then the second, and so on; the last round has none that does.
bool fail_alloc_round(unsigned round);

#endif
