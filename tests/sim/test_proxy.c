// The whole proxy in every weather: clients and origins who do much wrong, and usher between.
//
// Each answer is made from the token in the request that an origin received. So no byte may
// be lost, doubled or given to another exchange; what looks whole to a client is what an
// origin sent for this request, or usher's own word where something had gone wrong; a request
// that may not be repeated reaches origins once; one that is bad never does; and when all is
// over nothing is left.
#include "base/block.h"
#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "cmocka_all.h"
#include "fail_alloc.h"
#include "fiber/fiber.h"
#include "kernel_sim.h"
#include "proxy_sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 60, LINE_MAX_LENGTH = 160 };

// These failed once.
static const uint64_t failed_once[] = {34, 127, 187, 237, 328, 350, 140, 1372, 1500, 3246, 1000918};

struct proxy_world world;
struct proxy_counts counts;

// From here on requests pass twice.
enum { TWICE = 1000000, TWICE_BUFFER = 200 };

static uint64_t first_seed = 1, seeds = 1000;
static bool is_one;

// --- What the parts share

uint64_t draw(uint64_t bound)
{
	return random_below(world.chance, bound);
}

bool one_in(uint64_t count)
{
	return draw(count) == 0;
}

void pause_sometimes(void)
{
	if (one_in(3))
		(void)fiber_sleep("pause", loop_now() + (int64_t)draw((uint64_t)world.pause_ns + 1));
}

void ask_excuse(struct ask *ask, const char *word)
{
	if (!ask->excuse)
		ask->excuse = word;
}

// Bodies are kept for it, up to a bound.
bool ask_is_repeatable(const struct ask *ask)
{
	return method_is_idempotent(ask->method);
}

static bool is_surely_repeatable(const struct ask *ask)
{
	return ask_is_repeatable(ask) && ask->size == 0 && ask->framing != BODY_CHUNKED;
}

bool ask_is_excused(const struct ask *ask)
{
	return ask->excuse || world.excuse || (world.origins_close && !is_surely_repeatable(ask));
}

uint64_t ask_token(const struct ask *ask)
{
	return (uint64_t)(ask - world.asks);
}

struct fiber *spawn_surely(const char *name, void (*run)(void *argument), void *argument)
{
	for (;;) {
		struct fiber *fiber = fiber_spawn_joinable(name, run, argument);
		if (fiber)
			return fiber;
		fiber_yield();
	}
}

// --- Reports

static char lines[LINES_MAX][LINE_MAX_LENGTH];
static unsigned line_count;

void say(const char *format, ...)
{
	char *line = lines[line_count++ % LINES_MAX];
	int length = snprintf(line, LINE_MAX_LENGTH, "%9ld ms: ", (long)(loop_now() / MILLISECOND_NS));
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(line + length, (size_t)(LINE_MAX_LENGTH - length), format, arguments);
	va_end(arguments);
	if (is_one && getenv("PROXY_TRACE"))
		fprintf(stderr, "%s\n", line);
}

static void print_fiber(void *argument, const char *name, const char *wait, int64_t since_ns)
{
	fprintf(stderr, "  fiber %s: %s\n", name, wait ? wait : "runs or is ready");
}

static void report(void)
{
	unsigned first = line_count > LINES_MAX ? line_count - LINES_MAX : 0;
	for (unsigned i = first; i < line_count; i++)
		fprintf(stderr, "%s\n", lines[i % LINES_MAX]);
	fiber_visit(print_fiber, NULL);
	fprintf(stderr, "seed %lu, after %ld ms: %s; to repeat it: test_sim_proxy %lu\n", (unsigned long)world.seed,
		(long)(loop_now() / MILLISECOND_NS), world.excuse ? world.excuse : "nothing is excused",
		(unsigned long)world.seed);
}

_Noreturn void ask_failed(const struct ask *ask, const char *condition, const char *file, int line)
{
	fprintf(stderr, "%u (method %d, HTTP/1.%u, %lu bytes in framing %d%s%s): arrived %u times; excuse: %s\n",
		(unsigned)ask_token(ask), ask->method, ask->version_minor, (unsigned long)ask->size, ask->framing,
		ask->expects_continue ? ", expects" : "", ask->bad ? ", bad" : "", ask->arrivals,
		ask->excuse ? ask->excuse : "none");
	check_failed(condition, file, line);
}

// --- A seed

static void run_all(void *argument)
{
	uint64_t reloads = one_in(3) ? 1 + draw(4) : 0;
	clients_start();
	fail_alloc_by_chance(world.seed, world.memory_fails ? 1 + (unsigned)draw(20) : 0);
	while (world.clients_running > 0) {
		(void)fiber_sleep("clients", loop_now() + (int64_t)draw((uint64_t)world.pause_ns * 2 + 2));
		if (reloads > 0 && one_in(2)) {
			reloads--;
			proxy_reload();
		}
		if (world.drains && one_in(10))
			proxy_drain();
		if (world.is_draining && one_in(40))
			proxy_abort();
	}
	proxy_stop();
	counts.failed_allocations += fail_alloc_stop();
	origins_stop();
	while (world.origins_running > 0)
		(void)fiber_sleep("origins", loop_now() + SECOND_NS);
}

