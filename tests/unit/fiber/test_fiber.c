#include "base/check.h"
#include "cmocka_all.h"
#include "fail_alloc.h"
#include "fake_kernel.h"
#include "fiber/fiber.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

// --- Waking.

struct waiting {
	int64_t deadline_ns;
	int outcome;
	int64_t ended_ns;
	bool begun;
};

static void wait_once(void *argument)
{
	struct waiting *waiting = argument;
	waiting->begun = true;
	waiting->outcome = fiber_wait("test", waiting->deadline_ns);
	waiting->ended_ns = loop_now();
}

static void a_wake_ends_a_wait(void **state)
{
	struct waiting waiting = {.deadline_ns = FIBER_NEVER, .outcome = 1};
	struct fiber *fiber = fiber_spawn("test", wait_once, &waiting);
	assert_false(waiting.begun); // only the loop runs fibers
	assert_true(loop_turn(loop, 0));
	assert_true(waiting.begun);
	assert_int_equal(waiting.outcome, 1);
	fiber_wake(fiber);
	fiber_wake(fiber);
	assert_int_equal(waiting.outcome, 1);
	assert_false(loop_turn(loop, 0));
	assert_int_equal(waiting.outcome, 0);
}

static void a_wake_before_the_wait_counts(void **state)
{
	struct waiting waiting = {.deadline_ns = FIBER_NEVER, .outcome = 1};
	fiber_wake(fiber_spawn("test", wait_once, &waiting));
	loop_run(loop);
	assert_int_equal(waiting.outcome, 0);
	assert_int_equal(fake.waits, 0);
}

static void wake_oneself(void *argument)
{
	int *outcomes = argument;
	fiber_wake(fiber_current());
	fiber_wake(fiber_current());
	outcomes[0] = fiber_wait("first", loop_now() + 1);
	outcomes[1] = fiber_wait("second", loop_now() + 1);
}

static void wakes_are_not_counted(void **state)
{
	int outcomes[2] = {1, 1};
	fiber_spawn("test", wake_oneself, outcomes);
	loop_run(loop);
	assert_int_equal(outcomes[0], 0);
	assert_int_equal(outcomes[1], -ETIMEDOUT);
}

// Each hands on to the next; a lost wake would leave the loop waiting for ever, which the
// fake kernel does not allow.
enum { RING = 1000, LAPS = 100 };
static struct fiber *ring[RING];
static int at, passed;

static void pass_on(void *argument)
{
	int own = (int)(intptr_t)argument;
	for (int lap = 0; lap < LAPS; lap++) {
		while (at != own)
			assert_int_equal(fiber_wait("ring", FIBER_NEVER), 0);
		passed++;
		at = (own + 1) % RING;
		// The first has ended when the last one passes on for the last time.
		if (lap < LAPS - 1 || own < RING - 1)
			fiber_wake(ring[at]);
	}
}

static void join_ring(void *argument)
{
	for (int i = 0; i < RING; i++)
		fiber_join(ring[i]);
}

static void no_wake_is_lost_in_a_ring(void **state)
{
	at = passed = 0;
	for (int i = 0; i < RING; i++)
		ring[i] = fiber_spawn_joinable("ring", pass_on, (void *)(intptr_t)i);
	fiber_spawn("join", join_ring, NULL);
	loop_run(loop);
	assert_int_equal(passed, RING * LAPS);
	assert_int_equal(fiber_count(), 0);
}

// --- Deadlines.

static void deadlines_are_kept(void **state)
{
	enum { MANY = 3000 };
	static struct waiting waiting[MANY];
	for (int i = 0; i < MANY; i++) {
		int64_t after = (int64_t)i * i * 1237;
		waiting[i] = (struct waiting){.deadline_ns = loop_now() + after, .outcome = 1};
		assert_non_null(fiber_spawn("test", wait_once, &waiting[i]));
	}
	loop_run(loop);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(waiting[i].outcome, -ETIMEDOUT);
		assert_true(waiting[i].ended_ns >= waiting[i].deadline_ns);
		assert_true(waiting[i].ended_ns <= waiting[i].deadline_ns + 2 * MILLISECOND_NS);
	}
}

static void a_past_deadline_does_not_suspend(void **state)
{
	struct waiting waiting = {.deadline_ns = loop_now(), .outcome = 1};
	fiber_spawn("test", wait_once, &waiting);
	loop_run(loop);
	assert_int_equal(waiting.outcome, -ETIMEDOUT);
	assert_int_equal(fake.waits, 0);
}

