#include "fiber/context.h"

#include "base/check.h"

#include <stdint.h>

#if CONTEXT_BY_UCONTEXT

// makecontext passes nothing but ints.
static void start(unsigned run_high, unsigned run_low, unsigned argument_high, unsigned argument_low)
{
	context_function *run = (context_function *)(uintptr_t)((uint64_t)run_high << 32 | run_low);
	run((void *)(uintptr_t)((uint64_t)argument_high << 32 | argument_low));
	check_failed("a context's function returned", __FILE__, __LINE__);
}

void context_init(struct context *context, void *stack, size_t size, context_function *run, void *argument)
{
	check(getcontext(&context->state) == 0);
	context->state.uc_stack.ss_sp = stack;
	context->state.uc_stack.ss_size = size;
	context->state.uc_link = NULL;
	uint64_t function = (uintptr_t)run, value = (uintptr_t)argument;
	makecontext(&context->state, (void (*)(void))start, 4, (unsigned)(function >> 32), (unsigned)function,
		    (unsigned)(value >> 32), (unsigned)value);
}

void context_switch(struct context *from, struct context *to)
{
	check(swapcontext(&from->state, &to->state) == 0);
}

#else

// In context.S.
void context_switch_stacks(void **ret_from, void *to);
void context_start(void);

void context_init(struct context *context, void *stack, size_t size, context_function *run, void *argument)
{
	uintptr_t top = ((uintptr_t)stack + size) & ~(uintptr_t)15;
	void **frame = (void **)top;
#if defined(__x86_64__)
	// As context_switch_stacks pops it. The two words above keep the stack aligned as the
	// ABI wants it, and end the chain of return addresses.
	frame -= 9;
	for (int i = 0; i < 9; i++)
		frame[i] = NULL;
	frame[2] = (void *)run; // r13
	frame[3] = argument;	// r12
	frame[6] = (void *)context_start;
#else
	// x19 to x30, d8 to d15.
	frame -= 20;
	for (int i = 0; i < 20; i++)
		frame[i] = NULL;
	frame[0] = argument;		   // x19
	frame[1] = (void *)run;		   // x20
	frame[11] = (void *)context_start; // x30
#endif
	context->stack_pointer = frame;
}

void context_switch(struct context *from, struct context *to)
{
	context_switch_stacks(&from->stack_pointer, to->stack_pointer);
}

#endif
