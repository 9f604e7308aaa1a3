// Fetches: one at a time for each key, read by all as it comes, over several threads; also under ThreadSanitizer.
#include "base/check.h"
#include "cache/fetch.h"
#include "cmocka_all.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 3, FIBERS = 20, ROUNDS = 30, KEYS = 3, PIECES = 10, PIECE = 1000, MOST = 6000 };

static const struct slice keys[KEYS] = {{"http://a/", 9}, {"http://a/b", 10}, {"http://b/", 9}};
static const struct fields none;
static const struct cache_fetch_bounds bounds = {.memory_bytes = MOST, .most_bytes = MOST, .filling_bytes = UINT64_MAX};
static char content[PIECES * PIECE];
static _Atomic unsigned fetching[KEYS], fetches, whole, cut, passed, failed, failures;

static struct cache_wanted wanted_of(unsigned index)
{
	// Two keys with the same hash are two keys.
	return (struct cache_wanted){.key = keys[index], .hash = index / 2, .request = &none};
}

static struct cache_object *make_object(unsigned index, size_t room)
{
	const struct cache_directives says = {0};
	struct cache_object *object = cache_object_new(&(struct cache_object_parts){
		.key = keys[index],
		.hash = index / 2,
		.status = 200,
		.response = &none,
		.request = &none,
		.says = &says,
		.room_bytes = room,
	});
	check(object);
	return object;
}

// --- Content of a length that is not known, of which some is too much to be stored

struct order {
	struct cache_fetch *fetch;
	unsigned index, pieces;
	enum cache_fetch_state end;
};

static void take(const struct order *order)
{
	struct cache_object *taken = cache_fetch_take(order->fetch);
	size_t length = (size_t)order->pieces * PIECE;
	if ((taken != NULL) != (length <= MOST))
		atomic_fetch_add(&failures, 1);
	if (taken &&
	    (taken->body.length != length || taken->size_bytes > length + sizeof *taken + keys[order->index].length))
		atomic_fetch_add(&failures, 1);
	cache_object_unref(taken);
}

// What is too much is hidden as soon as it comes, and another fetch may begin. It needs somebody who reads it.
static enum cache_fetch_state fill(const struct order *order)
{
	cache_fetch_answer(order->fetch, make_object(order->index, 100), -1, &bounds);
	for (unsigned i = 0; i < order->pieces; i++) {
		if (i == MOST / PIECE)
			atomic_fetch_sub(&fetching[order->index], 1);
		if (cache_fetch_fill(order->fetch, slice_from(content + (size_t)i * PIECE, PIECE)) < 0)
			return CACHE_FETCH_CUT;
		fiber_yield();
	}
	take(order);
	return order->end;
}

static void fetch(const struct order *order)
{
	const struct cache_outcome outcome = {.status = 200};
	enum cache_fetch_state end = order->end;
	if (atomic_fetch_add(&fetching[order->index], 1) != 0)
		atomic_fetch_add(&failures, 1); // two at once
	fiber_yield();
	atomic_fetch_add(&fetches, 1);
	bool answers = end == CACHE_FETCH_WHOLE || end == CACHE_FETCH_CUT;
	if (answers)
		end = fill(order);
	if (!answers || order->pieces * PIECE <= MOST)
		atomic_fetch_sub(&fetching[order->index], 1);
	cache_fetch_end(order->fetch, end, NULL, &outcome);
}

static void fetch_alone(void *argument)
{
	struct order *order = argument;
	fetch(order);
	free(order);
}

static void read_all(struct cache_reader *reader)
{
	struct slice bytes;
	size_t length = 0;
	int error;
	while ((error = cache_reader_read(reader, &bytes)) == 0 && bytes.length > 0) {
		if (length + bytes.length > sizeof content || memcmp(bytes.data, content + length, bytes.length) != 0)
			atomic_fetch_add(&failures, 1);
		length += bytes.length;
		fiber_yield();
	}
	if (error == 0 && reader->length >= 0 && (size_t)reader->length != length)
		atomic_fetch_add(&failures, 1);
	if (error && (error != -EPIPE || cache_reader_outcome(reader)->status != 200))
		atomic_fetch_add(&failures, 1);
	atomic_fetch_add(error ? &cut : &whole, 1);
}

