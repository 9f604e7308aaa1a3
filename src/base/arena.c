#include "base/arena.h"

#include "base/block.h"
#include "base/check.h"
#include "base/sanitizer.h"

#include <stdio.h>
#include <stdlib.h>

// The start of each block that an arena holds; what is handed out follows.
struct block {
	struct block *next;
	size_t pad_;
};

// The start of each allocation that got a malloc of its own.
struct arena_large {
	struct arena_large *next;
	size_t pad_;
};

enum {
	ALIGNMENT = _Alignof(max_align_t),
	// What is larger would waste too much of a block's end.
	LARGE = BLOCK_SIZE / 4,
	PRINTED_AT_FIRST = 512,
};

_Static_assert(sizeof(struct block) % ALIGNMENT == 0, "what follows is aligned");
_Static_assert(sizeof(struct arena_large) % ALIGNMENT == 0, "what follows is aligned");

void arena_init(struct arena *arena, size_t limit_bytes)
{
	*arena = (struct arena){.limit_bytes = limit_bytes};
}

static void *alloc_large(struct arena *arena, size_t size)
{
	struct arena_large *large = malloc(sizeof *large + size);
	if (large == NULL)
		return NULL;
	large->next = arena->large;
	arena->large = large;
	return large + 1;
}

static bool add_block(struct arena *arena)
{
	struct block *block = block_take();
	if (block == NULL)
		return false;
	block->next = arena->blocks;
	arena->blocks = block;
	arena->next = (char *)(block + 1);
	arena->end = (char *)block + BLOCK_SIZE;
	return true;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	check(arena->taken_bytes <= arena->limit_bytes);
	size_t room = arena->limit_bytes - arena->taken_bytes;
	if (size > room)
		return NULL;
	// Checked before rounding: nothing overflows below half of the address space.
	if (size > SIZE_MAX / 2)
		return NULL;
	size_t rounded = size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	size_t taken = rounded < room ? rounded : room;

	void *memory;
	if (SANITIZE_ADDRESS || rounded > LARGE) {
		// Not rounded, so that one byte too far shows.
		memory = alloc_large(arena, size);
		if (memory == NULL)
			return NULL;
	} else {
		if ((size_t)(arena->end - arena->next) < rounded && !add_block(arena))
			return NULL;
		memory = arena->next;
		arena->next += rounded;
	}
	arena->taken_bytes += taken;
	return memory;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
	void *memory = arena_alloc(arena, size);
	if (memory != NULL)
		memset(memory, 0, size);
	return memory;
}

struct slice arena_copy(struct arena *arena, struct slice bytes)
{
	if (bytes.length == SIZE_MAX)
		return SLICE_EMPTY;
	char *copy = arena_alloc(arena, bytes.length + 1);
	if (copy == NULL)
		return SLICE_EMPTY;
	if (bytes.length > 0)
		memcpy(copy, bytes.data, bytes.length);
	copy[bytes.length] = '\0';
	return slice_from(copy, bytes.length);
}

struct slice arena_printf(struct arena *arena, const char *format, ...)
{
	char at_first[PRINTED_AT_FIRST];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(at_first, sizeof at_first, format, arguments);
	va_end(arguments);
	if (length < 0)
		return SLICE_EMPTY;
	if ((size_t)length < sizeof at_first)
		return arena_copy(arena, slice_from(at_first, (size_t)length));

	char *text = arena_alloc(arena, (size_t)length + 1);
	if (text == NULL)
		return SLICE_EMPTY;
	va_start(arguments, format);
	int again = vsnprintf(text, (size_t)length + 1, format, arguments);
	va_end(arguments);
	check(again == length);
	return slice_from(text, (size_t)length);
}

void arena_fini(struct arena *arena)
{
	while (arena->blocks != NULL) {
		struct block *block = arena->blocks;
		arena->blocks = block->next;
		block_give(block);
	}
	while (arena->large != NULL) {
		struct arena_large *large = arena->large;
		arena->large = large->next;
		free(large);
	}
	arena_init(arena, arena->limit_bytes);
}
