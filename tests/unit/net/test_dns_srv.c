#include "net/dns_srv.h"
#include "support.h"

static struct services services;

#define READ(bytes) dns_srv_read(slice_from(bytes, sizeof(bytes) - 1), &services)

// One question for _h._tcp.x, which stands at 12; so many answers.
#define HEADER(answers) "\x12\x34\x81\x80\x00\x01\x00" answers "\x00\x00\x00\x00"
#define QUESTION "\x02_h\x04_tcp\x01x\x00\x00\x21\x00\x01"
#define RECORD(ttl, length) "\xc0\x0c\x00\x21\x00\x01" ttl "\x00" length

static void targets_may_be_compressed(void **state)
{
	// The target "a" and what stands at 0x14: "x".
	assert_true(READ(HEADER("\x02") QUESTION RECORD(
		"\x00\x00\x00\x3c", "\x0a") "\x00\x01\x00\x02\x1f\x90\x01"
					    "a"
					    "\xc0\x14" RECORD("\x00\x00\x00\x1e", "\x0b") "\x00\x03\x00\x04\x00\x50\x03"
											  "b-c"
											  "\x00"));
	assert_int_equal(services.count, 2);
	assert_int_equal(services.ttl_s, 30);
	assert_string_equal(services.items[0].host, "a.x");
	assert_int_equal(services.items[0].priority, 1);
	assert_int_equal(services.items[0].weight, 2);
	assert_int_equal(services.items[0].port, 8080);
	assert_string_equal(services.items[1].host, "b-c");
	assert_int_equal(services.items[1].port, 80);
}

static void what_cannot_be_connected_to_is_left_out(void **state)
{
	// RFC 2782: the target "." says that there is no such service.
	assert_true(READ(HEADER("\x01") QUESTION RECORD("\x00\x00\x00\x3c", "\x07") "\x00\x00\x00\x00\x00\x50\x00"));
	assert_int_equal(services.count, 0);
	assert_true(
		READ(HEADER("\x01") QUESTION RECORD("\x00\x00\x00\x3c", "\x09") "\x00\x00\x00\x00\x00\x50\x01/\x00"));
	assert_int_equal(services.count, 0);
	assert_true(READ(HEADER("\x01") QUESTION RECORD("\xff\xff\xff\xff", "\x09") "\x00\x00\x00\x00\x00\x00\x01"
										    "a\x00"));
	assert_int_equal(services.count, 0);
	assert_int_equal(services.ttl_s, 0);
}

static void malformed_messages_are_refused(void **state)
{
	assert_false(READ(""));
	assert_false(READ("\x12\x34\x81\x80\x00\x01\x00"));
	assert_false(READ(HEADER("\x01") QUESTION));
	// A circle: the name at 12 points at itself.
	assert_false(READ(HEADER("\x00") "\xc0\x0c\x00\x21\x00\x01"));
	assert_false(READ(HEADER("\x00") "\xff\xff\x00\x21\x00\x01")); // beside the message
	assert_false(READ(HEADER("\x00") "\x40"
					 "abc\x00\x00\x21\x00\x01"));
	// A target that is longer than its record, and one that is shorter.
	assert_false(READ(HEADER("\x01") QUESTION RECORD("\x00\x00\x00\x3c", "\x08") "\x00\x00\x00\x00\x00\x50\x01"
										     "a\x00"));
	assert_false(READ(HEADER("\x01") QUESTION RECORD("\x00\x00\x00\x3c", "\x0a") "\x00\x00\x00\x00\x00\x50\x01"
										     "a\x00\x00"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_may_be_compressed),
		cmocka_unit_test(what_cannot_be_connected_to_is_left_out),
		cmocka_unit_test(malformed_messages_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
