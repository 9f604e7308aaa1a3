// Messages with descriptors between master and worker.
#include "cmocka_all.h"
#include "control/handoff.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int ends[2];
static char buffer[HANDOFF_TEXT_MAX];

static int make_pair(void **state)
{
	return handoff_pair(ends);
}

static int close_pair(void **state)
{
	for (int i = 0; i < 2; i++) {
		if (ends[i] >= 0)
			close(ends[i]);
	}
	return 0;
}

static bool same_file(int a, int b)
{
	struct stat one, other;
	assert_int_equal(fstat(a, &one), 0);
	assert_int_equal(fstat(b, &other), 0);
	return one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

static void test_text_and_number(void **state)
{
	struct handoff_message message;
	assert_int_equal(handoff_send_text(ends[0], HANDOFF_DRAIN, -5, SLICE("now")), 0);
	assert_int_equal(handoff_receive(ends[1], buffer, &message), 0);
	assert_int_equal(message.kind, HANDOFF_DRAIN);
	assert_int_equal(message.number, -5);
	assert_true(slice_equal(message.text, SLICE("now")));
	assert_int_equal(message.descriptor_count, 0);
}

static void test_both_ways_and_in_order(void **state)
{
	struct handoff_message message;
	assert_int_equal(handoff_send_text(ends[1], HANDOFF_READY, 1, SLICE_EMPTY), 0);
	assert_int_equal(handoff_send_text(ends[1], HANDOFF_FAILED, 2, SLICE("why")), 0);
	assert_int_equal(handoff_receive(ends[0], buffer, &message), 0);
	assert_int_equal(message.kind, HANDOFF_READY);
	assert_int_equal(message.text.length, 0);
	assert_int_equal(handoff_receive(ends[0], buffer, &message), 0);
	assert_int_equal(message.kind, HANDOFF_FAILED);
	assert_true(slice_equal(message.text, SLICE("why")));
}

static void test_descriptors(void **state)
{
	struct handoff_message sent = {.kind = HANDOFF_LISTENER, .text = SLICE("a"), .descriptor_count = 2}, got;
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	memcpy(sent.descriptors, pipes, sizeof pipes);
	assert_int_equal(handoff_send(ends[0], &sent), 0);
	assert_int_equal(handoff_receive(ends[1], buffer, &got), 0);
	assert_int_equal(got.descriptor_count, 2);
	assert_true(same_file(got.descriptors[0], pipes[0]));
	assert_true(same_file(got.descriptors[1], pipes[1]));
	handoff_close(&got);
	assert_int_equal(got.descriptor_count, 0);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_as_many_descriptors_as_there_may_be(void **state)
{
	struct handoff_message sent = {.kind = HANDOFF_LISTENER, .descriptor_count = HANDOFF_DESCRIPTORS_MAX}, got;
	for (unsigned i = 0; i < HANDOFF_DESCRIPTORS_MAX; i++)
		sent.descriptors[i] = ends[0];
	assert_int_equal(handoff_send(ends[0], &sent), 0);
	assert_int_equal(handoff_receive(ends[1], buffer, &got), 0);
	assert_int_equal(got.descriptor_count, HANDOFF_DESCRIPTORS_MAX);
	handoff_close(&got);
}

static void test_long_text_is_cut(void **state)
{
	static char text[HANDOFF_TEXT_MAX + 100];
	struct handoff_message message;
	memset(text, 'x', sizeof text);
	assert_int_equal(handoff_send_text(ends[1], HANDOFF_FAILED, 0, slice_from(text, sizeof text)), 0);
	assert_int_equal(handoff_receive(ends[0], buffer, &message), 0);
	assert_int_equal(message.text.length, HANDOFF_TEXT_MAX);
}

static void test_other_end_gone(void **state)
{
	struct handoff_message message;
	close(ends[0]);
	ends[0] = -1;
	assert_int_equal(handoff_receive(ends[1], buffer, &message), -EPIPE);
	assert_int_equal(handoff_send_text(ends[1], HANDOFF_READY, 0, SLICE_EMPTY), -EPIPE);
}

static void expect_refused(const void *bytes, size_t size)
{
	struct handoff_message message;
	assert_int_equal(send(ends[0], bytes, size, 0), (ssize_t)size);
	assert_int_equal(handoff_receive(ends[1], buffer, &message), -EBADMSG);
	assert_int_equal(message.descriptor_count, 0);
}

static void test_refuses_what_is_no_message(void **state)
{
	static const uint32_t unknown_kind[] = {99, 0, 0, 0}, no_kind[] = {0, 0, 0, 0},
			      missing_descriptor[] = {HANDOFF_LOG, 1, 0, 0};
	expect_refused("x", 1);
	expect_refused(unknown_kind, sizeof unknown_kind);
	expect_refused(no_kind, sizeof no_kind);
	expect_refused(missing_descriptor, sizeof missing_descriptor);
}

int main(void)
{
#define PAIR_TEST(test) cmocka_unit_test_setup_teardown(test, make_pair, close_pair)
	const struct CMUnitTest tests[] = {
		PAIR_TEST(test_text_and_number),
		PAIR_TEST(test_both_ways_and_in_order),
		PAIR_TEST(test_descriptors),
		PAIR_TEST(test_as_many_descriptors_as_there_may_be),
		PAIR_TEST(test_long_text_is_cut),
		PAIR_TEST(test_other_end_gone),
		PAIR_TEST(test_refuses_what_is_no_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
