// Each allocation of the resolver and of copying fails in turn: an error, and nothing left
// behind.
#include "dns_server.h"
#include "fail_alloc.h"
#include "net/resolver.h"
#include "support.h"

#include <stdio.h>
#include <sys/resource.h>

static void look_up(void *argument)
{
	struct dns_server server;
	char text[32];
	unsigned found_count = 0, failures = 0;
	dns_server_start(&server);
	snprintf(text, sizeof(text), "127.0.0.1:%u", server.port);
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		struct resolver *resolver = resolver_new(text);
		failures += resolver == NULL;
		if (resolver == NULL)
			continue;
		struct resolution found;
		// Over TCP too, which needs a fiber.
		int failed = resolver_lookup(resolver, "many.test", loop_now() + 300 * MILLISECOND_NS, &found);
		assert_true(failed == 0 || failed == -ENOMEM || failed == -EIO || failed == -ETIMEDOUT);
		found_count += failed == 0;
		failures += failed != 0;
		resolver_free(resolver);
		fiber_sleep("test", loop_now() + MILLISECOND_NS); // what it deferred
	}
	assert_true(found_count > 0);
	assert_true(failures >= 2); // a socket that fails is tried again
	dns_server_stop(&server);
}

static void the_resolver_reports_memory_that_is_out(void **state)
{
	test_run(look_up, NULL);
}

static void splice(void *argument)
{
	struct tcp_stream feeder, from, to, sink;
	test_pair(&feeder, &from);
	test_pair(&to, &sink);
	struct rlimit before, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
	unsigned refused = 0;
	block_trim();
	for (unsigned n = 0; fail_alloc_round(n); n++) {
		uint64_t moved = 77;
		bool read_failed = true;
		test_send(&feeder, "bytes");
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		int failed = stream_splice(&from.stream, &to.stream, 5, PATIENCE_NS, &moved, &read_failed);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		assert_false(read_failed);
		assert_true(failed == 0 || failed == -ENOMEM);
		assert_int_equal(moved, failed ? 0 : 5);
		refused += failed != 0;
		test_expect(failed ? &from : &sink, "bytes");
	}
	assert_int_equal(refused, 1);
	stream_close(&feeder.stream);
	stream_close(&from.stream);
	stream_close(&to.stream);
	stream_close(&sink.stream);
}

static void copying_reports_memory_that_is_out(void **state)
{
	test_run(splice, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_resolver_reports_memory_that_is_out),
		cmocka_unit_test(copying_reports_memory_that_is_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
