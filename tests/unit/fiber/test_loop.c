#include "cmocka_all.h"
#include "fake_kernel.h"
#include "fiber/fiber.h"
#include "fiber/io.h"
#include "fiber/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

static struct fake_kernel fake;
static struct loop *loop;

static int set_up(void **state)
{
	loop = fake_loop_new(&fake);
	return loop != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	loop_free(loop);
	return 0;
}

// --- Turns.

static void nothing_to_do_ends_the_loop(void **state)
{
	loop_run(loop);
	assert_false(loop_turn(loop, -1));
	assert_int_equal(fake.waits, 0);
	assert_ptr_equal(loop_current(), loop);
	assert_ptr_equal(loop_kernel(), &fake.kernel);
}

static int counted;

static void count_timer(struct timer *timer)
{
	counted++;
}

static void count_io(struct io *io)
{
	counted++;
}

static void waits_for_the_next_timer(void **state)
{
	struct timer timer;
	timer_init(&timer, count_timer);
	counted = 0;
	int64_t due = loop_now() + 5 * MILLISECOND_NS;
	timer_start(&timer, due);
	assert_true(timer_is_running(&timer));
	loop_run(loop);
	assert_int_equal(counted, 1);
	assert_true(loop_now() >= due && loop_now() < due + MILLISECOND_NS);
	assert_in_range(fake.waits, 1, 2);
	// With a bound of its own.
	timer_start(&timer, loop_now() + 50 * MILLISECOND_NS);
	int64_t before = loop_now();
	assert_true(loop_turn(loop, MILLISECOND_NS));
	assert_true(loop_now() - before <= MILLISECOND_NS);
	assert_int_equal(counted, 1);
	timer_stop(&timer);
	timer_stop(&timer);
	assert_false(loop_turn(loop, -1));
}

static void yield_often(void *argument)
{
	for (int i = 0; i < 1000; i++)
		fiber_yield();
	*(bool *)argument = true;
}

static struct io io_;
static bool yielder_done, event_seen_before_end;

static void note_event(struct io *io)
{
	event_seen_before_end = !yielder_done;
	io_close(io);
}

static void ready_fibers_do_not_starve_events(void **state)
{
	yielder_done = event_seen_before_end = false;
	assert_int_equal(io_open(&io_, 5), 0);
	io_park(&io_, note_event);
	fiber_spawn("yields", yield_often, &yielder_done);
	fake_event(&fake, &io_, KERNEL_READABLE);
	loop_run(loop);
	assert_true(yielder_done);
	assert_true(event_seen_before_end);
	assert_in_range(fake.waits, 1000, 1001);
}

static struct fiber *ping, *pong;
static int volleys;

static void play(void *argument)
{
	while (volleys < 2000) {
		volleys++;
		fiber_wake(argument == NULL ? pong : ping);
		fiber_wait("ball", loop_now() + SECOND_NS);
	}
	if (volleys++ == 2000)
		fiber_wake(argument == NULL ? pong : ping);
}

// Fibers that wake each other run in the same turn, but not for ever.
static void a_turn_is_bounded(void **state)
{
	volleys = 0;
	ping = fiber_spawn("ping", play, NULL);
	pong = fiber_spawn("pong", play, &pong);
	loop_run(loop);
	assert_in_range(fake.waits, 5, 50);
}

static void nothing_ready_waits_once(void **state)
{
	assert_int_equal(io_open(&io_, 5), 0);
	counted = 0;
	for (int i = 0; i < 100; i++) {
		io_park(&io_, count_io);
		fake_event(&fake, &io_, KERNEL_READABLE);
		assert_true(loop_turn(loop, -1));
		io_used_up_reading(&io_);
		assert_int_equal(fake.last_timeout_ns, -1);
	}
	assert_int_equal(counted, 100);
	assert_int_equal(fake.waits, 100);
	io_close(&io_);
}

static void the_clock_stands_still_within_a_turn(void **state)
{
	int64_t now = loop_now();
	fake.now_ns += 1000;
	assert_int_equal(loop_now(), now);
	assert_int_equal(loop_now_exact(), now + 1000);
	int64_t wall = loop_wall_clock();
	fake.now_ns += 1000;
	assert_int_equal(loop_wall_clock(), wall);
	struct timer timer;
	timer_init(&timer, count_timer);
	timer_start(&timer, loop_now() + SECOND_NS);
	loop_run(loop);
	assert_int_equal(loop_now(), fake.now_ns);
	assert_int_equal(loop_wall_clock(), fake.now_ns + 1000 * SECOND_NS);
}

