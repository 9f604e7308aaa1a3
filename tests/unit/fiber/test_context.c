#include "cmocka_all.h"
#include "fiber/context.h"

#include <fenv.h>
#include <string.h>

static struct context outside, inside;
static char stack[256 * 1024] __attribute__((aligned(64)));
static int steps;

static void walk(void *argument)
{
	int *step = argument;
	// The ABI wants 16 bytes; what the compiler makes of this would trap otherwise.
	char aligned[64] __attribute__((aligned(16)));
	assert_int_equal((uintptr_t)aligned % 16, 0);
	double fraction = 0.5;
	for (;;) {
		(*step)++;
		fraction *= 2;
		memset(aligned, *step, sizeof aligned);
		context_switch(&inside, &outside);
		assert_int_equal(aligned[63], *step);
		assert_true(fraction == (double)(1 << (*step - 1)));
	}
}

static void goes_there_and_back(void **state)
{
	context_init(&inside, stack, sizeof stack, walk, &steps);
	// More values than there are registers live across the switches.
	long a[24];
	double b[24];
	for (int i = 0; i < 24; i++) {
		a[i] = i * 3 + steps;
		b[i] = i * 1.5 + steps;
	}
	for (int i = 1; i <= 20; i++) {
		context_switch(&outside, &inside);
		assert_int_equal(steps, i);
	}
	for (int i = 0; i < 24; i++) {
		assert_int_equal(a[i], i * 3);
		assert_true(b[i] == i * 1.5);
	}
}

// The rounding mode is the thread's, and goes along.
static double third;

static void divide(void *argument)
{
	volatile double one = 1, three = 3;
	for (;;) {
		third = one / three;
		context_switch(&inside, &outside);
	}
}

static void control_words_are_the_threads(void **state)
{
	context_init(&inside, stack, sizeof stack, divide, NULL);
	context_switch(&outside, &inside);
	double nearest = third;
	fesetround(FE_UPWARD);
	context_switch(&outside, &inside);
	int mode = fegetround();
	fesetround(FE_TONEAREST);
	assert_int_equal(mode, FE_UPWARD);
	if (!CONTEXT_BY_UCONTEXT)
		assert_true(third > nearest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_there_and_back),
		cmocka_unit_test(control_words_are_the_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
