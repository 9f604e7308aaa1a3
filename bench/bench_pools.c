// What it costs to pick a server, by balancer and number of servers, and to take an idle
// connection and keep it again:
//
//	ninja -C build bench/bench_pools && build/bench/bench_pools
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"
#include "measure.h"
#include "net/listener.h"
#include "upstream/balancer.h"
#include "upstream/connection.h"
#include "upstream/pool.h"
#include "upstream/pool_keys.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// The shortest of many short rounds counts: other programs disturb the rest.
enum { ROUND = 4096, ROUNDS = 100 };

// A set with one pool of the given servers; weights are 1, 2, 3, 1, ...
struct bench_pool {
	struct pool_set set;
	struct pool_config config;
	struct pool_config *pointer;
	struct server_config *servers;
};

static void set_address(struct server_config *server, const struct address *address, int64_t weight)
{
	char *text = malloc(ADDRESS_TEXT_MAX);
	if (!text)
		abort();
	server->name = server->address.text = address_format(address, text);
	server->weight = weight;
	if (!endpoint_parse(server->name, 0, &server->where.endpoint))
		abort();
}

static struct pool *bench_pool_open(struct bench_pool *bench, int balance, unsigned count, struct address address)
{
	*bench = (struct bench_pool){.config = pool_config_standard, .pointer = &bench->config};
	bench->servers = calloc(count, sizeof *bench->servers);
	if (!bench->servers)
		abort();
	for (unsigned i = 0; i < count; i++) {
		set_address(&bench->servers[i], &address, 1 + i % 3);
		address_set_port(&address, (uint16_t)(address_port(&address) + 1));
	}
	bench->config.name.text = SLICE("bench");
	bench->config.balance = balance;
	bench->config.servers = (struct config_list){bench->servers, count};
	bench->set.pools = &bench->pointer;
	bench->set.count = 1;
	if (pools_activate(&bench->set) < 0)
		abort();
	return bench->config.pool;
}

static void bench_pool_close(struct bench_pool *bench)
{
	size_t count = bench->config.servers.count;
	pools_release(&bench->set);
	for (size_t i = 0; i < count; i++)
		free((char *)bench->servers[i].name.data);
	free(bench->servers);
}

// --- Picking

static void pick_once(struct pool *pool)
{
	struct pick pick;
	pick_init(&pick);
	struct server *server = pool_pick(pool, &pick);
	server_answered(server, 200, 1);
	server_end(server, SERVER_ANSWERED, FAULT_NONE);
}

static int compare_times(const void *a, const void *b)
{
	int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;
	return first < second ? -1 : first > second;
}

struct round_times {
	double shortest_ns, median_ns; // of one pick
};

static struct round_times pick_rounds(struct pool *pool)
{
	int64_t times[ROUNDS];
	for (int round = 0; round < ROUNDS; round++) {
		int64_t started = now_ns();
		for (int i = 0; i < ROUND; i++)
			pick_once(pool);
		times[round] = now_ns() - started;
	}
	qsort(times, ROUNDS, sizeof times[0], compare_times);
	return (struct round_times){(double)times[0] / ROUND, (double)times[ROUNDS / 2] / ROUND};
}

static double pick_ns(struct pool *pool)
{
	return pick_rounds(pool).shortest_ns;
}

// Another thread, which picks from the same pool all the while.
struct rival {
	pthread_t thread;
	struct pool *pool;
	atomic_bool picks, stops;
};

static void run_rival(void *argument)
{
	struct rival *rival = argument;
	if (upstream_thread_start() < 0)
		abort();
	while (!atomic_load(&rival->stops)) {
		pick_once(rival->pool);
		atomic_store_explicit(&rival->picks, true, memory_order_relaxed);
	}
	upstream_thread_stop();
}

static void run_on(int core)
{
	cpu_set_t cores;
	CPU_ZERO(&cores);
	CPU_SET(core, &cores);
	(void)sched_setaffinity(0, sizeof cores, &cores);
}

