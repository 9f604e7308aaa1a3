// Least requests: the server with the fewest requests in flight for its weight.
//
// Among equals the turn of weighted round robin decides, so that servers that are all idle
// share as they should. Choosing and counting are one step: when another thread counts a
// request in between, this one looks again.
#include "upstream/balancer.h"

enum { LOOKS_MAX = 8 };

struct choice {
	const struct member *member;
	uint32_t in_flight;
};

static bool is_less(const struct tier *tier, const struct choice *a, const struct choice *b)
{
	if (tier->weights_equal)
		return a->in_flight < b->in_flight;
	return (uint64_t)a->in_flight * b->member->weight < (uint64_t)b->in_flight * a->member->weight;
}

static struct choice look(const struct tier *tier, uint32_t first, const struct pick *pick, int64_t now_ns)
{
	struct choice best = {0};
	for (uint32_t i = 0, at = first; i < tier->count; i++, at = at + 1 < tier->count ? at + 1 : 0) {
		const struct member *member = &tier->members[at];
		if (!server_usable(member->server, pick, now_ns))
			continue;
		struct choice choice = {member, atomic_load_explicit(&member->server->in_flight, memory_order_relaxed)};
		if (!best.member || is_less(tier, &choice, &best))
			best = choice;
		if (best.in_flight == 0)
			break;
	}
	return best;
}

static struct server *choose(struct tier *tier, const struct pick *pick, int64_t now_ns)
{
	uint32_t first = tier_turn(tier);
	for (unsigned i = 0; i < LOOKS_MAX; i++) {
		struct choice best = look(tier, first, pick, now_ns);
		if (!best.member)
			return NULL;
		if (server_take_at(best.member->server, best.in_flight, now_ns))
			return best.member->server;
	}
	// Other threads are always quicker: then any of the least loaded is as good.
	struct choice best = look(tier, first, pick, now_ns);
	return best.member && server_take(best.member->server, now_ns) ? best.member->server
								       : tier_any(tier, pick, now_ns);
}

const struct balancer_type balance_least_requests = {
	.name = "least_requests",
	.choose = choose,
};
