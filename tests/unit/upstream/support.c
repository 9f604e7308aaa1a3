#include "support.h"

#include "upstream/pool_keys.h"

#include <stdlib.h>
#include <string.h>

// Puts a NUL behind each word.
static size_t split(char *text, char *words[POOL_SERVERS_MAX])
{
	size_t count = 0;
	for (char *at = text; *at;) {
		while (*at == ' ')
			*at++ = '\0';
		if (!*at)
			break;
		assert_true(count < POOL_SERVERS_MAX);
		words[count++] = at;
		while (*at && *at != ' ')
			at++;
	}
	return count;
}

static void server_from(struct server_config *server, char *word)
{
	size_t length = strlen(word);
	if (word[length - 1] == '!') {
		server->backup = true;
		length--;
	}
	word[length] = '\0';
	server->weight = 1;
	char *star = strchr(word, '*');
	if (star) {
		server->weight = strtol(star + 1, NULL, 10);
		length = (size_t)(star - word);
	}
	server->address.text = server->name = server->authority = slice_from(word, length);
	assert_null(server_address_parse(server->name, &server->where));
	server->protocol = server->where.is_http2 ? SERVER_HTTP2 : SERVER_HTTP1;
}

struct pool_config *test_pool_add(struct test_pools *pools, const char *name, const struct balancer_type *balancer,
				  const char *servers)
{
	assert_true(pools->set.count < TEST_POOLS_MAX);
	struct pool_config *pool = &pools->configs[pools->set.count];
	*pool = pool_config_standard;
	pool->name.text = slice_from_string(name);
	while (balancer_types[pool->balance] != balancer)
		pool->balance++;

	char *words[POOL_SERVERS_MAX];
	char *text = strdup(servers);
	assert_non_null(text);
	size_t count = split(text, words);
	struct server_config *items = calloc(count, sizeof(*items));
	assert_non_null(items);
	for (size_t i = 0; i < count; i++)
		server_from(&items[i], words[i]);
	// The first server's name begins where the text does.
	pool->servers = (struct config_list){items, count};
	pools->pointers[pools->set.count++] = pool;
	pools->set.pools = pools->pointers;
	return pool;
}

void test_pools_activate(struct test_pools *pools)
{
	assert_int_equal(pools_activate(&pools->set), 0);
}

void test_pools_free(struct test_pools *pools)
{
	pools_release(&pools->set);
	for (size_t i = 0; i < pools->set.count; i++) {
		struct server_config *servers = pools->configs[i].servers.items;
		free((char *)servers[0].name.data);
		free(servers);
	}
	*pools = (struct test_pools){0};
}

struct server_status test_status(const struct server *server)
{
	struct server_status status;
	server_read_status(server, &status);
	return status;
}

static int64_t skipped_ns;
static int64_t (*real_now)(struct kernel *kernel);

static int64_t skipping_now(struct kernel *kernel)
{
	return real_now(kernel) + skipped_ns;
}

void test_loop_new(struct test_loop *loop)
{
	loop->kernel = kernel_linux_new();
	assert_non_null(loop->kernel);
	real_now = loop->kernel->now;
	loop->kernel->now = skipping_now;
	loop->loop = loop_new(loop->kernel);
	assert_non_null(loop->loop);
}

void test_loop_free(struct test_loop *loop)
{
	loop_free(loop->loop);
	kernel_linux_free(loop->kernel);
	skipped_ns = 0;
}

void test_skip(int64_t duration_ns)
{
	skipped_ns += duration_ns;
	fiber_yield();
	fiber_sleep("test", loop_now() + MILLISECOND_NS);
}

void test_settle(void)
{
	for (int i = 0; i < 3; i++)
		fiber_sleep("test", loop_now() + 2 * MILLISECOND_NS);
}

struct run {
	fiber_function *run;
	void *argument;
};

static void run_started(void *argument)
{
	const struct run *run = argument;
	assert_int_equal(upstream_thread_start(), 0);
	run->run(run->argument);
	upstream_thread_stop();
}

void test_run_upstream(fiber_function *run, void *argument)
{
	struct test_loop loop;
	test_loop_new(&loop);
	struct run both = {run, argument};
	assert_non_null(fiber_spawn("test", run_started, &both));
	loop_run(loop.loop);
	assert_int_equal(fiber_count(), 0);
	block_trim();
	test_loop_free(&loop);
}
