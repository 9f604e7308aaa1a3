// What counts against an HTTP/2 client, and what excuses it.
#include "driver.h"
#include "fiber/loop.h"
#include "http/h2_limits.h"
#include "http/h2_server.h"

static const struct h2_server_settings settings = {.controls = 10, .resets = 10, .header_bytes = 65536};

// A client gives back the window frame by frame, so that frames break into ever more pieces.
static void test_pieces_of_a_long_transfer(void **state)
{
	struct h2_limits limits = {0};
	for (unsigned i = 0; i < 2000; i++) {
		assert_true(h2_limits_data(&limits, &settings, 16384, false, 0));
		for (unsigned j = 0; j < 8; j++)
			assert_true(h2_limits_data(&limits, &settings, 1, true, 0));
	}
	assert_int_equal(limits.over, H2_ABUSE_NONE);
}

// However much it took before, a client that then takes byte by byte is found out.
static void test_tiny_windows_behind_a_long_transfer(void **state)
{
	struct h2_limits limits = {0};
	for (unsigned i = 0; i < 2000; i++)
		assert_true(h2_limits_data(&limits, &settings, 16384, false, 0));
	unsigned tiny = 0;
	while (tiny < 2000 && h2_limits_data(&limits, &settings, 1, true, 0))
		tiny++;
	assert_in_range(tiny, 512, 600);
	assert_int_equal(limits.over, H2_ABUSE_CONTROLS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces_of_a_long_transfer),
		cmocka_unit_test(test_tiny_windows_behind_a_long_transfer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
