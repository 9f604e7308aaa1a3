// Weighted round robin: each server in its turn, heavier ones more often, evenly mixed.
//
// The round is laid out when the pool is made; choosing takes the next turn by one atomic
// addition, so that the counts are exact over all threads. The turns of a server that is
// not usable are passed over, which leaves the others their shares.
#include "upstream/balancer.h"

enum { TURNS_TRIED = 64 };

static struct server *choose(struct tier *tier, struct pick *pick, int64_t now_ns)
{
	uint32_t tries = tier->turn_count < TURNS_TRIED ? tier->turn_count : TURNS_TRIED;
	for (uint32_t i = 0; i < tries; i++) {
		struct server *server = tier->members[tier_turn(tier)].server;
		if (server_usable(server, pick, now_ns) && server_take(server, now_ns))
			return server;
	}
	// Hardly any server is usable, or a long run of turns belongs to one that is not.
	return tier_any(tier, pick, now_ns);
}

const struct balancer_type balance_round_robin = {
	.name = "round_robin",
	.choose = choose,
};