static void stop_loop(struct timer *timer)
{
	loop_stop(loop);
	timer_start(timer, loop_now() + SECOND_NS);
}

static void stops(void **state)
{
	struct timer timer;
	timer_init(&timer, stop_loop);
	timer_start(&timer, loop_now() + SECOND_NS);
	for (int i = 0; i < 3; i++)
		loop_run(loop);
	assert_true(timer_is_running(&timer));
	timer_stop(&timer);
}

static struct io both;
static int hung_up;

static void wait_for_reading(void *argument)
{
	assert_int_equal(io_wait_readable(&both, "read", FIBER_NEVER), 0);
	hung_up++;
}

static void wait_for_writing(void *argument)
{
	assert_int_equal(io_wait_writable(&both, "write", FIBER_NEVER), 0);
	hung_up++;
}

// Kernels tell of reading and writing along with it, but nobody relies on that.
static void a_hangup_alone_ends_all_waits(void **state)
{
	hung_up = 0;
	assert_int_equal(io_open(&both, 5), 0);
	fiber_spawn("reader", wait_for_reading, NULL);
	fiber_spawn("writer", wait_for_writing, NULL);
	loop_turn(loop, 0);
	assert_int_equal(hung_up, 0);
	fake_event(&fake, &both, KERNEL_HANGUP);
	loop_turn(loop, -1);
	loop_turn(loop, 0);
	assert_int_equal(hung_up, 2);
	io_close(&both);
	assert_int_equal(io_open(&both, 6), 0);
	fiber_spawn("reader", wait_for_reading, NULL);
	loop_turn(loop, 0);
	fake_event(&fake, &both, KERNEL_END);
	loop_turn(loop, -1);
	loop_turn(loop, 0);
	assert_int_equal(hung_up, 3);
	io_close(&both);
}

// --- Deferred work.

struct shared {
	struct deferred deferred;
	struct io io;
	bool freed;
	int outcome;
};

static void free_shared(struct deferred *deferred)
{
	LIST_ENTRY(deferred, struct shared, deferred)->freed = true;
}

static void read_shared(void *argument)
{
	struct shared *shared = argument;
	char byte;
	shared->outcome = (int)io_read(&shared->io, &byte, 1, "test", FIBER_NEVER);
	assert_false(shared->freed);
}

static void idle(void *argument)
{
}

static int crowd;

// The crowd gets ready before the reader is woken; more of them than run in a turn.
static void close_shared(void *argument)
{
	struct shared *shared = argument;
	for (int i = 0; i < crowd; i++)
		fiber_spawn("crowd", idle, NULL);
	io_close(&shared->io);
	loop_defer(&shared->deferred, free_shared);
	assert_false(shared->freed);
}

static void deferred_work_waits_for_those_who_may_see(void **state)
{
	for (crowd = 0; crowd <= 400; crowd += 100) {
		struct shared shared = {0};
		assert_int_equal(io_open(&shared.io, 5), 0);
		fiber_spawn("reader", read_shared, &shared);
		loop_turn(loop, 0);
		fiber_spawn("closer", close_shared, &shared);
		loop_run(loop);
		assert_true(shared.freed);
		assert_int_equal(shared.outcome, -ECANCELED);
	}
}

static struct shared two[2];

// Whichever comes first closes both, while an event for the other is in the same batch.
static void close_both(struct io *io)
{
	for (int i = 0; i < 2; i++) {
		io_close(&two[i].io);
		loop_defer(&two[i].deferred, free_shared);
	}
	counted++;
}

static void events_of_closed_ios_are_dropped(void **state)
{
	counted = 0;
	for (int i = 0; i < 2; i++) {
		two[i] = (struct shared){0};
		assert_int_equal(io_open(&two[i].io, 5 + i), 0);
		io_park(&two[i].io, close_both);
		fake_event(&fake, &two[i].io, KERNEL_READABLE);
	}
	loop_turn(loop, -1);
	assert_int_equal(counted, 1);
	assert_false(two[0].freed);
	assert_int_equal(two[0].io.ready | two[1].io.ready, 0);
	loop_run(loop);
	assert_true(two[0].freed && two[1].freed);
}

static struct deferred again;
static int runs;

static void defer_again(struct deferred *deferred)
{
	if (++runs < 5)
		loop_defer(deferred, defer_again);
}

static void deferred_work_may_defer(void **state)
{
	runs = 0;
	loop_defer(&again, defer_again);
	loop_run(loop);
	assert_int_equal(runs, 5);
	runs = 0;
	loop_defer(&again, defer_again);
	loop_free(loop); // runs what is left
	assert_int_equal(runs, 5);
	loop = fake_loop_new(&fake);
}

