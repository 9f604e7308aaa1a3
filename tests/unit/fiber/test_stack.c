#include "cmocka_all.h"
#include "fail_alloc.h"
#include "fake_kernel.h"
#include "fiber/fiber_internal.h"
#include "fiber/stack.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, MANY = 500 };

// The linker's --wrap sends madvise here: an older kernel without guard regions.
static bool no_guard_regions;
int __real_madvise(void *address, size_t length, int advice);
int __wrap_madvise(void *address, size_t length, int advice);

int __wrap_madvise(void *address, size_t length, int advice)
{
	if (advice == 102 && no_guard_regions) {
		errno = EINVAL;
		return -1;
	}
	return __real_madvise(address, length, advice);
}

static size_t resident_pages(const struct stack *stack)
{
	unsigned char pages[STACK_SIZE / PAGE] = {0};
	assert_int_equal(mincore(stack->bottom, stack->size, pages), 0);
	size_t resident = 0;
	for (size_t i = 0; i < COUNT(pages); i++)
		resident += pages[i] & 1;
	return resident;
}

static void newest_comes_back_first(void **state)
{
	struct stack_pool pool;
	stack_pool_init(&pool);
	struct stack *stacks[40];
	for (int i = 0; i < 40; i++) {
		stacks[i] = stack_take(&pool);
		assert_non_null(stacks[i]);
		assert_int_equal(stacks[i]->number, i);
		memset(stacks[i]->bottom, i, stacks[i]->size);
	}
	for (int i = 0; i < 40; i++) {
		assert_int_equal(stacks[i]->bottom[0], i);
		assert_int_equal(stacks[i]->bottom[stacks[i]->size - 1], i);
	}
	stack_give(&pool, stacks[7]);
	stack_give(&pool, stacks[3]);
	assert_ptr_equal(stack_take(&pool), stacks[3]);
	assert_ptr_equal(stack_take(&pool), stacks[7]);
	for (int i = 0; i < 40; i++)
		stack_give(&pool, stacks[i]);
	stack_pool_fini(&pool);
}

static void unused_stacks_lose_their_memory(void **state)
{
	struct stack_pool pool;
	stack_pool_init(&pool);
	static struct stack *stacks[MANY];
	for (int i = 0; i < MANY; i++) {
		stacks[i] = stack_take(&pool);
		memset(stacks[i]->bottom, 1, stacks[i]->size);
		assert_true(resident_pages(stacks[i]) >= STACK_SIZE / PAGE - 1);
	}
	assert_false(stack_pool_wants_trim(&pool));
	for (int i = 0; i < MANY; i++)
		stack_give(&pool, stacks[i]);
	assert_true(stack_pool_wants_trim(&pool));
	stack_pool_trim(&pool); // they were in use until now
	assert_int_equal(pool.warm_count, MANY);
	for (int rounds = 0; rounds < MANY / STACKS_TRIMMED + 1; rounds++)
		stack_pool_trim(&pool);
	assert_int_equal(pool.warm_count, STACKS_KEPT);
	assert_false(stack_pool_wants_trim(&pool));
	// The longest unused lost theirs.
	for (int i = 0; i < MANY; i++)
		assert_int_equal(resident_pages(stacks[i]) == 0, i < MANY - STACKS_KEPT);
	// Warm ones are taken first; cold ones are as good as new, and no slab is added.
	unsigned long before = fail_alloc_count();
	for (int i = 0; i < MANY; i++) {
		struct stack *stack = stack_take(&pool);
		assert_int_equal(resident_pages(stack) > 0, i < STACKS_KEPT);
		memset(stack->bottom, 2, stack->size);
	}
	assert_int_equal(fail_alloc_count(), before);
	stack_pool_fini(&pool);
}

static void stacks_in_use_now_and_then_stay_warm(void **state)
{
	struct stack_pool pool;
	stack_pool_init(&pool);
	struct stack *stacks[200];
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 200; i++)
			stacks[i] = stack_take(&pool);
		for (int i = 0; i < 200; i++)
			stack_give(&pool, stacks[i]);
		stack_pool_trim(&pool);
		assert_int_equal(pool.warm_count, 200);
	}
	stack_pool_fini(&pool);
}

static void use_stack(void *argument)
{
	char room[16 * 1024];
	memset(room, 1, sizeof room);
	__asm__ volatile("" : : "r"(room) : "memory");
	fiber_sleep("test", *(int64_t *)argument);
}

