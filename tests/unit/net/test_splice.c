#include "support.h"

#include <stdlib.h>
#include <sys/resource.h>

// Fed bytes go from `feeder` to `from`, are spliced to `to`, and come out at `sink`.
struct chain {
	struct tcp_stream feeder, from, to, sink;
	uint64_t fed, got;
	uint64_t feed_size;  // then the feeder shuts down
	uint64_t sink_stops; // the sink closes after so many
	unsigned seed;
	bool fed_all, sunk;
};

static unsigned char pattern(uint64_t at)
{
	return (unsigned char)(at * 167 + (at >> 13));
}

static void feed(void *argument)
{
	struct chain *chain = argument;
	static unsigned char bytes[100000];
	while (chain->fed < chain->feed_size) {
		size_t size = 1 + (size_t)rand_r(&chain->seed) % sizeof(bytes);
		if (size > chain->feed_size - chain->fed)
			size = (size_t)(chain->feed_size - chain->fed);
		for (size_t i = 0; i < size; i++)
			bytes[i] = pattern(chain->fed + i);
		struct iovec part = {bytes, size};
		if (stream_write_all(&chain->feeder.stream, &part, 1, false, "test", PATIENCE_NS) != 0)
			break;
		chain->fed += size;
		if (rand_r(&chain->seed) % 4 == 0)
			fiber_sleep("test", loop_now() + MILLISECOND_NS);
	}
	stream_shutdown(&chain->feeder.stream);
	chain->fed_all = true;
}

static void sink(void *argument)
{
	struct chain *chain = argument;
	static unsigned char bytes[70000];
	ssize_t count = 1;
	while (count > 0 && chain->got < chain->sink_stops) {
		size_t size = 1 + (size_t)rand_r(&chain->seed) % sizeof(bytes);
		count = stream_read(&chain->sink.stream, bytes, size, "test", test_deadline());
		for (ssize_t i = 0; i < count; i++)
			assert_int_equal(bytes[i], pattern(chain->got + (uint64_t)i));
		if (count > 0)
			chain->got += (uint64_t)count;
		if (rand_r(&chain->seed) % 8 == 0)
			fiber_sleep("test", loop_now() + MILLISECOND_NS);
	}
	if (chain->got >= chain->sink_stops)
		stream_close(&chain->sink.stream);
	chain->sunk = true;
}

static void chain_start(struct chain *chain, uint64_t feed_size, uint64_t sink_stops)
{
	static unsigned seed = 1;
	*chain = (struct chain){.feed_size = feed_size, .sink_stops = sink_stops, .seed = seed++};
	test_pair(&chain->feeder, &chain->from);
	test_pair(&chain->to, &chain->sink);
	assert_true(stream_can_splice(&chain->from.stream, &chain->to.stream));
	assert_non_null(fiber_spawn("feeder", feed, chain));
	assert_non_null(fiber_spawn("sink", sink, chain));
}

static void chain_end(struct chain *chain)
{
	stream_close(&chain->to.stream);
	stream_close(&chain->from.stream);
	while (!chain->fed_all || !chain->sunk)
		fiber_sleep("test", loop_now() + MILLISECOND_NS);
	stream_close(&chain->feeder.stream);
	stream_close(&chain->sink.stream);
}

static void splice_everything(void *argument)
{
	static const uint64_t sizes[] = {0, 1, 4095, 65536, 262144, 262145, 5000000, 20000000};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct chain chain;
		uint64_t moved;
		bool read_failed;
		chain_start(&chain, sizes[i], UINT64_MAX);
		assert_int_equal(stream_splice(&chain.from.stream, &chain.to.stream, UINT64_MAX, PATIENCE_NS, &moved,
					       &read_failed),
				 0);
		assert_int_equal(moved, sizes[i]);
		assert_int_equal(chain.from.stream.bytes_read, sizes[i]);
		assert_int_equal(chain.to.stream.bytes_written, sizes[i]);
		assert_false(read_failed);
		chain_end(&chain);
		assert_int_equal(chain.got, sizes[i]);
	}
}

