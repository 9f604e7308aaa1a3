#include "base/random.h"
#include "cmocka_all.h"
#include "fiber/timer_wheel.h"

#include <string.h>

enum { TIMERS = 200 };

// The wheel beside a model: an array that is searched through.
struct model {
	struct timer timer;
	bool running;
	int64_t due_ns;
};

static struct timer_wheel wheel;
static struct model models[TIMERS];
static int64_t now;
static unsigned long fired;
static struct random numbers;

static int64_t ceil_to_ms(int64_t ns)
{
	return (ns + MILLISECOND_NS - 1) / MILLISECOND_NS * MILLISECOND_NS;
}

// Mostly near, sometimes very far, at times in the past.
static int64_t random_due(void)
{
	int64_t range = INT64_C(1) << random_below(&numbers, 56);
	int64_t due = now + (int64_t)random_below(&numbers, (uint64_t)range);
	return random_below(&numbers, 20) == 0 ? now - (int64_t)random_below(&numbers, SECOND_NS) : due;
}

static void start(struct model *model)
{
	model->due_ns = random_due();
	model->running = true;
	timer_wheel_start(&wheel, &model->timer, model->due_ns);
}

static void model_fired(struct timer *timer)
{
	struct model *model = LIST_ENTRY(timer, struct model, timer);
	fired++;
	assert_true(model->running);
	assert_true(now >= model->due_ns); // never early
	assert_false(timer_is_running(timer));
	model->running = false;
	// Callbacks set, reset and stop timers.
	struct model *other = &models[random_below(&numbers, TIMERS)];
	switch (random_below(&numbers, 4)) {
	case 0:
		start(model);
		break;
	case 1:
		start(other);
		break;
	case 2:
		timer_wheel_stop(&wheel, &other->timer);
		other->running = false;
		break;
	default:
		break;
	}
}

static void check_against_model(void)
{
	size_t running = 0;
	int64_t earliest = INT64_MAX;
	for (int i = 0; i < TIMERS; i++) {
		assert_int_equal(models[i].running, timer_is_running(&models[i].timer));
		if (!models[i].running)
			continue;
		running++;
		int64_t due = ceil_to_ms(models[i].due_ns);
		if (due < earliest)
			earliest = due;
	}
	assert_int_equal(running, wheel.running);
	int64_t next = timer_wheel_next(&wheel);
	if (running == 0) {
		assert_true(next == INT64_MAX);
		for (int level = 0; level < WHEEL_LEVELS; level++)
			assert_true(wheel.occupied[level] == 0);
	} else {
		// Never oversleeps.
		assert_true(next <= (earliest > now ? earliest : now));
	}
}

static void play(uint64_t seed)
{
	random_seed(&numbers, seed);
	now = (int64_t)random_below(&numbers, (uint64_t)1 << random_below(&numbers, 60));
	timer_wheel_init(&wheel, now);
	memset(models, 0, sizeof models);
	for (int i = 0; i < TIMERS; i++)
		timer_init(&models[i].timer, model_fired);
	for (int step = 0; step < 300; step++) {
		struct model *model = &models[random_below(&numbers, TIMERS)];
		uint64_t choice = random_below(&numbers, 10);
		if (choice < 4) {
			start(model);
		} else if (choice < 6) {
			timer_wheel_stop(&wheel, &model->timer);
			model->running = false;
		} else {
			int64_t next = timer_wheel_next(&wheel);
			// Either as far as the wheel says, or anywhere.
			if (choice < 8 && next != INT64_MAX && next > now)
				now = next;
			else
				now += (int64_t)random_below(&numbers, (uint64_t)1 << random_below(&numbers, 45));
			timer_wheel_advance(&wheel, now);
		}
		check_against_model();
	}
}

static void behaves_as_its_model(void **state)
{
	for (uint64_t seed = 1; seed <= 300; seed++)
		play(seed);
	assert_true(fired > 10000);
}

// Without callbacks that set others, exactly those that are due fire.
static bool seen[TIMERS];

static void mark(struct timer *timer)
{
	seen[LIST_ENTRY(timer, struct model, timer) - models] = true;
}

static void fires_exactly_what_is_due(void **state)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		random_seed(&numbers, seed);
		now = (int64_t)random_below(&numbers, (uint64_t)1 << random_below(&numbers, 60));
		timer_wheel_init(&wheel, now);
		memset(seen, 0, sizeof seen);
		for (int i = 0; i < TIMERS; i++) {
			timer_init(&models[i].timer, mark);
			models[i].due_ns = random_due();
			timer_wheel_start(&wheel, &models[i].timer, models[i].due_ns);
		}
		for (int step = 0; step < 100; step++) {
			now += (int64_t)random_below(&numbers, (uint64_t)1 << random_below(&numbers, 50));
			timer_wheel_advance(&wheel, now);
			int64_t floor = now / MILLISECOND_NS * MILLISECOND_NS;
			for (int i = 0; i < TIMERS; i++) {
				bool due = models[i].due_ns <= floor;
				if (seen[i] != due)
					fail_msg("seed %lu: timer due at %ld, now %ld", (unsigned long)seed,
						 (long)models[i].due_ns, (long)now);
			}
		}
	}
}

static void far_and_endless_deadlines(void **state)
{
	struct timer timer;
	now = 0;
	timer_wheel_init(&wheel, now);
	timer_init(&timer, mark);
	assert_true(timer_wheel_next(&wheel) == INT64_MAX);
	timer_wheel_start(&wheel, &timer, INT64_MAX);
	assert_true(timer_wheel_next(&wheel) > 0);
	timer_wheel_advance(&wheel, INT64_MAX / 2);
	assert_true(timer_is_running(&timer));
	timer_wheel_stop(&wheel, &timer);
	timer_wheel_stop(&wheel, &timer);
	assert_int_equal(wheel.running, 0);
	assert_true(timer_wheel_next(&wheel) == INT64_MAX);
}

// A timer's way down the levels wakes the loop a few times only.
static void few_wake_ups_for_a_far_timer(void **state)
{
	now = 987654321;
	timer_wheel_init(&wheel, now);
	timer_init(&models[0].timer, mark);
	int64_t due = now + 30 * 24 * 3600 * SECOND_NS;
	timer_wheel_start(&wheel, &models[0].timer, due);
	int wake_ups = 0;
	while (timer_is_running(&models[0].timer)) {
		int64_t next = timer_wheel_next(&wheel);
		assert_true(next > now);
		now = next;
		timer_wheel_advance(&wheel, now);
		wake_ups++;
	}
	assert_true(now >= due && now < due + MILLISECOND_NS);
	assert_in_range(wake_ups, 1, WHEEL_LEVELS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(behaves_as_its_model),
		cmocka_unit_test(fires_exactly_what_is_due),
		cmocka_unit_test(far_and_endless_deadlines),
		cmocka_unit_test(few_wake_ups_for_a_far_timer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
