// Logins that failed, under a clock of the test's own; very many of them, from very many addresses.
#include "access/failures.h"
#include "cmocka_all.h"

#include <stdio.h>

#define SECOND INT64_C(1000000000)

static struct address address_of(const char *text)
{
	struct address address;
	assert_true(address_parse_ip(slice_from_string(text), 0, &address));
	return address;
}

static unsigned note(const char *user, const struct address *client, int64_t now_ns)
{
	unsigned count;
	failures_note(&(struct failures_try){SLICE("staff"), slice_from_string(user), client}, now_ns, &count);
	return count;
}

static int64_t wait_s(const char *user, const struct address *client, int64_t now_ns)
{
	return (failures_wait_ns(&(struct failures_try){SLICE("staff"), slice_from_string(user), client}, now_ns) +
		SECOND - 1) /
	       SECOND;
}

static void test_the_wait_doubles(void **state)
{
	struct address client = address_of("192.0.2.1"), other = address_of("192.0.2.2");
	int64_t now_ns = 1000 * SECOND;
	failures_forget_all();
	for (unsigned i = 1; i <= 5; i++) {
		assert_int_equal(note("ann", &client, now_ns), i);
		assert_int_equal(wait_s("ann", &client, now_ns), 0);
	}
	int64_t expected_s = 1;
	for (unsigned i = 6; i <= 20; i++) {
		assert_int_equal(note("ann", &client, now_ns), i);
		assert_int_equal(wait_s("ann", &client, now_ns), expected_s);
		expected_s = expected_s * 2 < 900 ? expected_s * 2 : 900;
	}
	assert_int_equal(wait_s("ann", &other, now_ns), 0);
	assert_int_equal(wait_s("ann", &client, now_ns + 899 * SECOND), 1);
	assert_int_equal(wait_s("ann", &client, now_ns + 900 * SECOND), 0);
	// After a quarter of an hour it begins anew.
	assert_int_equal(note("ann", &client, now_ns + 901 * SECOND), 1);
}

static void test_what_was_right_is_forgiven(void **state)
{
	struct address client = address_of("192.0.2.1");
	failures_forget_all();
	for (unsigned i = 0; i < 8; i++)
		note("ann", &client, SECOND);
	assert_true(wait_s("ann", &client, SECOND) > 0);
	failures_forgive(&(struct failures_try){SLICE("staff"), SLICE("ann"), &client});
	assert_int_equal(wait_s("ann", &client, SECOND), 0);
}

// A hundred thousand from ten thousand addresses: those who guess wait, others do not, and nothing grows.
static void test_very_many(void **state)
{
	struct address inside = address_of("10.0.0.1");
	unsigned waiting = 0;
	failures_forget_all();
	for (unsigned i = 0; i < 100000; i++) {
		char text[32], user[32];
		unsigned number = i % 10000;
		snprintf(text, sizeof text, "203.%u.%u.1", number / 100, number % 100);
		snprintf(user, sizeof user, "user%u", i % 7919);
		struct address client = address_of(text);
		note(user, &client, 5000 * SECOND + i * (SECOND / 1000));
	}
	int64_t now_ns = 5100 * SECOND;
	for (unsigned number = 0; number < 10000; number++) {
		char text[32];
		snprintf(text, sizeof text, "203.%u.%u.1", number / 100, number % 100);
		struct address client = address_of(text);
		for (unsigned i = 0; i < 30; i++)
			note("root", &client, now_ns);
		waiting += wait_s("anybody", &client, now_ns) > 0;
	}
	assert_true(waiting > 9000); // of very many, some are forgotten
	assert_int_equal(wait_s("ann", &inside, now_ns), 0);
	assert_true(wait_s("root", &inside, now_ns) <= 60);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_wait_doubles),
		cmocka_unit_test(test_what_was_right_is_forgiven),
		cmocka_unit_test(test_very_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
