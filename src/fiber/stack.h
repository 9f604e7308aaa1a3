// Stacks for fibers: from mapped slabs, the newest returned one first, each above a guard
// that ends the process when it is run over.
//
// A stack that was not needed for a while gives its memory back to the system and keeps its
// addresses; so what many fibers once used is not held for ever. Knows nothing of fibers.
#ifndef USHER_FIBER_STACK_H
#define USHER_FIBER_STACK_H

#include "base/list.h"
#include "base/sanitizer.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	// Sanitizers make frames several times as large.
	STACK_SIZE = (SANITIZE_ADDRESS || SANITIZE_THREAD ? 256 : 64) * 1024,
	STACKS_IN_SLAB = 16,
	// This many unused stacks may keep their memory.
	STACKS_KEPT = 32,
	// stack_pool_trim takes the memory from at most so many.
	STACKS_TRIMMED = 64,
	STACK_TRIM_PERIOD_MS = 100,
};

struct stack {
	struct list_link link;
	char *bottom;	 // above the guard
	size_t size;	 // of what can be used
	unsigned number; // counted through the pool
	unsigned valgrind_id;
};

struct stack_slab;

struct stack_pool {
	struct list_link warm; // unused, newest first: their memory is there
	struct list_link cold; // unused, their memory was given back
	size_t warm_count;
	size_t warm_least; // the fewest there were since the last trim
	struct stack_slab *slabs;
	unsigned next_number;
	bool guards_by_mprotect;
};

void stack_pool_init(struct stack_pool *pool);

// Unmaps everything; no stack may be in use.
void stack_pool_fini(struct stack_pool *pool);

// NULL when memory is out or the kernel allows no more mappings.
struct stack *stack_take(struct stack_pool *pool);
void stack_give(struct stack_pool *pool, struct stack *stack);

// Takes the memory from stacks that stayed unused since the last call, the longest unused
// first; to be called every STACK_TRIM_PERIOD_MS while stack_pool_wants_trim.
void stack_pool_trim(struct stack_pool *pool);

static inline bool stack_pool_wants_trim(const struct stack_pool *pool)
{
	return pool->warm_count > STACKS_KEPT;
}

#endif
