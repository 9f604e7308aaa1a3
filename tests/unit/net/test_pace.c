// Paces under a clock of the test's own.
#include "cmocka_all.h"
#include "fiber/loop.h"
#include "net/pace.h"
#include "net/rate.h"

static void test_pieces(void **state)
{
	struct pace slow = pace_of(1024, 65536, 0), fast = pace_of(INT64_C(1) << 40, 65536, 0);
	struct pace middle = pace_of(200000, 5000, 0);
	assert_int_equal(pace_piece(&slow), 1024);
	assert_int_equal(pace_piece(&fast), 65536);
	assert_int_equal(pace_piece(&middle), 5000); // no more than the burst
	fast.next = &middle;
	middle.next = &slow;
	assert_int_equal(pace_piece(&fast), 1024);
}

static void test_what_is_booked_waits_and_may_be_given_back(void **state)
{
	struct pace own = pace_of(1000, 2000, 0), shared = pace_of(1000, 2000, rate_key(9, SLICE("x")));
	for (struct pace *pace = &own; pace; pace = pace == &own ? &shared : NULL) {
		int64_t now_ns = 1000 * SECOND_NS;
		assert_int_equal(pace_book(pace, 2000, now_ns), 0);
		assert_int_equal(pace_book(pace, 1000, now_ns), SECOND_NS);
		pace_give_back(pace, 500, now_ns);
		assert_int_equal(pace_book(pace, 500, now_ns), SECOND_NS);
		// Nothing more than the burst comes of what is given back late.
		now_ns += 100 * SECOND_NS;
		pace_give_back(pace, 1000, now_ns);
		assert_int_equal(pace_book(pace, 2000, now_ns), 0);
		assert_int_equal(pace_book(pace, 1000, now_ns), SECOND_NS);
	}
}

static void test_all_that_hold_are_waited_for(void **state)
{
	struct pace first = pace_of(1000, 1024, 0), second = pace_of(500, 1024, 0);
	first.next = &second;
	int64_t now_ns = 1000 * SECOND_NS;
	assert_int_equal(pace_book(&first, 1024, now_ns), 0);
	assert_int_equal(pace_book(&first, 1000, now_ns), 2 * SECOND_NS);
	pace_give_back(&first, 1000, now_ns);
	assert_int_equal(pace_book(&first, 500, now_ns), SECOND_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_what_is_booked_waits_and_may_be_given_back),
		cmocka_unit_test(test_all_that_hold_are_waited_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