static void a_burst_of_fibers_is_forgotten(void **state)
{
	struct fake_kernel fake;
	struct loop *loop = fake_loop_new(&fake);
	int64_t soon = loop_now() + SECOND_NS, later = loop_now() + 60 * SECOND_NS;
	for (int i = 0; i < 2000; i++)
		assert_non_null(fiber_spawn("burst", use_stack, &soon));
	assert_non_null(fiber_spawn("stays", use_stack, &later));
	loop_run(loop);
	assert_true(loop_now() >= later);
	assert_in_range(loop->stacks.warm_count, 1, STACKS_KEPT + 1);
	// And then the loop sleeps for good.
	assert_in_range(fake.waits, 1, 100);
	loop_free(loop);
}

// --- The guard.

// Each frame is smaller than the guard, so that none jumps over it. What the callee returns is
// used after the call, so that the compiler cannot make a loop of it.
static volatile int enough = 1 << 30;

static __attribute__((noinline)) int recurse(int depth)
{
	volatile char frame[512];
	frame[depth % 512] = (char)depth;
	int below = depth < enough ? recurse(depth + 1) : 0;
	return below + frame[depth % 512];
}

static void overflow(void *argument)
{
	int *result = argument;
	*result = recurse(0);
}

static void expect_death_by_overflow(void)
{
	pid_t child = fork();
	if (child == 0) {
		struct rlimit no_core = {0, 0};
		setrlimit(RLIMIT_CORE, &no_core);
		sigaction(SIGSEGV, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
		struct fake_kernel fake;
		struct loop *loop = fake_loop_new(&fake);
		// In the middle of a slab, where a stack lies below.
		int result = 0;
		int64_t soon = loop_now() + 1;
		fiber_spawn("below", use_stack, &soon);
		fiber_spawn("overflow", overflow, &result);
		loop_run(loop);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

static void an_overflow_dies_at_the_guard(void **state)
{
	expect_death_by_overflow();
}

static void an_overflow_dies_at_a_guard_by_mprotect(void **state)
{
	no_guard_regions = true;
	expect_death_by_overflow();
	no_guard_regions = false;
}

#if !SANITIZE_THREAD

// --- The wall: vm.max_map_count.

static long max_mappings(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
	long count = 0;
	if (file != NULL) {
		if (fscanf(file, "%ld", &count) != 1)
			count = 0;
		fclose(file);
	}
	return count;
}

// In a child: takes mappings until few are left, then fibers until there are none. Exits with
// 0 when all is as it should be.
static int run_into_the_wall(void)
{
	size_t pages = (size_t)max_mappings() + 1000;
	char *memory = mmap(NULL, pages * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	size_t split = 0;
	while (split < pages && mprotect(memory + split * PAGE, PAGE, PROT_NONE) == 0)
		split += 2;
	if (split >= pages || errno != ENOMEM)
		return 2;
	// Gives some back.
	if (munmap(memory, 1000 * PAGE) != 0)
		return 3;

	struct fake_kernel fake;
	struct loop *loop = fake_loop_new(&fake);
	int64_t soon = loop_now() + SECOND_NS;
	int spawned = 0;
	while (spawned < 10000 && fiber_spawn("test", use_stack, &soon) != NULL)
		spawned++;
	if (spawned == 10000 || spawned < 300)
		return 4;
	if (fiber_spawn("test", use_stack, &soon) != NULL)
		return 5;
	// Those that are there work, and their stacks can be used again.
	loop_run(loop);
	soon += SECOND_NS;
	for (int i = 0; i < spawned; i++) {
		if (fiber_spawn("test", use_stack, &soon) == NULL)
			return 6;
	}
	if (fiber_spawn("test", use_stack, &soon) != NULL)
		return 7;
	loop_run(loop);
	loop_free(loop);
	return 0;
}

static void at_the_wall_spawning_fails(void **state)
{
	assert_true(max_mappings() > 0);
	pid_t child = fork();
	if (child == 0) {
		no_guard_regions = true;
		_exit(run_into_the_wall());
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(newest_comes_back_first),
		cmocka_unit_test(unused_stacks_lose_their_memory),
		cmocka_unit_test(stacks_in_use_now_and_then_stay_warm),
		cmocka_unit_test(a_burst_of_fibers_is_forgotten),
		cmocka_unit_test(an_overflow_dies_at_the_guard),
		cmocka_unit_test(an_overflow_dies_at_a_guard_by_mprotect),
#if !SANITIZE_THREAD // which makes mappings for each fiber itself, and dies at the wall
		cmocka_unit_test(at_the_wall_spawning_fails),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