// How things are in this seed.
static void choose(const struct sim_options *weather)
{
	world.bytes_max = 1 + (weather->buffer_size < 100 ? weather->buffer_size * 50 : one_in(4) ? 150000 : 6000);
	world.pause_ns = one_in(2) ? 20 * MILLISECOND_NS : 10 * SECOND_NS;
	world.origins_close = one_in(2);
	world.origins_surplus = one_in(5);
	world.drains = one_in(10);
	world.tries = 1 + (unsigned)draw(4);
	world.passes = world.seed < TWICE ? PASSES_ONCE : PASSES_BY_H2C + (enum proxy_passes)(world.seed % 3);
	// What the second pass has taken and the origin has not is no progress to the first one, which waits in vain.
	if (world.passes != PASSES_ONCE)
		world.pause_ns = 20 * MILLISECOND_NS;
	if (weather->reset || weather->refuse || weather->blackhole || weather->no_descriptors || weather->no_memory ||
	    weather->aborted)
		world.excuse = "foul weather";
	if (world.origins_surplus)
		world.excuse = "origins send too much";
	world.memory_fails = one_in(5);
	if (world.memory_fails)
		world.excuse = "memory is out";
}

static struct sim_options choose_weather(uint64_t seed)
{
	struct sim_options weather = sim_options_weather(seed);
	if (one_in(2)) { // everything odd, but nothing is lost
		weather.reset = weather.refuse = weather.blackhole = weather.no_descriptors = 0;
		weather.no_memory = weather.aborted = 0;
	}
	// What encryption and frames add takes its time on the way; no timeout is to strike for that.
	if (seed >= TWICE && weather.buffer_size < TWICE_BUFFER)
		weather.buffer_size = TWICE_BUFFER;
	return weather;
}

static void play(uint64_t seed)
{
	struct sim_options calm = sim_options_calm();
	memset(&world, 0, sizeof world);
	line_count = 0;
	world.seed = seed;
	world.kernel = kernel_sim_new(seed, &calm);
	world.chance = kernel_sim_random(world.kernel);
	struct sim_options weather = choose_weather(seed);
	choose(&weather);
	struct loop *loop = loop_new(world.kernel);
	check_set_reporter(report);
	proxy_start();
	origins_start();
	check(fiber_spawn("all", run_all, NULL) != NULL);
	kernel_sim_set_options(world.kernel, &weather);
	loop_run(loop);

	check(loop_now() < 500000 * SECOND_NS);
	check(fiber_count() == 0);
	proxy_free();
	while (loop_turn(loop, 0))
		;
	if (kernel_sim_open_count(world.kernel) > 0)
		kernel_sim_list_open(world.kernel, stderr);
	check(kernel_sim_open_count(world.kernel) == 0);
	loop_free(loop);
	block_trim();
	check_set_reporter(NULL);
	kernel_sim_free(world.kernel);
}

static void nothing_is_lost_doubled_or_crossed(void **state)
{
	for (size_t i = 0; !is_one && i < sizeof failed_once / sizeof failed_once[0]; i++)
		play(failed_once[i]);
	for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++)
		play(seed);
	for (uint64_t seed = TWICE; !is_one && seed < TWICE + seeds; seed++)
		play(seed);
	print_message(
		"%lu whole (%lu in spite of trouble), %lu errors of usher's own, %lu cut, %lu unanswered, %lu left, "
		"%lu bad refused, %lu retried, %lu bodies received, %lu tunnels, %lu reloads, %lu continued, "
		"%lu informed, %lu seeds with failed allocations\n",
		counts.whole, counts.excused, counts.own_errors, counts.cut, counts.unanswered, counts.given_up,
		counts.bad_refused, counts.retried, counts.bodies_received, counts.tunnels, counts.reloads,
		counts.continued, counts.informed, counts.failed_allocations);
	if (seeds < 100)
		return;
	assert_true(counts.whole > seeds && counts.own_errors > seeds / 4 && counts.cut > seeds / 10);
	assert_true(counts.given_up > seeds / 4 && counts.bad_refused > seeds / 10 && counts.retried > 0);
	assert_true(counts.bodies_received > seeds / 2 && counts.tunnels > 0 && counts.reloads > seeds / 10);
	assert_true(counts.continued > 0 && counts.informed > 0 && counts.failed_allocations > 0);
}

// test_sim_proxy [SEED [COUNT]]
int main(int count, char **arguments)
{
	if (count > 1) {
		first_seed = strtoull(arguments[1], NULL, 10);
		is_one = true;
		seeds = 1;
	}
	if (count > 2)
		seeds = strtoull(arguments[2], NULL, 10);
	log_set_level(is_one && getenv("PROXY_TRACE") ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_doubled_or_crossed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