static void *run_rival_thread(void *argument)
{
	run_on(1);
	struct kernel *kernel = kernel_linux_new();
	struct loop *loop = kernel ? loop_new(kernel) : NULL;
	if (!loop || !fiber_spawn("rival", run_rival, argument))
		abort();
	loop_run(loop);
	loop_free(loop);
	kernel_linux_free(kernel);
	return NULL;
}

static double contended_pick_ns(struct pool *pool)
{
	struct rival rival = {.pool = pool};
	if (pthread_create(&rival.thread, NULL, run_rival_thread, &rival) != 0)
		abort();
	while (!atomic_load(&rival.picks))
		sched_yield();
	// In the shortest round the rival may have been away.
	double ns = pick_rounds(pool).median_ns;
	atomic_store(&rival.stops, true);
	pthread_join(rival.thread, NULL);
	return ns;
}

static void bench_pick(int balance, unsigned count)
{
	struct bench_pool bench;
	struct address address;
	if (!address_parse_ip(SLICE("192.0.2.1"), 1024, &address))
		abort();
	struct pool *pool = bench_pool_open(&bench, balance, count, address);
	double idle_ns = pick_ns(pool);
	// Four requests under way for each part of a weight.
	unsigned held = 8 * count;
	for (unsigned i = 0; i < held; i++) {
		struct pick pick;
		pick_init(&pick);
		if (!pool_pick(pool, &pick))
			abort();
	}
	double busy_ns = pick_ns(pool);
	double contended_ns = contended_pick_ns(pool);
	printf("%-16s %4u servers  idle %7.1f ns  busy %7.1f ns  two threads %7.1f ns\n", balancer_names[balance],
	       count, idle_ns, busy_ns, contended_ns);
	bench_pool_close(&bench);
}

// --- Idle connections

static int listen_on_loopback(struct address *ret_address)
{
	struct address wanted;
	if (!address_parse_ip(SLICE("127.0.0.1"), 0, &wanted))
		abort();
	int listening = listener_bind(&wanted, 8, false);
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	if (listening < 0 || getsockname(listening, (struct sockaddr *)&name, &length) < 0)
		abort();
	address_from_sockaddr((struct sockaddr *)&name, length, ret_address);
	return listening;
}

static struct upstream_connection *connect_once(struct server *server)
{
	struct upstream_connection *connection;
	struct fault fault;
	if (server_connect(server, SECOND_NS, false, &fault, &connection) < 0)
		abort();
	return connection;
}

static void bench_connection(void)
{
	struct address address;
	struct bench_pool bench;
	int listening = listen_on_loopback(&address);
	struct server *server = pool_server(bench_pool_open(&bench, 0, 1, address), 0);
	upstream_connection_keep(connect_once(server));
	int64_t best = INT64_MAX;
	for (int round = 0; round < ROUNDS; round++) {
		int64_t started = now_ns();
		for (int i = 0; i < ROUND; i++)
			upstream_connection_keep(connect_once(server));
		int64_t took = now_ns() - started;
		best = took < best ? took : best;
	}
	printf("idle connection taken and kept: %.1f ns, of %zu bytes\n", (double)best / ROUND,
	       sizeof(struct upstream_connection));
	upstream_thread_close_idle();
	bench_pool_close(&bench);
	close(listening);
}

static void run(void *argument)
{
	static const unsigned counts[] = {1, 3, 10, 100, 1000};
	if (upstream_thread_start() < 0)
		abort();
	for (int balance = 0; balancer_types[balance]; balance++)
		for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++)
			bench_pick(balance, counts[i]);
	bench_connection();
	upstream_thread_stop();
}

int main(void)
{
	run_on(0);
	struct kernel *kernel = kernel_linux_new();
	struct loop *loop = kernel ? loop_new(kernel) : NULL;
	if (!loop || !fiber_spawn("bench", run, NULL))
		return 1;
	loop_run(loop);
	loop_free(loop);
	kernel_linux_free(kernel);
	return 0;
}
