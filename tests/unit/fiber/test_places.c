// Places that only so many have at once, and the line before them.
#include "cmocka_all.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"
#include "fiber/places.h"

#include <errno.h>
#include <pthread.h>

static struct kernel *kernel;
static struct loop *loop;
static struct places places;

static int set_up(void **state)
{
	kernel = kernel_linux_new();
	loop = loop_new(kernel);
	places_init(&places, 2, 3);
	return 0;
}

static int tear_down(void **state)
{
	places_fini(&places);
	loop_free(loop);
	kernel_linux_free(kernel);
	return 0;
}

static int inside, most, served, refused;

static void be_there(void *argument)
{
	int error = places_take(&places, "place", loop_now() + 60 * SECOND_NS);
	if (error < 0) {
		assert_int_equal(error, -EAGAIN);
		refused++;
		return;
	}
	inside++;
	most = inside > most ? inside : most;
	for (int i = 0; i < 5; i++)
		fiber_yield();
	inside--;
	served++;
	places_give_back(&places);
}

static void so_many_are_inside_and_so_many_wait(void **state)
{
	inside = most = served = refused = 0;
	for (int i = 0; i < 8; i++)
		fiber_spawn("visitor", be_there, NULL);
	loop_run(loop);
	assert_int_equal(most, 2);
	assert_int_equal(served, 5);
	assert_int_equal(refused, 3);
}

static void hold_both(void *argument)
{
	int outcome = 0;
	assert_int_equal(places_take(&places, "place", FIBER_NEVER), 0);
	assert_int_equal(places_take(&places, "place", FIBER_NEVER), 0);
	outcome = places_take(&places, "place", loop_now() + 20 * MILLISECOND_NS);
	assert_int_equal(outcome, -ETIMEDOUT);
	places_give_back(&places);
	assert_int_equal(places_take(&places, "place", loop_now()), 0);
	places_give_back(&places);
	places_give_back(&places);
	served++;
}

static void who_waits_too_long_leaves(void **state)
{
	served = 0;
	fiber_spawn("holder", hold_both, NULL);
	loop_run(loop);
	assert_int_equal(served, 1);
}

static struct fiber *waiting;

static void wait_and_be_cancelled(void *argument)
{
	assert_int_equal(places_take(&places, "place", FIBER_NEVER), -ECANCELED);
	served++;
}

static void cancel(void *argument)
{
	assert_int_equal(places_take(&places, "place", FIBER_NEVER), 0);
	assert_int_equal(places_take(&places, "place", FIBER_NEVER), 0);
	waiting = fiber_spawn("waits", wait_and_be_cancelled, NULL);
	fiber_yield();
	fiber_cancel(waiting);
	fiber_yield();
	places_give_back(&places);
	places_give_back(&places);
}

static void who_is_cancelled_leaves(void **state)
{
	served = 0;
	fiber_spawn("cancels", cancel, NULL);
	loop_run(loop);
	assert_int_equal(served, 1);
}

// --- Several threads

static atomic_int holders, rounds;

static void come_often(void *argument)
{
	for (int i = 0; i < 50; i++) {
		if (places_take(&places, "place", FIBER_NEVER) < 0)
			continue;
		assert_true(atomic_fetch_add(&holders, 1) < 2);
		fiber_yield();
		atomic_fetch_sub(&holders, 1);
		atomic_fetch_add(&rounds, 1);
		places_give_back(&places);
	}
}

static void *run_a_loop(void *argument)
{
	struct kernel *own_kernel = kernel_linux_new();
	struct loop *own = loop_new(own_kernel);
	fiber_spawn("comes", come_often, NULL);
	loop_run(own);
	loop_free(own);
	kernel_linux_free(own_kernel);
	return NULL;
}

static void threads_share_them(void **state)
{
	pthread_t threads[4];
	holders = rounds = 0;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_a_loop, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(rounds, 200); // of four, two wait at most, and there is room for three
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(so_many_are_inside_and_so_many_wait),
		TEST(who_waits_too_long_leaves),
		TEST(who_is_cancelled_leaves),
		TEST(threads_share_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