static void splices_to_the_end(void **state)
{
	test_run(splice_everything, NULL);
}

// Exactly so many bytes: what follows stays where it is.
static void splice_exactly(void *argument)
{
	static const uint64_t sizes[] = {1, 1000, 65536, 300000, 999999};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct chain chain;
		uint64_t moved;
		bool read_failed;
		chain_start(&chain, 1000000, UINT64_MAX);
		assert_int_equal(stream_splice(&chain.from.stream, &chain.to.stream, sizes[i], PATIENCE_NS, &moved,
					       &read_failed),
				 0);
		assert_int_equal(moved, sizes[i]);
		for (uint64_t at = sizes[i]; at < 1000000;) {
			unsigned char bytes[5000];
			ssize_t count = stream_read(&chain.from.stream, bytes, sizeof(bytes), "test", test_deadline());
			assert_true(count > 0);
			for (ssize_t j = 0; j < count; j++)
				assert_int_equal(bytes[j], pattern(at + (uint64_t)j));
			at += (uint64_t)count;
		}
		test_expect_end(&chain.from);
		chain_end(&chain);
		assert_int_equal(chain.got, sizes[i]);
	}
}

static void splices_exactly_so_many(void **state)
{
	test_run(splice_exactly, NULL);
}

static void splice_too_little(void *argument)
{
	struct chain chain;
	uint64_t moved;
	bool read_failed;
	chain_start(&chain, 100000, UINT64_MAX);
	assert_int_equal(stream_splice(&chain.from.stream, &chain.to.stream, 100001, PATIENCE_NS, &moved, &read_failed),
			 -EPIPE);
	assert_int_equal(moved, 100000);
	assert_true(read_failed);
	chain_end(&chain);
	assert_int_equal(chain.got, 100000);
}

static void says_when_the_source_ends_early(void **state)
{
	test_run(splice_too_little, NULL);
}

// The sink goes away in the middle. What is left in the pipe must not come out in the next
// transfer.
static void splice_to_a_reset(void *argument)
{
	for (int round = 0; round < 5; round++) {
		struct chain chain;
		uint64_t moved;
		bool read_failed;
		chain_start(&chain, 20000000, 300000);
		int failed = stream_splice(&chain.from.stream, &chain.to.stream, UINT64_MAX, PATIENCE_NS, &moved,
					   &read_failed);
		assert_true(failed == -EPIPE || failed == -ECONNRESET);
		assert_false(read_failed);
		assert_true(moved >= 300000 && moved < 20000000);
		assert_int_equal(chain.to.stream.bytes_written, moved);
		stream_reset_on_close(&chain.from.stream);
		chain_end(&chain);

		chain_start(&chain, 1000000, UINT64_MAX);
		assert_int_equal(stream_splice(&chain.from.stream, &chain.to.stream, UINT64_MAX, PATIENCE_NS, &moved,
					       &read_failed),
				 0);
		chain_end(&chain);
		assert_int_equal(chain.got, 1000000);
	}
}

static void a_broken_transfer_leaves_nothing_behind(void **state)
{
	test_run(splice_to_a_reset, NULL);
}

static void splice_in_vain(void *argument)
{
	struct tcp_stream feeder, from, to, sink;
	uint64_t moved;
	bool read_failed;
	test_pair(&feeder, &from);
	test_pair(&to, &sink);
	// Nothing comes.
	int64_t begun = loop_now();
	assert_int_equal(stream_splice(&from.stream, &to.stream, 10, 30 * MILLISECOND_NS, &moved, &read_failed),
			 -ETIMEDOUT);
	assert_true(loop_now() - begun >= 30 * MILLISECOND_NS);
	assert_true(read_failed);
	assert_int_equal(moved, 0);

	// Each byte starts the time anew.
	for (int i = 0; i < 4; i++) {
		test_send(&feeder, "x");
		assert_int_equal(stream_splice(&from.stream, &to.stream, 1, 30 * MILLISECOND_NS, &moved, &read_failed),
				 0);
	}
	test_expect(&sink, "xxxx");
	stream_close(&feeder.stream);
	stream_close(&from.stream);
	stream_close(&to.stream);
	stream_close(&sink.stream);
}

