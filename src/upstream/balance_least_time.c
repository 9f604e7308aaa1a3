// Least time: of two servers that are drawn by weight, the one that will probably be done
// first: the time that its answers take of late, at their peak, times the requests that it
// would have then.
//
// The latency follows a rise at once and falls slowly (server_latency_ns), so that a server
// that stalls loses its requests after the first slow answer. While a server has not answered,
// what counts is how many requests wait for it. One that is not known counts as the fastest
// until its first answer; a server that fails makes nobody wait, but rests.
#include "upstream/balance_two.h"

// Of a server that is not known: little, so that requests in flight tell such servers apart.
#define UNKNOWN_NS 1000
#define COST_MAX (UINT64_C(1) << 62)

static uint64_t cost_of(const struct member *member, int64_t now_ns)
{
	const struct server *server = member->server;
	int64_t latency_ns = server_latency_ns(server, now_ns);
	uint64_t requests = atomic_load_explicit(&server->in_flight, memory_order_relaxed) + UINT64_C(1);
	uint64_t cost;
	if (__builtin_mul_overflow((uint64_t)(latency_ns > UNKNOWN_NS ? latency_ns : UNKNOWN_NS), requests, &cost))
		cost = COST_MAX;
	return cost / member->weight;
}

static struct server *choose(struct tier *tier, struct pick *pick, int64_t now_ns)
{
	return choose_of_two(tier, cost_of, pick, now_ns);
}

const struct balancer_type balance_least_time = {
	.name = "least_time",
	.choose = choose,
};
