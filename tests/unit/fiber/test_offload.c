#include "cmocka_all.h"
#include "fail_alloc.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"
#include "fiber/offload.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

static struct kernel *kernel;
static struct loop *loop;

static int set_up(void **state)
{
	kernel = kernel_linux_new();
	loop = loop_new(kernel);
	return 0;
}

static int tear_down(void **state)
{
	loop_free(loop);
	kernel_linux_free(kernel);
	return 0;
}

// Uses far more stack than a fiber has.
struct sum {
	unsigned long from, to;
	unsigned long result;
	pthread_t thread;
};

static void add_up(void *argument)
{
	struct sum *sum = argument;
	char room[512 * 1024];
	memset(room, 1, sizeof room);
	__asm__ volatile("" : : "r"(room) : "memory");
	for (unsigned long i = sum->from; i <= sum->to; i++)
		sum->result += i;
	sum->thread = pthread_self();
}

static atomic_int summed, refused;

static void offload_sum(void *argument)
{
	unsigned long number = (uintptr_t)argument;
	struct sum sum = {.from = number, .to = number + 999};
	int outcome = offload(add_up, &sum);
	if (outcome == -EAGAIN) {
		assert_int_equal(sum.result, 0);
		refused++;
		return;
	}
	assert_int_equal(outcome, 0);
	assert_int_equal(sum.result, number * 1000 + 999 * 1000 / 2);
	assert_false(pthread_equal(sum.thread, pthread_self()));
	summed++;
}

static void much_work_is_all_done(void **state)
{
	assert_int_equal(offload_start(3, 2000), 0);
	summed = refused = 0;
	for (uintptr_t i = 0; i < 1000; i++)
		fiber_spawn("sum", offload_sum, (void *)i);
	loop_run(loop);
	assert_int_equal(summed, 1000);
	assert_int_equal(refused, 0);
	offload_stop();
}

static sem_t gate;

static void wait_at_gate(void *argument)
{
	while (sem_wait(&gate) != 0)
		continue;
	*(bool *)argument = true;
}

static void pass_gate(void *argument)
{
	bool passed = false;
	int outcome = offload(wait_at_gate, &passed);
	if (outcome == -EAGAIN) {
		refused++;
		return;
	}
	assert_int_equal(outcome, 0);
	assert_true(passed);
	summed++;
}

// Runs when all that were spawned before it wait.
static void open_gate(void *argument)
{
	fiber_yield();
	for (int i = 0; i < 10; i++)
		sem_post(&gate);
}

static void a_full_queue_refuses(void **state)
{
	assert_int_equal(sem_init(&gate, 0, 0), 0);
	assert_int_equal(offload_start(1, 4), 0);
	summed = refused = 0;
	for (int i = 0; i < 10; i++)
		fiber_spawn("gate", pass_gate, NULL);
	fiber_spawn("open", open_gate, NULL);
	loop_run(loop);
	// Four in the queue, and one more if the thread took one meanwhile.
	assert_in_range(summed, 4, 5);
	assert_int_equal(summed + refused, 10);
	offload_stop();
	sem_destroy(&gate);
}

static struct fiber *waiting;

static void cancel_then_open(void *argument)
{
	fiber_yield();
	fiber_cancel(waiting);
	fiber_wake(waiting);
	sem_post(&gate);
}

static void wait_through_cancel(void *argument)
{
	bool passed = false;
	assert_int_equal(offload(wait_at_gate, &passed), 0);
	// Not left before: `passed` is on this stack.
	assert_true(passed);
	assert_true(fiber_is_cancelled(fiber_current()));
	assert_int_equal(fiber_wait("after", FIBER_NEVER), -ECANCELED);
	(*(int *)argument)++;
}

static void a_cancelled_fiber_waits_for_its_work(void **state)
{
	assert_int_equal(sem_init(&gate, 0, 0), 0);
	assert_int_equal(offload_start(1, 4), 0);
	int done = 0;
	waiting = fiber_spawn("waits", wait_through_cancel, &done);
	fiber_spawn("cancel", cancel_then_open, NULL);
	loop_run(loop);
	assert_int_equal(done, 1);
	offload_stop();
	sem_destroy(&gate);
}

static void offload_here(void *argument)
{
	unsigned long number = (uintptr_t)argument;
	struct sum sum = {.from = number, .to = number + 999};
	assert_int_equal(offload(add_up, &sum), 0);
	assert_true(pthread_equal(sum.thread, pthread_self()));
	assert_int_equal(sum.result, number * 1000 + 999 * 1000 / 2);
	summed++;
}