static void splice_to_a_sleeper(void *argument)
{
	struct chain chain = {.feed_size = 64000000, .seed = 3};
	uint64_t moved;
	bool read_failed;
	test_pair(&chain.feeder, &chain.from);
	test_pair(&chain.to, &chain.sink);
	assert_non_null(fiber_spawn("feeder", feed, &chain));
	assert_int_equal(stream_splice(&chain.from.stream, &chain.to.stream, UINT64_MAX, 50 * MILLISECOND_NS, &moved,
				       &read_failed),
			 -ETIMEDOUT);
	assert_false(read_failed);
	assert_true(moved > 0);
	stream_reset_on_close(&chain.from.stream);
	chain.sunk = true;
	chain_end(&chain);
}

static void gives_up_without_progress(void **state)
{
	test_run(splice_in_vain, NULL);
	test_run(splice_to_a_sleeper, NULL);
}

static void cancel(void *argument)
{
	fiber_sleep("test", loop_now() + 20 * MILLISECOND_NS);
	fiber_cancel(argument);
}

static void splice_until_cancelled(void *argument)
{
	struct tcp_stream feeder, from, to, sink;
	uint64_t moved;
	bool read_failed;
	test_pair(&feeder, &from);
	test_pair(&to, &sink);
	assert_non_null(fiber_spawn("canceller", cancel, fiber_current()));
	assert_int_equal(stream_splice(&from.stream, &to.stream, 10, PATIENCE_NS, &moved, &read_failed), -ECANCELED);
	assert_true(fiber_clear_cancel());
	stream_close(&feeder.stream);
	stream_close(&from.stream);
	stream_close(&to.stream);
	stream_close(&sink.stream);

	// Also one that never has to wait for long.
	struct chain chain;
	chain_start(&chain, UINT64_MAX / 2, UINT64_MAX);
	assert_non_null(fiber_spawn("canceller", cancel, fiber_current()));
	assert_int_equal(
		stream_splice(&chain.from.stream, &chain.to.stream, UINT64_MAX, PATIENCE_NS, &moved, &read_failed),
		-ECANCELED);
	assert_true(fiber_clear_cancel());
	stream_reset_on_close(&chain.from.stream);
	chain_end(&chain);
}

static void ends_when_cancelled(void **state)
{
	test_run(splice_until_cancelled, NULL);
}

// Without descriptors for a pipe the bytes are copied; everything else is the same.
static void splice_without_pipes(void *argument)
{
	for (int round = 0; round < 3; round++) {
		struct chain chain;
		uint64_t moved;
		bool read_failed;
		struct rlimit before, none;
		chain_start(&chain, 3000000, round == 2 ? 300000 : UINT64_MAX);
		stream_trim_pipes();
		assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
		none = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		int failed = stream_splice(&chain.from.stream, &chain.to.stream, round == 0 ? UINT64_MAX : 3000001,
					   PATIENCE_NS, &moved, &read_failed);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		assert_int_equal(chain.to.stream.bytes_written, moved);
		if (round == 2) {
			assert_true(failed == -EPIPE || failed == -ECONNRESET);
			assert_true(moved >= 300000 && moved < 3000000);
			stream_reset_on_close(&chain.from.stream);
		} else {
			assert_int_equal(failed, round == 0 ? 0 : -EPIPE);
			assert_int_equal(moved, 3000000);
		}
		assert_int_equal(read_failed, round == 1);
		chain_end(&chain);
		assert_true(round == 2 || chain.got == 3000000);
	}
}

static void copies_where_there_is_no_pipe(void **state)
{
	test_run(splice_without_pipes, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splices_to_the_end),
		cmocka_unit_test(splices_exactly_so_many),
		cmocka_unit_test(says_when_the_source_ends_early),
		cmocka_unit_test(a_broken_transfer_leaves_nothing_behind),
		cmocka_unit_test(gives_up_without_progress),
		cmocka_unit_test(ends_when_cancelled),
		cmocka_unit_test(copies_where_there_is_no_pipe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
