#include "net/tunnel.h"
#include "support.h"

// a <-> (a2 tunnel b2) <-> b
struct rig {
	struct tcp_stream a, a2, b, b2;
	struct tunnel tunnel;
	int done;
	struct fiber *waiter;
};

static void rig_done(struct tunnel *tunnel)
{
	struct rig *rig = LIST_ENTRY((void *)tunnel, struct rig, tunnel);
	rig->done++;
	if (rig->waiter)
		fiber_wake(rig->waiter);
}

static void rig_start_paced(struct rig *rig, const char *a_early, const char *b_early, int64_t idle_ns,
			    struct pace *pace)
{
	*rig = (struct rig){0};
	test_pair(&rig->a, &rig->a2);
	test_pair(&rig->b2, &rig->b);
	tunnel_start(&rig->tunnel, (struct tunnel_side){&rig->a2.stream, slice_from_string(a_early), pace},
		     (struct tunnel_side){&rig->b2.stream, slice_from_string(b_early), NULL}, idle_ns, rig_done);
}

static void rig_start(struct rig *rig, const char *a_early, const char *b_early, int64_t idle_ns)
{
	rig_start_paced(rig, a_early, b_early, idle_ns, NULL);
}

static void rig_wait_done(struct rig *rig)
{
	rig->waiter = fiber_current();
	while (!rig->done)
		assert_int_equal(fiber_wait("tunnel", test_deadline()), 0);
	assert_int_equal(rig->done, 1);
}

static void rig_close(struct rig *rig)
{
	stream_close(&rig->a.stream);
	stream_close(&rig->a2.stream);
	stream_close(&rig->b.stream);
	stream_close(&rig->b2.stream);
}

static void move_both_ways(void *argument)
{
	struct rig *rig = argument;
	rig_start(rig, "early from a, ", "early from b, ", PATIENCE_NS);
	test_send(&rig->a, "then more");
	test_expect(&rig->b, "early from a, then more");
	test_send(&rig->b, "and back");
	test_expect(&rig->a, "early from b, and back");
	// Quiet: neither way holds a fiber.
	while (rig->tunnel.ways[0].fiber || rig->tunnel.ways[1].fiber)
		fiber_yield();
	assert_int_equal(fiber_count(), 1);
	test_send(&rig->a, "once more");
	test_expect(&rig->b, "once more");
	assert_int_equal(rig->tunnel.ways[0].bytes, strlen("early from a, then moreonce more"));

	// An end is passed on, and the other way goes on.
	assert_int_equal(stream_shutdown(&rig->a.stream), 0);
	test_expect_end(&rig->b);
	test_send(&rig->b, "late");
	test_expect(&rig->a, "late");
	assert_int_equal(rig->done, 0);
	assert_int_equal(stream_shutdown(&rig->b.stream), 0);
	test_expect_end(&rig->a);
	rig_wait_done(rig);
	rig_close(rig);
}

static void end_by_failure(void *argument)
{
	struct rig *rig = argument;
	rig_start(rig, "", "", PATIENCE_NS);
	test_send(&rig->a, "x");
	test_expect(&rig->b, "x");
	stream_reset_on_close(&rig->b.stream);
	stream_close(&rig->b.stream);
	rig_wait_done(rig);
	rig_close(rig);
}

static void end_by_idleness(void *argument)
{
	struct rig *rig = argument;
	rig_start(rig, "", "", 20 * MILLISECOND_NS);
	rig_wait_done(rig);
	rig_close(rig);
}

static void end_by_abort(void *argument)
{
	struct rig *rig = argument;
	rig_start(rig, "", "", PATIENCE_NS);
	tunnel_abort(&rig->tunnel); // its fibers have not even begun
	rig_wait_done(rig);
	rig_close(rig);
	rig_start(rig, "", "", PATIENCE_NS);
	while (rig->tunnel.ways[0].fiber || rig->tunnel.ways[1].fiber)
		fiber_yield();
	tunnel_abort(&rig->tunnel); // parked
	rig_wait_done(rig);
	rig_close(rig);
}

