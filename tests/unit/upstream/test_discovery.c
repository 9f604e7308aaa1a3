// Names of servers: resolved again and again, by a look-up that the test plays, on a clock
// that it turns.
#include "fake_kernel.h"
#include "support.h"
#include "upstream/address_book.h"

#include <stdio.h>

static struct fake_kernel fake;
static struct loop *loop;

// What the played look-up does.
static struct {
	const char *addresses[4]; // answers, up to the first NULL
	int error;		  // instead
	int64_t ttl_ns;
	int64_t takes_ns;
	unsigned calls;
	unsigned running, most;
	char last[256];
	int64_t deadline_ns;
} dns;

static int look_up(void *argument, const char *name, int64_t deadline_ns, struct resolution *ret_found)
{
	check(argument == &dns);
	dns.calls++;
	dns.deadline_ns = deadline_ns - loop_now();
	snprintf(dns.last, sizeof(dns.last), "%s", name);
	if (++dns.running > dns.most)
		dns.most = dns.running;
	int failed = dns.takes_ns ? fiber_sleep("test look-up", loop_now() + dns.takes_ns) : 0;
	dns.running--;
	if (failed)
		return failed;
	if (dns.error)
		return dns.error;
	*ret_found = (struct resolution){.ttl_ns = dns.ttl_ns};
	for (unsigned i = 0; i < COUNT(dns.addresses) && dns.addresses[i]; i++)
		ret_found->addresses[ret_found->count++] = test_ip(dns.addresses[i], 0);
	return 0;
}

static const struct discovery_settings settings = {
	.min_ns = SECOND_NS,
	.max_ns = 3600 * SECOND_NS,
	.timeout_ns = 5 * SECOND_NS,
};

static struct timer far;

static void never_due(struct timer *timer)
{
}

static int begin(void **state)
{
	memset(&dns, 0, sizeof(dns));
	dns.addresses[0] = "192.0.2.1";
	dns.ttl_ns = 60 * SECOND_NS;
	loop = fake_loop_new(&fake);
	assert_non_null(loop);
	timer_init(&far, never_due);
	timer_start(&far, loop_now() + 100000000 * SECOND_NS);
	discovery_start(look_up, &dns);
	return 0;
}

static int end(void **state)
{
	discovery_stop();
	for (int i = 0; i < 5; i++)
		loop_turn(loop, 0);
	assert_int_equal(fiber_count(), 0);
	timer_stop(&far);
	loop_free(loop);
	return 0;
}

// Lets time pass, timers and fibers included; two milliseconds more, as timers are coarse.
static void pass(int64_t duration_ns)
{
	int64_t until_ns = fake.now_ns + duration_ns + 2 * MILLISECOND_NS;
	for (unsigned i = 0; i < 4 || fake.now_ns < until_ns; i++)
		loop_turn(loop, fake.now_ns < until_ns ? until_ns - fake.now_ns : 0);
}

static void expect_addresses(const struct host_name *name, unsigned count, const char *first)
{
	const struct address_book *book = host_name_addresses(name);
	assert_int_equal(address_book_count(book), count);
	struct address address = test_ip(first, 0);
	assert_true(address_book_has(book, &address));
}

static void resolves_and_refreshes(void **state)
{
	struct host_name *name = host_name_new(SLICE("app.internal"), &settings);
	assert_int_equal(host_name_state(name), HOST_NAME_NEW);
	pass(0);
	assert_int_equal(host_name_state(name), HOST_NAME_FOUND);
	assert_string_equal(dns.last, "app.internal");
	assert_int_equal(dns.deadline_ns, 5 * SECOND_NS);
	expect_addresses(name, 1, "192.0.2.1");

	// Up to a tenth before the time to live is over.
	dns.addresses[0] = "192.0.2.2";
	dns.addresses[1] = "2001:db8::2";
	pass(53 * SECOND_NS);
	assert_int_equal(dns.calls, 1);
	pass(7 * SECOND_NS);
	assert_int_equal(dns.calls, 2);
	expect_addresses(name, 2, "2001:db8::2");
	host_name_unref(name);
	pass(600 * SECOND_NS);
	assert_int_equal(dns.calls, 2);
}

static void bounds_the_time_to_live(void **state)
{
	dns.ttl_ns = MILLISECOND_NS;
	struct host_name *name = host_name_new(SLICE("app.internal"), &settings);
	pass(0);
	pass(100 * SECOND_NS);
	assert_in_range(dns.calls, 95, 115);

	dns.ttl_ns = 24 * 3600 * SECOND_NS;
	pass(2 * SECOND_NS);
	unsigned before = dns.calls;
	pass(3240 * SECOND_NS - 3 * SECOND_NS);
	assert_int_equal(dns.calls, before);
	pass(365 * SECOND_NS);
	assert_int_equal(dns.calls, before + 1);
	host_name_unref(name);
}

static void follows_a_fixed_period(void **state)
{
	struct discovery_settings often = settings;
	often.refresh_ns = 10 * SECOND_NS;
	struct host_name *name = host_name_new(SLICE("app.internal"), &often);
	pass(0);
	pass(100 * SECOND_NS);
	assert_in_range(dns.calls, 10, 13);
	host_name_unref(name);
}

