// How much memory the answers take that are being fetched: they are not in the store yet, whose budget counts what is
// stored. Shared by all threads.
#ifndef USHER_CACHE_FILLING_H
#define USHER_CACHE_FILLING_H

#include <stdbool.h>
#include <stdint.h>

// Claims so many bytes, unless all would have more than `most_bytes` then.
bool cache_filling_claim(uint64_t bytes, uint64_t most_bytes);

void cache_filling_release(uint64_t bytes);

#endif
