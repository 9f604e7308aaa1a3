// Random, the better of two: two servers by chance, of which the one with fewer requests in
// flight for its weight gets the request (Mitzenmacher, "The Power of Two Choices in
// Randomized Load Balancing", 2001).
//
// Looks at two servers, however many there are, and threads that choose at once do not all
// choose the same one.
#include "upstream/balance_two.h"

static uint64_t load_of(const struct member *member, int64_t now_ns)
{
	return atomic_load_explicit(&member->server->in_flight, memory_order_relaxed) * member->load;
}

static struct server *choose(struct tier *tier, struct pick *pick, int64_t now_ns)
{
	return choose_of_two(tier, load_of, pick, now_ns);
}

const struct balancer_type balance_random = {
	.name = "random",
	.choose = choose,
};
