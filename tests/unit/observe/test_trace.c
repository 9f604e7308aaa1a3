#include "observe/trace.h"
#include "support.h"

// A clock that the test sets: loop_now is that of the last turn.
static int64_t clock_ns;

static int64_t test_now(struct kernel *kernel)
{
	return clock_ns;
}

static int test_wait(struct kernel *kernel, struct kernel_event *events, int capacity, int64_t timeout_ns)
{
	return 0;
}

static void test_interrupt(struct kernel *kernel)
{
}

static void fire(struct timer *timer)
{
}

static struct kernel kernel = {.now = test_now, .wait = test_wait, .interrupt = test_interrupt};
static struct timer keeps_turning;

static int set_up(void **state)
{
	clock_ns = 0;
	if (loop_new(&kernel) == NULL)
		return -1;
	timer_init(&keeps_turning, fire);
	timer_start(&keeps_turning, INT64_C(1) << 50);
	return 0;
}

static int tear_down(void **state)
{
	timer_stop(&keeps_turning);
	loop_free(loop_current());
	return 0;
}

static void at(int64_t now_ns)
{
	clock_ns = now_ns;
	loop_turn(loop_current(), 0);
	assert_int_equal(loop_now(), now_ns);
}

static void formats_decisions(void **state)
{
	struct trace trace;
	char text[TRACE_TEXT_MAX], json[TRACE_JSON_MAX];
	at(SECOND_NS);
	trace_begin(&trace, loop_now());
	assert_text(trace_format_text(&trace, text, sizeof(text)), "");
	assert_text(trace_format_json(&trace, json, sizeof(json)), "[]");

	trace_note(&trace, "site", SLICE("shop.example.com"), "shop.yaml", 5, TRACE_NO_VALUE);
	trace_note(&trace, "route", SLICE("/api/"), "shop.yaml", 12, TRACE_NO_VALUE);
	at(SECOND_NS + 3 * MILLISECOND_NS + 500000);
	trace_note(&trace, "connect", SLICE("[::1]:80"), NULL, 0, -111);
	trace_note(&trace, "retry", SLICE_EMPTY, NULL, 0, TRACE_NO_VALUE);
	at(2 * SECOND_NS);
	trace_note(&trace, "status", SLICE_EMPTY, NULL, 0, 200);
	assert_text(trace_format_text(&trace, text, sizeof(text)),
		    "site=shop.example.com@shop.yaml:5 route=/api/@shop.yaml:12 connect=[::1]:80(-111)+3ms retry "
		    "status(200)+1000ms");
	struct slice array = trace_format_json(&trace, json, sizeof(json));
	assert_text(array,
		    "[{\"what\":\"site\",\"by\":\"shop.example.com\",\"file\":\"shop.yaml\",\"line\":5,\"at_us\":0},"
		    "{\"what\":\"route\",\"by\":\"/api/\",\"file\":\"shop.yaml\",\"line\":12,\"at_us\":0},"
		    "{\"what\":\"connect\",\"by\":\"[::1]:80\",\"value\":-111,\"at_us\":3500},"
		    "{\"what\":\"retry\",\"at_us\":3500},"
		    "{\"what\":\"status\",\"value\":200,\"at_us\":1000000}]");
	assert_true(test_is_json(array));
}

static void counts_what_has_no_room(void **state)
{
	struct trace trace;
	char text[TRACE_TEXT_MAX], json[TRACE_JSON_MAX];
	trace_begin(&trace, loop_now());
	for (int i = 0; i < TRACE_RECORDS_MAX + 5; i++)
		trace_note(&trace, "step", SLICE_EMPTY, NULL, 0, i);
	assert_int_equal(trace.count, TRACE_RECORDS_MAX);
	assert_int_equal(trace.lost, 5);
	assert_true(slice_ends_with(trace_format_text(&trace, text, sizeof(text)), SLICE("step(15) ...")));
	struct slice array = trace_format_json(&trace, json, sizeof(json));
	assert_true(test_is_json(array));
	assert_true(slice_ends_with(array, SLICE(",{\"what\":\"lost\",\"value\":5}]")));
}

static void holds_the_worst(void **state)
{
	struct trace trace;
	char bytes[1000], text[TRACE_TEXT_MAX], json[TRACE_JSON_MAX];
	memset(bytes, 1, sizeof(bytes));
	char file[1001];
	memset(file, 2, 1000);
	file[1000] = '\0';
	at(INT64_C(1) << 40);
	trace_begin(&trace, INT64_MIN / 2);
	for (int i = 0; i < TRACE_RECORDS_MAX; i++)
		trace_note(&trace, file, slice_from(bytes, sizeof(bytes)), file, UINT32_MAX, INT64_MIN + 1);
	struct slice line = trace_format_text(&trace, text, sizeof(text));
	assert_false(slice_ends_with(line, SLICE(" ...")));
	assert_true(test_is_json(trace_format_json(&trace, json, sizeof(json))));
	assert_null(memmem(json, sizeof(json), "lost", 4));
}

// Whatever the room, a text of whole records and an array that is valid.
static void fits_any_room(void **state)
{
	struct trace trace;
	trace_begin(&trace, loop_now());
	for (int i = 0; i < 10; i++)
		trace_note(&trace, "server", SLICE("10.0.0.1:8080"), "usher.yaml", 7, i);
	char whole[TRACE_TEXT_MAX];
	size_t whole_length = trace_format_text(&trace, whole, sizeof(whole)).length;
	for (size_t size = 0; size < 600; size++) {
		char *text = test_malloc(size + 1);
		struct slice line = trace_format_text(&trace, text, size);
		assert_true(line.length <= size);
		assert_true(line.length == 0 || line.length == whole_length || slice_ends_with(line, SLICE(" ...")));
		test_free(text);
		if (size < 64)
			continue;
		char *json = test_malloc(size);
		struct slice array = trace_format_json(&trace, json, size);
		assert_true(array.length <= size);
		assert_true(test_is_json(array));
		test_free(json);
	}
}

static void no_name_passes_for_a_record(void **state)
{
	struct trace trace;
	char text[TRACE_TEXT_MAX];
	trace_begin(&trace, loop_now());
	trace_note(&trace, "host", SLICE("evil site=shop(1)\n\"x\""), NULL, 0, TRACE_NO_VALUE);
	assert_text(trace_format_text(&trace, text, sizeof(text)), "host=evil\\x20site=shop\\x281\\x29\\n\\\"x\\\"");
}

static void of_a_long_path_the_name_of_the_file_is_told(void **state)
{
	struct trace trace;
	char text[TRACE_TEXT_MAX];
	trace_begin(&trace, loop_now());
	trace_note(&trace, "site", SLICE_EMPTY, "/srv/0123456789/0123456789/0123456789/0123456789/0123456789/shop.yaml",
		   5, TRACE_NO_VALUE);
	assert_text(trace_format_text(&trace, text, sizeof(text)),
		    "site@...123456789/0123456789/0123456789/0123456789/shop.yaml:5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(formats_decisions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(counts_what_has_no_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(holds_the_worst, set_up, tear_down),
		cmocka_unit_test_setup_teardown(fits_any_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(of_a_long_path_the_name_of_the_file_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_name_passes_for_a_record, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
