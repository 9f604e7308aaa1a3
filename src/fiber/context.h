// Contexts: where a stack stopped, and the switch from one stack to another.
//
// In assembly for x86-64 and aarch64; by ucontext elsewhere, 30 times slower (it asks the
// kernel for the signal mask each time). Knows nothing of fibers.
#ifndef USHER_FIBER_CONTEXT_H
#define USHER_FIBER_CONTEXT_H

#include <stddef.h>

#if defined(CONTEXT_BY_UCONTEXT) || !(defined(__x86_64__) || defined(__aarch64__))
#undef CONTEXT_BY_UCONTEXT
#define CONTEXT_BY_UCONTEXT 1
#include <ucontext.h>
#else
#define CONTEXT_BY_UCONTEXT 0
#endif

struct context {
#if CONTEXT_BY_UCONTEXT
	ucontext_t state;
#else
	void *stack_pointer; // everything else lies on the stack
#endif
};

// Says that the context will be switched to soon: what it finds first on its stack is
// fetched into the cache.
static inline void context_prefetch(const struct context *context)
{
#if !CONTEXT_BY_UCONTEXT
	for (size_t line = 0; line < 8; line++)
		__builtin_prefetch((const char *)context->stack_pointer + line * 64, 1);
#endif
}

typedef void context_function(void *argument);

// Makes a context that, when first switched to, runs run(argument) on the `size` bytes at
// `stack`. `run` must never return; it switches away for the last time.
void context_init(struct context *context, void *stack, size_t size, context_function *run, void *argument);

// Keeps where the caller is in *from, and goes on where *to was kept.
void context_switch(struct context *from, struct context *to);

#endif
