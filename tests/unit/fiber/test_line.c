#include "cmocka_all.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "fiber/line.h"
#include "fiber/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static struct kernel *kernel;
static struct loop *loop;
static struct line line;

static int set_up(void **state)
{
	kernel = kernel_linux_new();
	loop = loop_new(kernel);
	line_init(&line);
	return 0;
}

static int tear_down(void **state)
{
	line_fini(&line);
	loop_free(loop);
	kernel_linux_free(kernel);
	return 0;
}

// --- One thread

struct visitor {
	struct line_place place;
	char name;
	int64_t patience_ns;
	int outcome;
	bool comes_again;
};

static char order[64];

static void note(char name)
{
	size_t length = strlen(order);
	assert_true(length + 1 < sizeof order);
	order[length] = name;
	order[length + 1] = 0;
}

static void visit(void *argument)
{
	struct visitor *visitor = argument;
	int64_t until_ns = visitor->patience_ns ? loop_now() + visitor->patience_ns : loop_now() + 60 * SECOND_NS;
	do {
		if (!line_enter(&line, &visitor->place, 3)) {
			visitor->outcome = -EAGAIN;
			return;
		}
		visitor->outcome = line_wait(&line, &visitor->place, "turn", until_ns);
		if (visitor->outcome == 0)
			note(visitor->name);
	} while (visitor->comes_again && visitor->outcome == 0 && !(visitor->comes_again = false));
}

static struct fiber *spawn(struct visitor *visitor)
{
	struct fiber *fiber = fiber_spawn("visitor", visit, visitor);
	assert_non_null(fiber);
	loop_turn(loop, 0);
	return fiber;
}

static void turn(unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		loop_turn(loop, MILLISECOND_NS);
}

static bool anyone(struct line_place *place, void *argument)
{
	return true;
}

static bool is_named(struct line_place *place, void *argument)
{
	return LIST_ENTRY(place, struct visitor, place)->name == *(char *)argument;
}

static void test_first_come_first_served(void **state)
{
	struct visitor a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
	order[0] = 0;
	assert_true(line_is_empty(&line));
	assert_false(line_call(&line, anyone, NULL));
	spawn(&a), spawn(&b), spawn(&c);
	assert_false(line_is_empty(&line));
	assert_true(line_call(&line, is_named, "b"));
	assert_false(line_call(&line, is_named, "b"));
	assert_true(line_call(&line, anyone, NULL));
	assert_true(line_call(&line, anyone, NULL));
	assert_true(line_is_empty(&line));
	turn(2);
	assert_string_equal(order, "bac");
	assert_int_equal(fiber_count(), 0);
}

static void test_is_bounded(void **state)
{
	struct visitor all[4] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'd'}};
	order[0] = 0;
	for (unsigned i = 0; i < 4; i++)
		spawn(&all[i]);
	assert_int_equal(all[3].outcome, -EAGAIN);
	line_call_all(&line);
	turn(2);
	assert_string_equal(order, "abc");
}

static void test_who_comes_again_has_his_old_place(void **state)
{
	struct visitor a = {.name = 'a', .comes_again = true}, b = {.name = 'b'}, c = {.name = 'c'};
	order[0] = 0;
	spawn(&a), spawn(&b), spawn(&c);
	assert_true(line_call(&line, anyone, NULL));
	turn(2); // a is called, and enters although three wait or did
	assert_string_equal(order, "a");
	for (unsigned i = 0; i < 3; i++) {
		assert_true(line_call(&line, anyone, NULL));
		turn(1);
	}
	turn(1);
	assert_string_equal(order, "aabc");
}

static void test_patience_and_cancellation(void **state)
{
	struct visitor a = {.name = 'a', .patience_ns = 5 * MILLISECOND_NS}, b = {.name = 'b'};
	order[0] = 0;
	spawn(&a);
	struct fiber *fiber = spawn(&b);
	for (unsigned i = 0; i < 10000 && a.outcome == 0; i++)
		turn(1);
	assert_int_equal(a.outcome, -ETIMEDOUT);
	fiber_cancel(fiber);
	turn(2);
	assert_int_equal(b.outcome, -ECANCELED);
	assert_true(line_is_empty(&line));
	assert_string_equal(order, "");
}

// Called and cancelled in the same turn: the call counts.
static void test_the_call_wins(void **state)
{
	struct visitor a = {.name = 'a'};
	order[0] = 0;
	struct fiber *fiber = spawn(&a);
	assert_true(line_call(&line, anyone, NULL));
	fiber_cancel(fiber);
	turn(2);
	assert_string_equal(order, "a");
	assert_int_equal(a.outcome, 0);
}

// --- Several threads: three places for hundreds.

enum { PLACES = 3, THREADS = 4, FIBERS = 100, ROUNDS = 20 };

static atomic_int in_use, most, served;

static bool take(void)
{
	int before = atomic_fetch_add(&in_use, 1);
	if (before < PLACES)
		return true;
	atomic_fetch_sub(&in_use, 1);
	return false;
}

static void give(void)
{
	atomic_fetch_sub(&in_use, 1);
	if (!line_is_empty(&line))
		line_call(&line, anyone, NULL);
}

static void work(void *argument)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct line_place place = {0};
		bool taken = take();
		while (!taken) {
			assert_true(line_enter(&line, &place, THREADS * FIBERS));
			taken = take();
			if (taken && line_leave(&line, &place) && !line_is_empty(&line))
				line_call(&line, anyone, NULL);
			else if (!taken && line_wait(&line, &place, "place", loop_now() + 100 * SECOND_NS) == 0)
				taken = take();
		}
		int now = atomic_load(&in_use), before = atomic_load(&most);
		// What is counted and taken back at once is no use.
		if (now <= PLACES && now > before)
			atomic_store(&most, now);
		if (round % 4 == 0)
			fiber_yield();
		atomic_fetch_add(&served, 1);
		give();
	}
}

static void *run_thread(void *argument)
{
	struct kernel *own_kernel = kernel_linux_new();
	struct loop *own_loop = loop_new(own_kernel);
	for (unsigned i = 0; i < FIBERS; i++)
		assert_non_null(fiber_spawn("worker", work, NULL));
	loop_run(own_loop);
	loop_free(own_loop);
	kernel_linux_free(own_kernel);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];
	atomic_store(&served, 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_thread, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(served, THREADS * FIBERS * ROUNDS);
	assert_in_range(most, 1, PLACES);
	assert_int_equal(in_use, 0);
	assert_true(line_is_empty(&line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_first_come_first_served, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_is_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_comes_again_has_his_old_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_patience_and_cancellation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_call_wins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
