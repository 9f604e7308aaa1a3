// First: the first server until it has as many requests as it may have (max_requests), then
// the second, and so on. For servers that are paid by use, or shut down while they are idle.
//
// Weights mean nothing here, but that a server of weight 0 gets no requests.
#include "upstream/balancer.h"

static struct server *choose(struct tier *tier, struct pick *pick, int64_t now_ns)
{
	for (uint32_t i = 0; i < tier->count; i++) {
		struct server *server = tier->members[i].server;
		if (server_usable(server, pick, now_ns) && server_take(server, now_ns))
			return server;
	}
	return tier_any(tier, pick, now_ns);
}

const struct balancer_type balance_first = {
	.name = "first",
	.choose = choose,
};
