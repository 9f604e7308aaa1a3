// An arena: memory that is taken piece by piece and given back all at once.
//
// Each exchange has one; all that it needs is taken from it, and nothing of it outlives
// the exchange. Blocks come from a per-thread list (block.h), so that in steady state
// no request calls malloc. Under AddressSanitizer every allocation is a malloc of its
// own, so that overruns show. Not for sharing between threads.
#ifndef USHER_BASE_ARENA_H
#define USHER_BASE_ARENA_H

#include "base/slice.h"

#include <stdarg.h>
#include <stddef.h>

struct arena_large;
struct block;

struct arena {
	char *next; // free space of the newest block
	char *end;
	struct block *blocks;	   // newest first
	struct arena_large *large; // allocations that got a malloc of their own
	size_t taken_bytes;	   // everything that was handed out
	size_t limit_bytes;	   // allocations fail beyond it
};

// Takes no memory yet. limit_bytes bounds what the arena hands out in all.
void arena_init(struct arena *arena, size_t limit_bytes);

// Gives everything back. The arena may be used again afterwards.
void arena_fini(struct arena *arena);

// Uninitialised memory for any type; NULL when memory is out or the limit is reached.
void *arena_alloc(struct arena *arena, size_t size);

// The same, zeroed.
void *arena_zalloc(struct arena *arena, size_t size);

// A copy of the bytes (with a NUL behind them, which is not counted). .data is NULL when
// memory is out.
struct slice arena_copy(struct arena *arena, struct slice bytes);

// As snprintf, into the arena. .data is NULL when memory is out.
struct slice arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