static void keeps_old_addresses_through_failures(void **state)
{
	const int errors[] = {-ENOENT, -ETIMEDOUT, -EIO};
	struct host_name *name = host_name_new(SLICE("app.internal"), &settings);
	pass(0);
	for (unsigned i = 0; i < COUNT(errors); i++) {
		dns.error = errors[i];
		pass(300 * SECOND_NS);
		assert_int_equal(host_name_state(name), HOST_NAME_FOUND);
		expect_addresses(name, 1, "192.0.2.1");
	}
	// An answer without addresses is a failure too.
	dns.error = 0;
	dns.addresses[0] = NULL;
	pass(300 * SECOND_NS);
	expect_addresses(name, 1, "192.0.2.1");
	dns.addresses[0] = "192.0.2.9";
	pass(40 * SECOND_NS);
	expect_addresses(name, 1, "192.0.2.9");
	host_name_unref(name);
}

static void tries_failed_names_again_with_patience(void **state)
{
	dns.error = -ENOENT;
	struct host_name *name = host_name_new(SLICE("nowhere.internal"), &settings);
	pass(0);
	assert_int_equal(host_name_state(name), HOST_NAME_FAILED);
	assert_int_equal(dns.calls, 1);
	pass(SECOND_NS);
	assert_int_equal(dns.calls, 2); // after 1 s, 2 s, 4 s, ...
	pass(2 * SECOND_NS);
	assert_int_equal(dns.calls, 3);
	pass(600 * SECOND_NS);
	assert_in_range(dns.calls, 22, 28); // ... 30 s
	dns.error = 0;
	pass(30 * SECOND_NS);
	assert_int_equal(host_name_state(name), HOST_NAME_FOUND);
	host_name_unref(name);
}

static void shares_names_with_the_same_settings(void **state)
{
	struct discovery_settings other = settings;
	other.max_ns = 60 * SECOND_NS;
	struct host_name *a = host_name_new(SLICE("app.internal"), &settings);
	struct host_name *b = host_name_new(SLICE("app.internal"), &settings);
	struct host_name *c = host_name_new(SLICE("app.internal"), &other);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	pass(0);
	assert_int_equal(dns.calls, 2);
	host_name_unref(a);
	expect_addresses(b, 1, "192.0.2.1");
	host_name_unref(b);
	host_name_unref(c);
}

static void bounds_how_many_it_looks_up_at_once(void **state)
{
	enum { NAMES = 200 };
	static struct host_name *names[NAMES];
	dns.takes_ns = SECOND_NS;
	for (unsigned i = 0; i < NAMES; i++) {
		char text[32];
		snprintf(text, sizeof(text), "app%u.internal", i);
		names[i] = host_name_new(slice_from_string(text), &settings);
	}
	pass(10 * SECOND_NS);
	assert_int_equal(dns.calls, NAMES);
	assert_int_equal(dns.most, 64);
	for (unsigned i = 0; i < NAMES; i++) {
		assert_int_equal(host_name_state(names[i]), HOST_NAME_FOUND);
		host_name_unref(names[i]);
	}
}

static void lets_go_during_a_look_up(void **state)
{
	dns.takes_ns = SECOND_NS;
	struct host_name *name = host_name_new(SLICE("app.internal"), &settings);
	pass(0);
	assert_int_equal(dns.running, 1);
	host_name_unref(name);
	pass(10 * SECOND_NS);
	assert_int_equal(dns.calls, 1);
	assert_int_equal(dns.running, 0);

	// Before it even began.
	host_name_unref(host_name_new(SLICE("app.internal"), &settings));
	pass(10 * SECOND_NS);
}

static void stops_and_starts_again(void **state)
{
	dns.takes_ns = SECOND_NS;
	struct host_name *found = host_name_new(SLICE("app.internal"), &settings);
	pass(2 * SECOND_NS);
	struct host_name *looking = host_name_new(SLICE("b.internal"), &settings);
	pass(0);
	assert_int_equal(dns.running, 1);
	discovery_stop();
	pass(0);
	assert_int_equal(dns.running, 0);
	assert_int_equal(host_name_state(looking), HOST_NAME_NEW); // cancelled: that is no answer
	pass(600 * SECOND_NS);
	assert_int_equal(dns.calls, 2);
	expect_addresses(found, 1, "192.0.2.1");

	// Names that come and go meanwhile.
	struct host_name *new = host_name_new(SLICE("c.internal"), &settings);
	host_name_unref(host_name_new(SLICE("d.internal"), &settings));
	discovery_start(look_up, &dns);
	pass(2 * SECOND_NS);
	assert_int_equal(dns.calls, 5);
	assert_int_equal(host_name_state(looking), HOST_NAME_FOUND);
	assert_int_equal(host_name_state(new), HOST_NAME_FOUND);
	host_name_unref(found);
	host_name_unref(looking);
	host_name_unref(new);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(resolves_and_refreshes),
		TEST(bounds_the_time_to_live),
		TEST(follows_a_fixed_period),
		TEST(keeps_old_addresses_through_failures),
		TEST(tries_failed_names_again_with_patience),
		TEST(shares_names_with_the_same_settings),
		TEST(bounds_how_many_it_looks_up_at_once),
		TEST(lets_go_during_a_look_up),
		TEST(stops_and_starts_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
