// Blocks: fixed pieces of BLOCK_SIZE bytes from a list that each thread keeps.
//
// Read buffers and arenas are made of them. The newest returned block is handed out
// first, so that what is hot in the cache stays in use. A thread keeps at most
// BLOCKS_KEPT of them; the rest go back to the system.
#ifndef USHER_BASE_BLOCK_H
#define USHER_BASE_BLOCK_H

#include <stddef.h>

enum { BLOCK_SIZE = 16 * 1024, BLOCKS_KEPT = 1024 };

// Uninitialised memory of BLOCK_SIZE bytes, aligned for any type; NULL when memory is out.
void *block_take(void);

// Gives a block back to this thread's list, whichever thread took it. NULL is allowed.
void block_give(void *block);

// Frees this thread's list; before the thread ends.
void block_trim(void);

#endif