static void visit(void *argument)
{
	static const enum cache_fetch_state ends[] = {CACHE_FETCH_WHOLE, CACHE_FETCH_WHOLE, CACHE_FETCH_CUT,
						      CACHE_FETCH_PASSES, CACHE_FETCH_FAILED};
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct cache_reader reader;
		struct cache_wanted wanted = wanted_of(round % KEYS);
		bool is_first;
		check(cache_fetch_join(&reader, &wanted, true, &is_first));
		if (is_first) {
			struct order *order = malloc(sizeof *order);
			check(order);
			// Less than may be stored, or more.
			*order = (struct order){reader.fetch, round % KEYS, round % 2 ? 5 : PIECES, ends[round % 5]};
			check(fiber_spawn("fetch", fetch_alone, order));
		}
		check(cache_reader_wait(&reader, FIBER_NEVER) == 0);
		if (reader.state == CACHE_FETCH_PASSES)
			atomic_fetch_add(&passed, 1);
		else if (reader.state == CACHE_FETCH_FAILED)
			atomic_fetch_add(&failed, 1);
		else if (round % 7 == 0)
			fiber_yield(); // and leaves before it has read
		else
			read_all(&reader);
		cache_reader_leave(&reader);
	}
}

static void *run_thread(void *argument)
{
	struct kernel *kernel = kernel_linux_new();
	struct loop *loop = loop_new(kernel);
	for (unsigned i = 0; i < FIBERS; i++)
		check(fiber_spawn("visitor", visit, NULL));
	loop_run(loop);
	loop_free(loop);
	kernel_linux_free(kernel);
	return NULL;
}

static void all_read_what_one_fetches(void **state)
{
	pthread_t threads[THREADS];
	for (size_t i = 0; i < sizeof content; i++)
		content[i] = (char)(i * 31 + i / 256);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_thread, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(failures, 0);
	assert_true(whole > 0 && cut > 0 && passed > 0 && failed > 0);
	assert_true(fetches < THREADS * FIBERS * ROUNDS / 2);
}

// --- One loop

static void run(fiber_function *function)
{
	struct kernel *kernel = kernel_linux_new();
	struct loop *loop = loop_new(kernel);
	check(fiber_spawn("test", function, NULL));
	loop_run(loop);
	loop_free(loop);
	kernel_linux_free(kernel);
}

static struct cache_fetch *join_first(struct cache_reader *reader, unsigned index)
{
	struct cache_wanted wanted = wanted_of(index);
	bool is_first;
	check(cache_fetch_join(reader, &wanted, true, &is_first) && is_first);
	return reader->fetch;
}

static bool join_later(struct cache_reader *reader, unsigned index, bool is_shared)
{
	struct cache_wanted wanted = wanted_of(index);
	bool is_first;
	check(cache_fetch_join(reader, &wanted, is_shared, &is_first));
	return !is_first;
}

static int outcomes[2];

static void impatient(void *argument)
{
	struct cache_reader reader;
	check(join_later(&reader, 0, true));
	outcomes[argument != NULL] =
		cache_reader_wait(&reader, argument ? FIBER_NEVER : loop_now() + 5 * MILLISECOND_NS);
	cache_reader_leave(&reader);
	cache_reader_leave(&reader);
}

static void leave_a_slow_one(void *argument)
{
	struct cache_reader reader;
	struct cache_fetch *fetch = join_first(&reader, 0);
	struct fiber *cancelled = fiber_spawn("cancelled", impatient, outcomes);
	check(cancelled && fiber_spawn("impatient", impatient, NULL));
	(void)fiber_sleep("test", loop_now() + MILLISECOND_NS);
	fiber_cancel(cancelled);
	while (outcomes[0] == 0 || outcomes[1] == 0)
		(void)fiber_sleep("test", loop_now() + MILLISECOND_NS);
	check(cache_fetch_readers(fetch) == 1);
	cache_reader_leave(&reader);
	check(cache_fetch_readers(fetch) == 0);
	cache_fetch_end(fetch, CACHE_FETCH_FAILED, NULL, NULL);
}