struct partner {
	struct fiber *other;
	int left;
};

static void wait_and_be_woken(void *argument)
{
	struct partner *partner = argument;
	while (partner->left > 0)
		assert_int_equal(fiber_wait("partner", loop_now() + 10 * SECOND_NS), 0);
}

static void wake_every_ms(void *argument)
{
	struct partner *partner = argument;
	while (partner->left > 0) {
		fiber_sleep("ms", loop_now() + MILLISECOND_NS);
		partner->left--;
		fiber_wake(partner->other);
	}
}

// A wait that ends soon costs no work on the wheel: the loop wakes once for a millisecond of
// the waker, and not for the deadlines, which move on all the time.
static void moving_deadlines_cost_few_wake_ups(void **state)
{
	struct partner partner = {.left = 5000};
	partner.other = fiber_spawn("waiter", wait_and_be_woken, &partner);
	fiber_spawn("waker", wake_every_ms, &partner);
	loop_run(loop);
	assert_in_range(fake.waits, 5000, 5000 + 5000 / 32);
}

// The timer is kept from one wait to the next; each deadline must hold all the same, be it
// before or after what the timer runs for.
static void wait_woken_and_timed_out(void *argument)
{
	static const int64_t afters_ms[] = {60000, 120000, 10, 500, 60000, 61000, 1, 3600000, 20, 3, 70};
	struct fiber **waiter = argument;
	*waiter = fiber_current();
	for (size_t i = 0; i < COUNT(afters_ms); i++) {
		// Suspended with a deadline, and woken before it.
		assert_int_equal(fiber_wait("woken", loop_now() + afters_ms[i] * MILLISECOND_NS), 0);
		for (size_t j = 0; j < COUNT(afters_ms); j++) {
			int64_t deadline = loop_now() + afters_ms[j] * MILLISECOND_NS;
			assert_int_equal(fiber_wait("timed out", deadline), -ETIMEDOUT);
			assert_true(loop_now() >= deadline && loop_now() <= deadline + 2 * MILLISECOND_NS);
		}
	}
	*waiter = NULL;
}

static void wake_if_it_waits(void *argument, const char *name, const char *wait, int64_t since_ns)
{
	if (wait != NULL && strcmp(wait, "woken") == 0)
		fiber_wake(*(struct fiber **)argument);
}

static void a_kept_timer_keeps_deadlines(void **state)
{
	struct fiber *waiter;
	fiber_spawn("waiter", wait_woken_and_timed_out, &waiter);
	loop_turn(loop, 0);
	while (waiter != NULL) {
		fiber_visit(wake_if_it_waits, &waiter);
		loop_turn(loop, 3600 * SECOND_NS);
	}
	loop_run(loop);
}

static void sleep_through_wakes(void *argument)
{
	int64_t deadline = loop_now() + SECOND_NS;
	assert_int_equal(fiber_sleep("sleep", deadline), 0);
	assert_true(loop_now() >= deadline);
}

static void a_wake_does_not_end_a_sleep(void **state)
{
	struct fiber *fiber = fiber_spawn("sleeper", sleep_through_wakes, NULL);
	for (int i = 0; i < 5; i++) {
		loop_turn(loop, 100 * MILLISECOND_NS);
		fiber_wake(fiber);
	}
	loop_run(loop);
}

// --- Cancelling.

static void cancelling_ends_waits(void **state)
{
	struct waiting before = {.deadline_ns = FIBER_NEVER}, during = {.deadline_ns = FIBER_NEVER};
	struct fiber *fiber = fiber_spawn("before", wait_once, &before);
	fiber_cancel(fiber);
	assert_true(fiber_is_cancelled(fiber));
	fiber = fiber_spawn("during", wait_once, &during);
	loop_turn(loop, 0);
	assert_int_equal(before.outcome, -ECANCELED);
	assert_int_equal(during.outcome, 0);
	fiber_cancel(fiber);
	fiber_cancel(fiber);
	loop_run(loop);
	assert_int_equal(during.outcome, -ECANCELED);
}

