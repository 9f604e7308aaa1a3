#include "base/check.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"

#include <cmocka.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

static void count_up(void *argument)
{
	int *count = argument;
	for (int i = 0; i < 3; i++) {
		(*count)++;
		fiber_yield();
	}
}

static void runs_to_the_end(void **state)
{
	struct kernel *kernel = kernel_linux_new();
	struct loop *loop = loop_new(kernel);
	int count = 0;
	for (int i = 0; i < 10; i++)
		assert_non_null(fiber_spawn("count", count_up, &count));
	loop_run(loop);
	assert_int_equal(count, 30);
	loop_free(loop);
	kernel_linux_free(kernel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_to_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
