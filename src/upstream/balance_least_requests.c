// Least requests: the server with the fewest requests in flight for its weight. With more
// servers than can be looked at in time (LOOKED_AT_MAX), the best of so many in a row, from
// another one on for each request.
//
// Among equals the turn of weighted round robin decides, so that servers that are all idle
// share as they should. Choosing and counting are one step: when another thread counts a
// request in between, this one looks again.
#include "upstream/balancer.h"

enum { LOOKS_MAX = 8, LOOKED_AT_MAX = 64 };

struct choice {
	struct server *server;
	uint32_t in_flight;
	uint64_t load;
};

// The least loaded of `best` and the members from `first` up to `end`.
static struct choice look_at(const struct member *first, const struct member *end, struct pick *pick, int64_t now_ns,
			     struct choice best)
{
	for (const struct member *member = first; member < end && best.load > 0; member++) {
		uint32_t in_flight = atomic_load_explicit(&member->server->in_flight, memory_order_relaxed);
		uint64_t load = in_flight * member->load;
		if (load < best.load && server_usable(member->server, pick, now_ns))
			best = (struct choice){member->server, in_flight, load};
	}
	return best;
}

static struct choice look(const struct tier *tier, uint32_t first, struct pick *pick, int64_t now_ns)
{
	const struct member *members = tier->members;
	uint32_t count = tier->count < LOOKED_AT_MAX ? tier->count : LOOKED_AT_MAX;
	uint32_t to_end = tier->count - first < count ? tier->count - first : count;
	struct choice none = {.load = UINT64_MAX};
	struct choice best = look_at(members + first, members + first + to_end, pick, now_ns, none);
	return look_at(members, members + (count - to_end), pick, now_ns, best);
}

static struct server *choose(struct tier *tier, struct pick *pick, int64_t now_ns)
{
	uint32_t first = tier_turn(tier);
	for (unsigned i = 0; i < LOOKS_MAX; i++) {
		struct choice best = look(tier, first, pick, now_ns);
		if (!best.server)
			break;
		if (server_take_at(best.server, best.in_flight, now_ns))
			return best.server;
	}
	// Other threads are always quicker: then any of the least loaded is as good.
	struct choice best = look(tier, first, pick, now_ns);
	return best.server && server_take(best.server, now_ns) ? best.server : tier_any(tier, pick, now_ns);
}

const struct balancer_type balance_least_requests = {
	.name = "least_requests",
	.choose = choose,
};
