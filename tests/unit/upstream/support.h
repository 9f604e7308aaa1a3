// What the tests of upstream share: pools without a configuration file, and a loop over the
// real kernel whose clock can be put forward.
#ifndef USHER_TESTS_UPSTREAM_SUPPORT_H
#define USHER_TESTS_UPSTREAM_SUPPORT_H

#include "../net/support.h"
#include "base/check.h"
#include "upstream/balancer.h"
#include "upstream/connection.h"
#include "upstream/discovery.h"
#include "upstream/pool.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { TEST_POOLS_MAX = 4 };

// Pools as a configuration would have them. Zeroed to begin with.
struct test_pools {
	struct pool_set set;
	struct pool_config configs[TEST_POOLS_MAX];
	struct pool_config *pointers[TEST_POOLS_MAX];
};

// Adds a pool, with the defaults of a configuration; a test may change them before
// pools_activate. Servers are separated by blanks; "*7" behind one is its weight, "!" makes
// it a backup: "10.0.0.1:80 10.0.0.2:80*2 10.0.0.3:80!".
struct pool_config *test_pool_add(struct test_pools *pools, const char *name, const struct balancer_type *balancer,
				  const char *servers);
void test_pools_free(struct test_pools *pools);

// Activates the pools; a failure fails the test.
void test_pools_activate(struct test_pools *pools);

// The counters of a server now.
struct server_status test_status(const struct server *server);

// A loop over the real kernel; test_skip puts its clock forward, from the next turn on.
struct test_loop {
	struct kernel *kernel;
	struct loop *loop;
};
void test_loop_new(struct test_loop *loop);
void test_loop_free(struct test_loop *loop);
void test_skip(int64_t duration_ns);

// Runs `run` in a fiber of a new loop, with this thread's part of upstream started, to its
// end; nothing may be left behind.
void test_run_upstream(fiber_function *run, void *argument);

// Lets the loop turn until the kernel's news of loopback sockets are handed out.
void test_settle(void);

#endif
