// Hash: the server of the request's key, as long as it takes requests; else the next one in the
// key's row of servers.
//
// With a bound, a server that has more than its share of all requests in flight, times the
// bound, is passed over: so a key that everybody asks for cannot bury its server (Mirrokni,
// Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2018).
#include "upstream/balance_hash.h"

#include "base/check.h"
#include "base/hash.h"
#include "upstream/registry.h"

#include <errno.h>
#include <stdlib.h>

enum { PROBES_MAX = 64, PERCENT = 100 };

struct hash_state {
	struct hash_table table;
	enum hash_method method;
	uint32_t bound_percent; // 0: none
	uint64_t weights;
};

static int init(struct tier *tier, const struct balance_settings *settings)
{
	struct hash_state *state = calloc(1, sizeof(*state));
	if (!state)
		return -ENOMEM;
	tier->state = state;
	state->method = (enum hash_method)settings->hash_method;
	state->bound_percent = settings->hash_bound_percent;
	for (uint32_t i = 0; i < tier->count; i++)
		state->weights += tier->members[i].weight;
	return state->method == HASH_MAGLEV ? hash_maglev_build(&state->table, tier)
					    : hash_ring_build(&state->table, tier);
}

static void fini(struct tier *tier)
{
	struct hash_state *state = tier->state;
	free(state->table.places);
	free(state->table.points);
	free(state->table.starts);
	free(state);
}

// Of all requests in flight to the pool, this one included, its part by weight times the bound,
// rounded up.
static bool is_within_bound(const struct hash_state *state, const struct member *member)
{
	if (state->bound_percent == 0)
		return true;
	const struct server *server = member->server;
	uint64_t all = atomic_load_explicit(&server->family->in_flight, memory_order_relaxed) + UINT64_C(1);
	uint64_t own = atomic_load_explicit(&server->in_flight, memory_order_relaxed);
	return own * state->weights * PERCENT < all * member->weight * state->bound_percent;
}

// The places of a key, one for each probe. Those of maglev are drawn anew, so that the keys of
// a server that is passed over spread over all others; those of a ring follow each other.
static uint32_t place_of(const struct hash_state *state, uint64_t hash, uint32_t first, uint32_t probe)
{
	const struct hash_table *table = &state->table;
	if (state->method == HASH_RING)
		return (first + probe) % table->place_count;
	uint64_t number = probe == 0 ? hash : hash_number(hash + probe);
	return (uint32_t)(((__uint128_t)number * table->place_count) >> 64);
}

static struct server *choose(struct tier *tier, struct pick *pick, int64_t now_ns)
{
	const struct hash_state *state = tier->state;
	uint32_t first = state->method == HASH_RING ? hash_ring_place(&state->table, pick->hash) : 0;
	for (uint32_t probe = 0; probe < PROBES_MAX; probe++) {
		uint32_t place = place_of(state, pick->hash, first, probe);
		const struct member *member = &tier->members[state->table.places[place]];
		if (server_usable(member->server, pick, now_ns) && is_within_bound(state, member) &&
		    server_take(member->server, now_ns))
			return member->server;
	}
	// Hardly any server is usable.
	return tier_any(tier, pick, now_ns);
}

const struct balancer_type balance_hash = {
	.name = "hash",
	.init = init,
	.fini = fini,
	.choose = choose,
};
