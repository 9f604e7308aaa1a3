#include "fiber/stack.h"

#include "base/check.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif

// Linux 6.13; the C library's headers are older.
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

struct stack_slab {
	struct stack_slab *next;
	char *memory;
	unsigned used; // the first so many stacks are made
	struct stack stacks[STACKS_IN_SLAB];
};

enum { SLAB_SIZE = STACK_SIZE * STACKS_IN_SLAB };

void stack_pool_init(struct stack_pool *pool)
{
	*pool = (struct stack_pool){0};
	list_init(&pool->warm);
	list_init(&pool->cold);
}

static struct stack_slab *add_slab(struct stack_pool *pool)
{
	struct stack_slab *slab = malloc(sizeof *slab);
	if (slab == NULL)
		return NULL;
	slab->memory = mmap(NULL, SLAB_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (slab->memory == MAP_FAILED) {
		free(slab);
		return NULL;
	}
	// A huge page would give each slab the memory that its stacks never touch. Kernels
	// without huge pages refuse, and that is as well.
	(void)madvise(slab->memory, SLAB_SIZE, MADV_NOHUGEPAGE);
	slab->used = 0;
	slab->next = pool->slabs;
	pool->slabs = slab;
	return slab;
}

// Guards made by madvise cost no mapping. Those by mprotect split the slab's mapping, of
// which the kernel allows a process vm.max_map_count (65,530), so that about 32,000 stacks
// can be had: ENOMEM beyond.
static bool install_guard(struct stack_pool *pool, char *page, size_t size)
{
	if (!pool->guards_by_mprotect) {
		if (madvise(page, size, MADV_GUARD_INSTALL) == 0)
			return true;
		if (errno != EINVAL)
			return false;
		pool->guards_by_mprotect = true;
	}
	return mprotect(page, size, PROT_NONE) == 0;
}

static struct stack *make_stack(struct stack_pool *pool)
{
	struct stack_slab *slab = pool->slabs;
	if (slab == NULL || slab->used == STACKS_IN_SLAB) {
		slab = add_slab(pool);
		if (slab == NULL)
			return NULL;
	}
	size_t guard_size = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = slab->memory + (size_t)slab->used * STACK_SIZE;
	if (!install_guard(pool, memory, guard_size))
		return NULL;
	struct stack *stack = &slab->stacks[slab->used++];
	*stack = (struct stack){
		.bottom = memory + guard_size,
		.size = STACK_SIZE - guard_size,
		.number = pool->next_number++,
	};
	list_init(&stack->link);
	stack->valgrind_id = VALGRIND_STACK_REGISTER(stack->bottom, stack->bottom + stack->size);
	return stack;
}

struct stack *stack_take(struct stack_pool *pool)
{
	struct list_link *link = list_pop_front(&pool->warm);
	if (link != NULL) {
		check(pool->warm_count > 0);
		pool->warm_count--;
		if (pool->warm_count < pool->warm_least)
			pool->warm_least = pool->warm_count;
	} else {
		link = list_pop_front(&pool->cold);
	}
	return link != NULL ? LIST_ENTRY(link, struct stack, link) : make_stack(pool);
}

void stack_give(struct stack_pool *pool, struct stack *stack)
{
	// Frames that were left without returning may still be poisoned.
	sanitizer_unpoison(stack->bottom, stack->size);
	list_push_front(&pool->warm, &stack->link);
	pool->warm_count++;
}

void stack_pool_trim(struct stack_pool *pool)
{
	size_t idle = pool->warm_least > STACKS_KEPT ? pool->warm_least - STACKS_KEPT : 0;
	if (idle > STACKS_TRIMMED)
		idle = STACKS_TRIMMED;
	for (; idle > 0; idle--) {
		struct stack *stack = LIST_ENTRY(pool->warm.previous, struct stack, link);
		check(&stack->link != &pool->warm);
		list_remove(&stack->link);
		pool->warm_count--;
		(void)madvise(stack->bottom, stack->size, MADV_DONTNEED);
		list_push_front(&pool->cold, &stack->link);
	}
	pool->warm_least = pool->warm_count;
}

void stack_pool_fini(struct stack_pool *pool)
{
	while (pool->slabs != NULL) {
		struct stack_slab *slab = pool->slabs;
		pool->slabs = slab->next;
		for (unsigned i = 0; i < slab->used; i++)
			VALGRIND_STACK_DEREGISTER(slab->stacks[i].valgrind_id);
		sanitizer_unpoison(slab->memory, SLAB_SIZE);
		check(munmap(slab->memory, SLAB_SIZE) == 0);
		free(slab);
	}
	stack_pool_init(pool);
}
