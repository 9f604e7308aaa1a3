#include "http/h2_memory.h"

#include "base/check.h"
#include "base/sanitizer.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Sizes are rounded up to powers of two, from the smallest class to the largest, which holds
// the buffer of a whole frame. What is larger (a table that a peer's settings blow up) is
// rare, and the system's.
enum { CLASS_MIN = 6, CLASS_MAX = 15, CLASSES = CLASS_MAX - CLASS_MIN + 1, CLASS_LARGE = CLASSES };

// What a thread keeps at most; the rest goes back to the system.
enum { KEPT_BYTES = 8 * 1024 * 1024 };

// What a thread sets aside of each class, for when memory is out: enough for what one call of a
// session takes.
enum { RESERVED_SMALL = 32, RESERVED_LARGE = 2, SMALL_CLASSES = 5 };

// In front of each piece.
struct head {
	union {
		struct head *next; // while it is free
		size_t size;	   // while it is in use: what was asked for
	};
	uint32_t class;
	uint32_t pad_;
};

_Static_assert(sizeof(struct head) % _Alignof(max_align_t) == 0, "what follows is aligned");

static _Thread_local struct head *kept_[CLASSES];
static _Thread_local size_t kept_bytes_;
static _Thread_local struct head *reserve_[CLASSES];
static _Thread_local uint32_t reserved_[CLASSES];
static _Thread_local bool was_short_;

static size_t class_bytes(uint32_t class)
{
	return (size_t)1 << (class + CLASS_MIN);
}

static uint32_t class_of(size_t bytes)
{
	if (bytes > class_bytes(CLASSES - 1))
		return CLASS_LARGE;
	if (bytes <= class_bytes(0))
		return 0;
	return (uint32_t)(64 - __builtin_clzll((unsigned long long)bytes - 1)) - CLASS_MIN;
}

// --- When memory is out

static void reserve_fill(void)
{
	for (uint32_t class = 0; class < CLASSES; class ++) {
		uint32_t wanted = class < SMALL_CLASSES ? RESERVED_SMALL : RESERVED_LARGE;
		while (reserved_[class] < wanted) {
			struct head *head = malloc(class_bytes(class));
			if (!head)
				return;
			head->next = reserve_[class];
			reserve_[class] = head;
			reserved_[class]++;
		}
	}
}

static struct head *reserve_take(uint32_t class)
{
	was_short_ = true;
	while (class < CLASSES && !reserve_[class])
		class ++;
	if (class >= CLASSES)
		return NULL;
	struct head *head = reserve_[class];
	reserve_[class] = head->next;
	reserved_[class]--;
	return head;
}

bool h2_memory_was_short(void)
{
	bool was_short = was_short_;
	was_short_ = false;
	if (was_short)
		reserve_fill();
	return was_short;
}

// --- Pieces

static struct head *head_take(size_t bytes, uint32_t class)
{
	// Under AddressSanitizer each piece is a malloc of its own size, so that overruns show.
	if (SANITIZE_ADDRESS || class == CLASS_LARGE)
		return malloc(bytes);
	struct head *head = kept_[class];
	if (!head)
		return malloc(class_bytes(class));
	kept_[class] = head->next;
	kept_bytes_ -= class_bytes(class);
	return head;
}

static void *memory_malloc(size_t size, void *argument)
{
	if (size > SIZE_MAX / 2)
		return NULL;
	size_t bytes = sizeof(struct head) + size;
	uint32_t class = class_of(bytes);
	struct head *head = head_take(bytes, class);
	if (!head)
		head = reserve_take(class);
	if (!head)
		return NULL;
	head->class = class;
	head->size = size;
	return head + 1;
}

static void memory_free(void *memory, void *argument)
{
	if (!memory)
		return;
	struct head *head = (struct head *)memory - 1;
	uint32_t class = head->class;
	check(class <= CLASS_LARGE);
	if (SANITIZE_ADDRESS || class == CLASS_LARGE || kept_bytes_ + class_bytes(class) > KEPT_BYTES) {
		free(head);
		return;
	}
	head->next = kept_[class];
	kept_[class] = head;
	kept_bytes_ += class_bytes(class);
}

static void *memory_calloc(size_t count, size_t size, void *argument)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	void *memory = memory_malloc(bytes, argument);
	if (memory)
		memset(memory, 0, bytes);
	return memory;
}

static void *memory_realloc(void *old, size_t size, void *argument)
{
	if (!old)
		return memory_malloc(size, argument);
	struct head *head = (struct head *)old - 1;
	size_t old_size = head->size;
	if (!SANITIZE_ADDRESS && head->class != CLASS_LARGE && sizeof *head + size <= class_bytes(head->class)) {
		head->size = size;
		return old;
	}
	void *memory = memory_malloc(size, argument);
	if (!memory)
		return NULL;
	memcpy(memory, old, old_size < size ? old_size : size);
	memory_free(old, argument);
	return memory;
}

nghttp2_mem *h2_memory(void)
{
	reserve_fill();
	// nghttp2 copies it and never writes to it; its functions work on the lists of the
	// thread that calls them.
	static const nghttp2_mem memory = {
		.malloc = memory_malloc,
		.free = memory_free,
		.calloc = memory_calloc,
		.realloc = memory_realloc,
	};
	return (nghttp2_mem *)&memory;
}

void h2_memory_trim(void)
{
	for (uint32_t class = 0; class < CLASSES; class ++) {
		while (kept_[class]) {
			struct head *head = kept_[class];
			kept_[class] = head->next;
			kept_bytes_ -= class_bytes(class);
			free(head);
		}
		while (reserve_[class]) {
			struct head *head = reserve_[class];
			reserve_[class] = head->next;
			reserved_[class]--;
			free(head);
		}
	}
	check(kept_bytes_ == 0);
}