enum { LATE = 20 };

static void spawn_one(struct deferred *deferred)
{
	runs++;
	fiber_spawn("late", idle, NULL);
}

static void yield_times(void *argument)
{
	for (int i = *(int *)argument; i > 0; i--)
		fiber_yield();
}

// What is deferred while older deferred work waits for those who are ready is run, too, when
// the older work makes others ready.
static void deferred_work_may_spawn(void **state)
{
	static struct deferred late[LATE];
	for (int yields = 0; yields < LATE; yields++) {
		runs = 0;
		fiber_spawn("yields", yield_times, &yields);
		for (int i = 0; i < LATE; i++) {
			loop_defer(&late[i], spawn_one);
			loop_turn(loop, 0);
		}
		loop_run(loop);
		assert_int_equal(runs, LATE);
	}
}

static void defer_from_message(struct loop_message *message)
{
	runs = 0;
	loop_defer(&again, defer_again);
}

static void what_was_posted_last_is_run(void **state)
{
	struct loop_message message = {.run = defer_from_message};
	runs = -1;
	loop_post(loop, &message);
	loop_free(loop);
	assert_int_equal(runs, 5);
	loop = fake_loop_new(&fake);
}

// --- Messages, over the real kernel.

struct counter_message {
	struct loop_message message;
	int number;
};

enum { SENDERS = 4, MESSAGES = 5000 };
static struct counter_message messages[SENDERS][MESSAGES];
static int last_seen[SENDERS];
static int received;
static struct loop *real_loop;

static void receive(struct loop_message *message)
{
	struct counter_message *counter = LIST_ENTRY(message, struct counter_message, message);
	int sender = (int)((counter - &messages[0][0]) / MESSAGES);
	assert_ptr_equal(loop_current(), real_loop);
	assert_int_equal(counter->number, last_seen[sender] + 1); // in order
	last_seen[sender] = counter->number;
	received++;
}

static void *send_messages(void *argument)
{
	struct counter_message *own = argument;
	for (int i = 0; i < MESSAGES; i++) {
		own[i].number = i + 1;
		own[i].message.run = receive;
		loop_post(real_loop, &own[i].message);
	}
	return NULL;
}

static void messages_arrive_in_order(void **state)
{
	loop_free(loop);
	struct kernel *kernel = kernel_linux_new();
	real_loop = loop_new(kernel);
	struct timer timer; // keeps the loop waiting
	timer_init(&timer, count_timer);
	timer_start(&timer, loop_now() + 3600 * SECOND_NS);
	received = 0;
	pthread_t threads[SENDERS];
	for (int i = 0; i < SENDERS; i++) {
		last_seen[i] = 0;
		assert_int_equal(pthread_create(&threads[i], NULL, send_messages, messages[i]), 0);
	}
	while (received < SENDERS * MESSAGES)
		assert_true(loop_turn(real_loop, -1)); // a lost wake-up would sleep for an hour
	for (int i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	timer_stop(&timer);
	loop_free(real_loop);
	kernel_linux_free(kernel);
	loop = fake_loop_new(&fake);
}

static void *stop_from_outside(void *argument)
{
	loop_stop(argument);
	return NULL;
}

static void stops_from_another_thread(void **state)
{
	loop_free(loop);
	struct kernel *kernel = kernel_linux_new();
	real_loop = loop_new(kernel);
	struct timer timer;
	timer_init(&timer, count_timer);
	timer_start(&timer, loop_now() + 3600 * SECOND_NS);
	for (int i = 0; i < 50; i++) {
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, stop_from_outside, real_loop), 0);
		loop_run(real_loop);
		pthread_join(thread, NULL);
	}
	timer_stop(&timer);
	loop_free(real_loop);
	kernel_linux_free(kernel);
	loop = fake_loop_new(&fake);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_to_do_ends_the_loop),
		TEST(waits_for_the_next_timer),
		TEST(ready_fibers_do_not_starve_events),
		TEST(a_turn_is_bounded),
		TEST(nothing_ready_waits_once),
		TEST(the_clock_stands_still_within_a_turn),
		TEST(stops),
		TEST(a_hangup_alone_ends_all_waits),
		TEST(deferred_work_waits_for_those_who_may_see),
		TEST(events_of_closed_ios_are_dropped),
		TEST(deferred_work_may_defer),
		TEST(deferred_work_may_spawn),
		TEST(what_was_posted_last_is_run),
		TEST(messages_arrive_in_order),
		TEST(stops_from_another_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