static void who_leaves_leaves_nothing_behind(void **state)
{
	run(leave_a_slow_one);
	assert_int_equal(outcomes[0], -ETIMEDOUT);
	assert_int_equal(outcomes[1], -ECANCELED);
}

// What is not stored, and what nobody reads, is not fetched either; what is stored is fetched for itself.
static void fill_for_nobody(void *argument)
{
	struct cache_reader reader;
	struct cache_fetch *fetch = join_first(&reader, 0);
	cache_reader_leave(&reader);
	cache_fetch_answer(fetch, make_object(0, 100), -1, &bounds);
	for (unsigned i = 0; i < MOST / PIECE; i++)
		check(cache_fetch_fill(fetch, slice_from(content, PIECE)) == 0);
	check(cache_fetch_fill(fetch, slice_from(content, PIECE)) == -EPIPE);
	cache_fetch_end(fetch, CACHE_FETCH_CUT, NULL, NULL);
}

static void nobody_reads(void **state)
{
	run(fill_for_nobody);
}

// All fetches have so much memory together; what is more goes on to those who read, and is not stored.
static void fill_beyond_all(void *argument)
{
	static const struct cache_fetch_bounds tight = {
		.memory_bytes = MOST, .most_bytes = MOST, .filling_bytes = MOST};
	struct cache_reader first, second;
	struct cache_fetch *one = join_first(&first, 0), *other = join_first(&second, 1);
	check(cache_fetch_claim(one, MOST - 1000, MOST));
	check(!cache_fetch_claim(other, 1001, MOST));
	cache_fetch_answer(other, make_object(1, 100), -1, &tight);
	cache_reader_leave(&second);
	check(cache_fetch_fill(other, slice_from(content, 100)) == 0);
	check(cache_fetch_fill(other, slice_from(content, PIECE)) == -EPIPE);
	cache_fetch_end(other, CACHE_FETCH_CUT, NULL, NULL);
	cache_fetch_end(one, CACHE_FETCH_PASSES, NULL, NULL);
	cache_reader_leave(&first);
	// Nothing is claimed any more.
	struct cache_fetch *last = join_first(&first, 0);
	check(cache_fetch_claim(last, MOST, MOST));
	cache_fetch_end(last, CACHE_FETCH_PASSES, NULL, NULL);
	cache_reader_leave(&first);
}

static void fetches_have_so_much_memory(void **state)
{
	run(fill_beyond_all);
}

static void forget(void *argument)
{
	struct cache_reader first, other, alone, again;
	struct cache_fetch *fetch = join_first(&first, 0), *unrelated = join_first(&other, 1);
	check(!join_later(&alone, 0, false));
	cache_fetch_end(alone.fetch, CACHE_FETCH_PASSES, NULL, NULL);
	cache_fetch_forget(keys[0], 0);
	check(cache_fetch_is_forgotten(fetch) && !cache_fetch_is_forgotten(unrelated));
	check(!join_later(&again, 0, true));
	cache_fetch_end(again.fetch, CACHE_FETCH_PASSES, NULL, NULL);
	cache_fetch_end(unrelated, CACHE_FETCH_PASSES, NULL, NULL);
	// What it brings goes to those who wait for it already.
	struct cache_object *object = make_object(0, 0);
	cache_fetch_end(fetch, CACHE_FETCH_WHOLE, object, &(struct cache_outcome){.status = 304});
	cache_object_unref(object);
	check(cache_reader_wait(&first, FIBER_NEVER) == 0 && first.state == CACHE_FETCH_WHOLE && first.length == 0);
	check(cache_reader_outcome(&first)->status == 304 && cache_reader_look(&first) == -1);
	cache_reader_leave(&first);
	cache_reader_leave(&other);
	cache_reader_leave(&alone);
	cache_reader_leave(&again);
}

static void what_is_forgotten_is_not_joined(void **state)
{
	run(forget);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_read_what_one_fetches),
		cmocka_unit_test(who_leaves_leaves_nothing_behind),
		cmocka_unit_test(nobody_reads),
		cmocka_unit_test(fetches_have_so_much_memory),
		cmocka_unit_test(what_is_forgotten_is_not_joined),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
