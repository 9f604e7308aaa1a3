#include "base/random.h"
#include "cmocka_all.h"
#include "fake_kernel.h"
#include "fiber/fiber.h"
#include "fiber/wait.h"

#include <errno.h>

static struct fake_kernel fake;
static struct loop *loop;
static struct wait_queue queue;
static int order[64], ended;

static int set_up(void **state)
{
	loop = fake_loop_new(&fake);
	wait_queue_init(&queue);
	ended = 0;
	return loop != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	loop_free(loop);
	return 0;
}

struct waiting {
	int number;
	int64_t deadline_ns;
	int outcome;
	struct fiber *fiber;
};

static void wait_once(void *argument)
{
	struct waiting *waiting = argument;
	waiting->outcome = wait_queue_wait(&queue, "test", waiting->deadline_ns);
	order[ended++] = waiting->number;
}

static void spawn_waiting(struct waiting *waiting, int count)
{
	for (int i = 0; i < count; i++) {
		waiting[i] = (struct waiting){.number = i, .deadline_ns = FIBER_NEVER, .outcome = 1};
		waiting[i].fiber = fiber_spawn("waiting", wait_once, &waiting[i]);
	}
}

static void first_come_first_woken(void **state)
{
	struct waiting waiting[5];
	spawn_waiting(waiting, 5);
	loop_turn(loop, 0);
	assert_int_equal(ended, 0);
	wait_queue_wake_one(&queue);
	wait_queue_wake_one(&queue);
	loop_turn(loop, 0);
	assert_int_equal(ended, 2);
	wait_queue_wake_all(&queue);
	loop_run(loop);
	assert_int_equal(ended, 5);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(order[i], i);
		assert_int_equal(waiting[i].outcome, 0);
	}
	wait_queue_wake_one(&queue);
	wait_queue_wake_all(&queue);
}

static void deadlines_and_cancellation(void **state)
{
	struct waiting waiting[3];
	spawn_waiting(waiting, 3);
	waiting[0].deadline_ns = loop_now() + SECOND_NS;
	loop_turn(loop, 0);
	fiber_cancel(waiting[1].fiber);
	for (int i = 0; i < 5 && ended < 2; i++)
		loop_turn(loop, 2 * SECOND_NS);
	assert_int_equal(waiting[0].outcome, -ETIMEDOUT);
	assert_int_equal(waiting[1].outcome, -ECANCELED);
	assert_int_equal(ended, 2);
	wait_queue_wake_one(&queue); // neither of those two is on the queue any more
	loop_run(loop);
	assert_int_equal(waiting[2].outcome, 0);
}

// The one that is called is cancelled before it runs: the call goes to the next.
static void a_call_is_passed_on(void **state)
{
	struct waiting waiting[2];
	spawn_waiting(waiting, 2);
	loop_turn(loop, 0);
	wait_queue_wake_one(&queue);
	fiber_cancel(waiting[0].fiber);
	loop_run(loop);
	assert_int_equal(ended, 2);
	assert_int_equal(waiting[0].outcome, -ECANCELED);
	assert_int_equal(waiting[1].outcome, 0);
}

static void a_spurious_wake_leaves_the_queue(void **state)
{
	struct waiting waiting[2];
	spawn_waiting(waiting, 2);
	loop_turn(loop, 0);
	fiber_wake(waiting[0].fiber);
	loop_turn(loop, 0);
	assert_int_equal(ended, 1);
	assert_int_equal(waiting[0].outcome, 0);
	wait_queue_wake_one(&queue);
	loop_run(loop);
	assert_int_equal(ended, 2);
}

// Many share few things, with deadlines and cancellations: none is lost, none is had twice.
enum { TAKERS = 40, ROUNDS = 50, THINGS = 3 };
static int free_things, had;
static struct random numbers;

static void take_and_give(void *argument)
{
	for (int i = 0; i < ROUNDS; i++) {
		int64_t deadline = loop_now() + (int64_t)random_below(&numbers, 20) * MILLISECOND_NS;
		int outcome = 0;
		while (free_things == 0 && outcome == 0)
			outcome = wait_queue_wait(&queue, "thing", deadline);
		if (outcome != 0) {
			fiber_clear_cancel();
			continue;
		}
		free_things--;
		assert_true(free_things >= 0);
		had++;
		fiber_sleep("use", loop_now() + (int64_t)random_below(&numbers, 3) * MILLISECOND_NS);
		fiber_clear_cancel();
		free_things++;
		wait_queue_wake_one(&queue);
	}
}

static void cancel_some(void *argument)
{
	struct fiber **fibers = argument;
	for (int i = 0; i < 100; i++) {
		struct fiber *fiber = fibers[random_below(&numbers, TAKERS)];
		fiber_cancel(fiber);
		fiber_sleep("cancel", loop_now() + MILLISECOND_NS);
	}
	for (int i = 0; i < TAKERS; i++)
		fiber_join(fibers[i]);
}

static void things_are_not_lost(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		random_seed(&numbers, seed);
		free_things = THINGS;
		had = 0;
		struct fiber *fibers[TAKERS];
		for (int i = 0; i < TAKERS; i++)
			fibers[i] = fiber_spawn_joinable("taker", take_and_give, NULL);
		fiber_spawn("canceller", cancel_some, fibers);
		loop_run(loop);
		assert_int_equal(free_things, THINGS);
		assert_in_range(had, TAKERS, TAKERS * ROUNDS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_come_first_woken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(deadlines_and_cancellation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_call_is_passed_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_spurious_wake_leaves_the_queue, set_up, tear_down),
		cmocka_unit_test_setup_teardown(things_are_not_lost, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