// A side that does not read makes the other one wait; nothing is lost when it goes on.
static void hold_back(void *argument)
{
	static char block[64 * 1024];
	struct rig *rig = argument;
	rig_start(rig, "", "", PATIENCE_NS);
	size_t sent = 0, got = 0;
	struct iovec part = {block, sizeof block};
	for (size_t quiet = 0; quiet < 100;) {
		ssize_t count = stream_write(&rig->a.stream, &part, 1, false, "test", loop_now() + MILLISECOND_NS);
		sent += count > 0 ? (size_t)count : 0;
		quiet = count > 0 ? 0 : quiet + 1;
		assert_true(sent < 256 * 1024 * 1024);
	}
	assert_int_equal(stream_shutdown(&rig->a.stream), 0);
	ssize_t count;
	while ((count = stream_read(&rig->b.stream, block, sizeof block, "test", test_deadline())) > 0)
		got += (size_t)count;
	assert_int_equal(count, 0);
	assert_int_equal(got, sent);
	assert_int_equal(stream_shutdown(&rig->b.stream), 0);
	rig_wait_done(rig);
	rig_close(rig);
}

// Early bytes and others, at a rate; the other way goes as fast as it does.
static void keep_to_a_rate(void *argument)
{
	enum { RATE = 100 * 1000, BURST = 5000, SIZE = 30 * 1000 };
	static char bytes[SIZE];
	struct rig *rig = argument;
	struct pace pace = pace_of(RATE, BURST, 0);
	int64_t began_ns = loop_now_exact();
	rig_start_paced(rig, "early from a, ", "", PATIENCE_NS, &pace);
	struct iovec part = {bytes, sizeof bytes};
	size_t got;
	for (ssize_t count; part.iov_len > 0; part.iov_len -= (size_t)count)
		assert_true((count = stream_write(&rig->a.stream, &part, 1, false, "test", test_deadline())) > 0);
	test_expect(&rig->b, "early from a, ");
	for (got = 0; got < sizeof bytes;) {
		ssize_t count = stream_read(&rig->b.stream, bytes, sizeof bytes, "test", test_deadline());
		assert_true(count > 0);
		got += (size_t)count;
	}
	assert_true(loop_now_exact() - began_ns >= (SIZE - BURST) * SECOND_NS / RATE);
	assert_int_equal(stream_shutdown(&rig->a.stream), 0);
	test_expect_end(&rig->b);
	assert_int_equal(stream_shutdown(&rig->b.stream), 0);
	rig_wait_done(rig);
	assert_int_equal(rig->tunnel.ways[0].booked, 0);
	rig_close(rig);
}

// What waits for its turn has no fiber, is not idle, and can be ended. What it booked and did not use is given back.
static void wait_for_a_turn(void *argument)
{
	struct rig *rig = argument;
	struct pace pace = pace_of(1024, 1024, 0);
	pace.bytes_a_second = 1; // a quarter of an hour for the next
	rig_start_paced(rig, "", "", MILLISECOND_NS, &pace);
	int64_t began_ns = loop_now_exact();
	test_send(&rig->a, "x");
	while (!timer_is_running(&rig->tunnel.ways[0].turn))
		fiber_yield();
	assert_null(rig->tunnel.ways[0].fiber);
	assert_int_equal(rig->tunnel.ways[0].booked, 1024);
	assert_int_equal(fiber_sleep("test", loop_now() + 20 * MILLISECOND_NS), 0);
	assert_int_equal(rig->done, 0);
	test_send(&rig->b, "and back");
	test_expect(&rig->a, "and back");
	tunnel_abort(&rig->tunnel);
	rig_wait_done(rig);
	assert_true(pace.due_ns - began_ns < 1024 * SECOND_NS);
	rig_close(rig);
}

static void run(fiber_function *function)
{
	static struct rig rig;
	test_run(function, &rig);
}

static void moves_both_ways(void **state)
{
	run(move_both_ways);
}

static void ends_by_failure(void **state)
{
	run(end_by_failure);
}

static void ends_by_idleness(void **state)
{
	run(end_by_idleness);
}

static void ends_by_abort(void **state)
{
	run(end_by_abort);
}

static void holds_back(void **state)
{
	run(hold_back);
}

static void keeps_to_a_rate(void **state)
{
	run(keep_to_a_rate);
}

static void waits_for_a_turn(void **state)
{
	run(wait_for_a_turn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves_both_ways),  cmocka_unit_test(ends_by_failure),
		cmocka_unit_test(ends_by_idleness), cmocka_unit_test(ends_by_abort),
		cmocka_unit_test(holds_back),	    cmocka_unit_test(keeps_to_a_rate),
		cmocka_unit_test(waits_for_a_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