static void without_threads_the_loop_does_it(void **state)
{
	assert_int_equal(offload_start(0, 0), 0);
	summed = 0;
	for (uintptr_t i = 0; i < 10; i++)
		fiber_spawn("sum", offload_here, (void *)i);
	loop_run(loop);
	assert_int_equal(summed, 10);
	offload_stop();
	offload_stop();
}

// Several loops share the pool, and each gets its own back.
static void *run_a_loop(void *argument)
{
	struct kernel *own_kernel = kernel_linux_new();
	struct loop *own = loop_new(own_kernel);
	for (uintptr_t round = 0; round < 5; round++) {
		for (uintptr_t i = 0; i < 50; i++)
			fiber_spawn("sum", offload_sum, (void *)(i + round));
		loop_run(own);
	}
	loop_free(own);
	kernel_linux_free(own_kernel);
	return NULL;
}

static void loops_share_the_pool(void **state)
{
	assert_int_equal(offload_start(2, 1000), 0);
	summed = refused = 0;
	pthread_t threads[3];
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_a_loop, NULL), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(summed, 750);
	offload_stop();
}

static void pass_gate_remotely(void *argument)
{
	bool passed = false;
	if (offload_remote(wait_at_gate, &passed) == -EAGAIN) {
		refused++;
		return;
	}
	assert_true(passed);
	summed++;
}

// While all who wait for others stand still, there is still somebody for the rest.
static void add_up_then_open_gate(void *argument)
{
	struct sum sum = {.from = 0, .to = 999};
	assert_int_equal(summed, 0);
	assert_int_equal(offload(add_up, &sum), 0);
	assert_int_equal(summed, 0);
	for (int i = 0; i < 400; i++)
		sem_post(&gate);
}

static void who_waits_for_others_holds_up_nobody(void **state)
{
	assert_int_equal(sem_init(&gate, 0, 0), 0);
	assert_int_equal(offload_start(1, 4), 0);
	summed = refused = 0;
	for (int i = 0; i < 400; i++)
		fiber_spawn("gate", pass_gate_remotely, NULL);
	fiber_spawn("open", add_up_then_open_gate, NULL);
	loop_run(loop);
	// Sixteen run, and 256 wait.
	assert_in_range(summed, 256, 272);
	assert_int_equal(summed + refused, 400);
	offload_stop();
	sem_destroy(&gate);
}

static void note_priority(void *argument)
{
	*(int *)argument = getpriority(PRIO_PROCESS, 0);
}

static void compare_priorities(void *argument)
{
	int before = getpriority(PRIO_PROCESS, 0), local = -1, heavy = -1;
	assert_int_equal(offload_heavy(note_priority, &heavy), 0);
	assert_int_equal(offload(note_priority, &local), 0);
	assert_int_equal(local, before);
	assert_int_equal(getpriority(PRIO_PROCESS, 0), before);
	assert_true(heavy > before || before >= 10);
	summed++;
}

static void heavy_work_stands_behind_the_loops(void **state)
{
	assert_int_equal(offload_start(1, 4), 0);
	summed = 0;
	fiber_spawn("priorities", compare_priorities, NULL);
	loop_run(loop);
	assert_int_equal(summed, 1);
	offload_stop();
}

static void remote_work_is_done_without_threads_too(void **state)
{
	assert_int_equal(sem_init(&gate, 0, 1), 0);
	assert_int_equal(offload_start(0, 0), 0);
	summed = 0;
	fiber_spawn("gate", pass_gate_remotely, NULL);
	loop_run(loop);
	assert_int_equal(summed, 1);
	offload_stop();
	sem_destroy(&gate);
}

static void starting_fails_without_memory(void **state)
{
	fail_alloc_after(0);
	assert_int_equal(offload_start(2, 10), -ENOMEM);
	assert_true(fail_alloc_stop());
	assert_int_equal(offload_start(2, 10), 0);
	offload_stop();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(much_work_is_all_done),
		TEST(a_full_queue_refuses),
		TEST(a_cancelled_fiber_waits_for_its_work),
		TEST(without_threads_the_loop_does_it),
		TEST(loops_share_the_pool),
		TEST(who_waits_for_others_holds_up_nobody),
		TEST(heavy_work_stands_behind_the_loops),
		TEST(remote_work_is_done_without_threads_too),
		TEST(starting_fails_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