static void clear_and_go_on(void *argument)
{
	assert_int_equal(fiber_wait("first", FIBER_NEVER), -ECANCELED);
	assert_int_equal(fiber_wait("again", FIBER_NEVER), -ECANCELED);
	assert_int_equal(fiber_sleep("sleep", FIBER_NEVER), -ECANCELED);
	assert_true(fiber_clear_cancel());
	assert_false(fiber_clear_cancel());
	assert_int_equal(fiber_sleep("sleep", loop_now() + SECOND_NS), 0);
	(*(int *)argument)++;
}

static void a_cancellation_lasts_until_cleared(void **state)
{
	int done = 0;
	struct fiber *fiber = fiber_spawn("test", clear_and_go_on, &done);
	loop_turn(loop, 0);
	fiber_cancel(fiber);
	loop_run(loop);
	assert_int_equal(done, 1);
}

static void cancellation_beats_a_wake_and_a_timeout(void **state)
{
	struct waiting waiting = {.deadline_ns = loop_now() + SECOND_NS};
	struct fiber *fiber = fiber_spawn("test", wait_once, &waiting);
	loop_turn(loop, 0);
	fake.now_ns += 2 * SECOND_NS;
	fiber_wake(fiber);
	fiber_cancel(fiber);
	loop_run(loop);
	assert_int_equal(waiting.outcome, -ECANCELED);
}

// --- Joining, yielding, counting.

static void join_both(void *argument)
{
	struct waiting short_wait = {.deadline_ns = loop_now()}, long_wait = {.deadline_ns = loop_now() + SECOND_NS};
	struct fiber *one = fiber_spawn_joinable("short", wait_once, &short_wait);
	struct fiber *other = fiber_spawn_joinable("long", wait_once, &long_wait);
	fiber_sleep("let it end", loop_now() + MILLISECOND_NS);
	fiber_cancel(one); // has ended: nothing happens
	fiber_wake(one);
	fiber_join(one);
	assert_int_equal(short_wait.outcome, -ETIMEDOUT);
	assert_int_equal(long_wait.outcome, 0);
	fiber_join(other);
	assert_int_equal(long_wait.outcome, -ETIMEDOUT);
	assert_true(loop_now() >= long_wait.deadline_ns);
	(*(int *)argument)++;
}

static void joins(void **state)
{
	int done = 0;
	struct fiber *joiner = fiber_spawn("join", join_both, &done);
	loop_turn(loop, 0);
	loop_turn(loop, 100 * MILLISECOND_NS);
	fiber_wake(joiner); // a join is not confused by a wake
	loop_run(loop);
	assert_int_equal(done, 1);
}

static void join_when_cancelled(void *argument)
{
	struct waiting waiting = {.deadline_ns = loop_now() + SECOND_NS};
	struct fiber *fiber = fiber_spawn_joinable("worker", wait_once, &waiting);
	fiber_join(fiber);
	// Not cut short: `waiting` is on this stack.
	assert_true(waiting.ended_ns >= waiting.deadline_ns);
	assert_int_equal(fiber_wait("after", FIBER_NEVER), -ECANCELED);
	(*(int *)argument)++;
}

static void a_join_is_not_cancelled(void **state)
{
	int done = 0;
	struct fiber *joiner = fiber_spawn("joiner", join_when_cancelled, &done);
	loop_turn(loop, 0);
	loop_turn(loop, 0);
	fiber_cancel(joiner);
	loop_run(loop);
	assert_int_equal(done, 1);
}

static char letters[32];
static int letter_count;

static void write_letter(void *argument)
{
	for (int i = 0; i < 3; i++) {
		letters[letter_count++] = *(const char *)argument;
		fiber_yield();
	}
}

static void yielding_lets_others_run(void **state)
{
	letter_count = 0;
	fiber_spawn("a", write_letter, "a");
	fiber_spawn("b", write_letter, "b");
	fiber_spawn("c", write_letter, "c");
	loop_run(loop);
	letters[letter_count] = '\0';
	assert_string_equal(letters, "abcabcabc");
}

static void a_limit_bounds_fibers(void **state)
{
	struct waiting waiting[4] = {0};
	fiber_set_limit(3);
	for (int i = 0; i < 4; i++) {
		waiting[i].deadline_ns = loop_now() + SECOND_NS;
		struct fiber *fiber = fiber_spawn("test", wait_once, &waiting[i]);
		assert_int_equal(fiber != NULL, i < 3);
	}
	assert_int_equal(fiber_count(), 3);
	loop_run(loop);
	assert_int_equal(fiber_count(), 0);
	assert_non_null(fiber_spawn("test", wait_once, &waiting[3]));
	loop_run(loop);
}

static void spawn_until_refused(void **state)
{
	struct waiting waiting[40];
	unsigned refused = 0;
	for (unsigned round = 0; fail_alloc_round(round); round++) {
		loop_free(loop);
		loop = fake_loop_new(&fake);
		if (loop == NULL) {
			// The failure has been used up.
			refused++;
			loop = fake_loop_new(&fake);
			assert_non_null(loop);
		}
		for (int i = 0; i < 40; i++) {
			waiting[i] = (struct waiting){.deadline_ns = loop_now() + SECOND_NS};
			refused += fiber_spawn("test", wait_once, &waiting[i]) == NULL;
		}
		loop_run(loop);
		assert_int_equal(fiber_count(), 0);
	}
	// The loop, and for each slab its record and its memory.
	assert_in_range(refused, 1 + 2, 100);
}

static void steady_state_allocates_nothing(void **state)
{
	unsigned long before = 0;
	struct waiting waiting[100];
	for (int round = 0; round < 50; round++) {
		if (round == 1)
			before = fail_alloc_count();
		for (int i = 0; i < 100; i++) {
			waiting[i] = (struct waiting){.deadline_ns = loop_now() + i * MILLISECOND_NS};
			fiber_spawn("test", wait_once, &waiting[i]);
		}
		loop_run(loop);
	}
	assert_int_equal(fail_alloc_count(), before);
}

// --- Reports.

struct visited {
	char text[256];
};

static void note_fiber(void *argument, const char *name, const char *wait, int64_t since_ns)
{
	struct visited *visited = argument;
	size_t length = strlen(visited->text);
	snprintf(visited->text + length, sizeof visited->text - length, "%s: %s, %ld s; ", name,
		 wait != NULL ? wait : "-", (long)((loop_now() - since_ns) / SECOND_NS));
}

static void visits_show_names_and_waits(void **state)
{
	struct waiting waiting[2] = {{.deadline_ns = FIBER_NEVER}, {.deadline_ns = loop_now() + 100 * SECOND_NS}};
	struct fiber *fiber = fiber_spawn("one", wait_once, &waiting[0]);
	loop_turn(loop, 0);
	fake.now_ns += 3 * SECOND_NS;
	loop_turn(loop, 0);
	fiber_spawn("two", wait_once, &waiting[1]);
	struct visited visited = {0};
	fiber_visit(note_fiber, &visited);
	assert_string_equal(visited.text, "one: test, 3 s; two: -, 0 s; ");
	fiber_cancel(fiber);
	loop_run(loop);
}

static void fail_a_check(void *argument)
{
	fiber_sleep("a short rest", loop_now() + 1);
	check(argument != NULL);
}

static void a_failed_check_names_the_fiber(void **state)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		sigaction(SIGABRT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
		dup2(ends[1], STDERR_FILENO);
		fiber_spawn("unlucky", fail_a_check, NULL);
		loop_run(loop);
		_exit(0);
	}
	close(ends[1]);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	char report[512] = {0};
	assert_true(read(ends[0], report, sizeof report - 1) > 0);
	close(ends[0]);
	assert_non_null(strstr(report, "check failed: argument != NULL\n"));
	assert_non_null(strstr(report, "running fiber: unlucky; its last wait: a short rest\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_wake_ends_a_wait),
		TEST(a_wake_before_the_wait_counts),
		TEST(wakes_are_not_counted),
		TEST(no_wake_is_lost_in_a_ring),
		TEST(deadlines_are_kept),
		TEST(a_past_deadline_does_not_suspend),
		TEST(a_kept_timer_keeps_deadlines),
		TEST(moving_deadlines_cost_few_wake_ups),
		TEST(a_wake_does_not_end_a_sleep),
		TEST(cancelling_ends_waits),
		TEST(a_cancellation_lasts_until_cleared),
		TEST(cancellation_beats_a_wake_and_a_timeout),
		TEST(joins),
		TEST(a_join_is_not_cancelled),
		TEST(yielding_lets_others_run),
		TEST(a_limit_bounds_fibers),
		TEST(spawn_until_refused),
		TEST(steady_state_allocates_nothing),
		TEST(visits_show_names_and_waits),
		TEST(a_failed_check_names_the_fiber),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
