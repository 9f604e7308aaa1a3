#include "upstream/balancer.h"

#include "base/random.h"

#include <errno.h>
#include <stdlib.h>

const struct balancer_type *const balancer_types[] = {
	&balance_round_robin,
	&balance_least_requests,
	&balance_least_time,
	&balance_random,
	&balance_hash,
	&balance_first,
	NULL,
};
const char *const balancer_names[] = {"round_robin", "least_requests", "least_time", "random", "hash", "first", NULL};

// Leaves room for millions of requests in flight.
#define LOAD_MAX (UINT64_C(1) << 40)

// --- Taking

// Who moves the end of a rest on has the trial that finds out whether the server is back; to
// all others it rests until the trial ends, or takes so long that another one is due.
static bool claim_trial(struct server *server, int64_t until_ns, int64_t now_ns)
{
	uint32_t rests = atomic_load_explicit(&server->rests, memory_order_relaxed);
	int64_t next_ns = now_ns + server_rest_ns(server, rests);
	if (!atomic_compare_exchange_strong_explicit(&server->rest_until_ns, &until_ns, next_ns, memory_order_relaxed,
						     memory_order_relaxed))
		return false;
	atomic_store_explicit(&server->trial, true, memory_order_relaxed);
	return true;
}

// A server whose rest is over gets one request as a trial.
static bool pass_rest(struct server *server, int64_t now_ns)
{
	int64_t until_ns = atomic_load_explicit(&server->rest_until_ns, memory_order_relaxed);
	return until_ns == 0 || (now_ns >= until_ns && claim_trial(server, until_ns, now_ns));
}

// Counts first, and takes it back where that was one too many: so the bound holds over all
// threads.
static bool count_in(struct server *server)
{
	uint32_t before = atomic_fetch_add_explicit(&server->in_flight, 1, memory_order_relaxed);
	if (before < atomic_load_explicit(&server->max_requests, memory_order_relaxed))
		return true;
	atomic_fetch_sub_explicit(&server->in_flight, 1, memory_order_relaxed);
	return false;
}

bool server_take_resting(struct server *server, int64_t until_ns, int64_t now_ns)
{
	if (!claim_trial(server, until_ns, now_ns))
		return false;
	atomic_fetch_add_explicit(&server->in_flight, 1, memory_order_relaxed);
	return true;
}

bool server_take(struct server *server, int64_t now_ns)
{
	if (!count_in(server))
		return false;
	if (pass_rest(server, now_ns))
		return true;
	atomic_fetch_sub_explicit(&server->in_flight, 1, memory_order_relaxed);
	return false;
}

bool server_take_at(struct server *server, uint32_t expected, int64_t now_ns)
{
	if (!atomic_compare_exchange_strong_explicit(&server->in_flight, &expected, expected + 1, memory_order_relaxed,
						     memory_order_relaxed))
		return false;
	if (pass_rest(server, now_ns))
		return true;
	atomic_fetch_sub_explicit(&server->in_flight, 1, memory_order_relaxed);
	return false;
}

// --- Holds

// A server in a slow start is as likely to be taken as it is warm, from a tenth up.
static bool is_lucky(const struct server *server, int64_t now_ns)
{
	int64_t whole_ns = atomic_load_explicit(&server->settings.slow_start_ns, memory_order_relaxed);
	int64_t from_ns = atomic_load_explicit(&server->warm_from_ns, memory_order_relaxed);
	int64_t passed_ns = from_ns == 0 ? 0 : now_ns - from_ns;
	if (passed_ns >= whole_ns)
		return true;
	int64_t warm_ns = passed_ns > whole_ns / 10 ? passed_ns : whole_ns / 10;
	return (int64_t)random_number_below((uint64_t)whole_ns) < warm_ns;
}

// The first pick begins it, the first one behind its end ends it.
static void turn_warm(struct server *server, int64_t now_ns)
{
	int64_t from_ns = atomic_load_explicit(&server->warm_from_ns, memory_order_relaxed);
	if (from_ns == 0)
		atomic_compare_exchange_strong_explicit(&server->warm_from_ns, &from_ns, now_ns, memory_order_relaxed,
							memory_order_relaxed);
	else if (now_ns - from_ns >= atomic_load_explicit(&server->settings.slow_start_ns, memory_order_relaxed))
		atomic_fetch_and_explicit(&server->holds, ~(uint32_t)HOLD_WARMING, memory_order_relaxed);
}

bool server_passes(const struct server *server, struct pick *pick, uint32_t holds, int64_t now_ns)
{
	if (holds & (HOLD_DISABLED | HOLD_SLOW))
		return false;
	if (holds & HOLD_DRAINING && !pick->sticks)
		return false;
	if (holds & HOLD_ILL && atomic_load_explicit(&server->ill, memory_order_relaxed) & pick->checks)
		return false;
	if (holds & HOLD_UNPROVEN && !pick->takes_unproven &&
	    atomic_load_explicit(&server->unproven, memory_order_relaxed) & pick->checks) {
		pick->met_unproven = true;
		return false;
	}
	if (!(holds & HOLD_WARMING))
		return true;
	turn_warm((struct server *)server, now_ns);
	return pick->takes_cold || is_lucky(server, now_ns);
}

// --- Turns

uint32_t tier_turn(struct tier *tier)
{
	uint32_t turn = atomic_fetch_add_explicit(&tier->turn, 1, memory_order_relaxed);
	return tier->turns[turn % tier->turn_count];
}

static struct server *any(struct tier *tier, struct pick *pick, int64_t now_ns)
{
	uint64_t weights = 0;
	for (uint32_t i = 0; i < tier->count; i++)
		if (server_usable(tier->members[i].server, pick, now_ns))
			weights += tier->members[i].weight;
	if (weights == 0)
		return NULL;

	// Servers may begin to rest while this looks: then the chosen one is the last usable.
	uint64_t place = random_number_below(weights);
	struct server *chosen = NULL;
	for (uint32_t i = 0; i < tier->count; i++) {
		const struct member *member = &tier->members[i];
		if (!server_usable(member->server, pick, now_ns))
			continue;
		chosen = member->server;
		if (place < member->weight && server_take(chosen, now_ns))
			return chosen;
		place -= place < member->weight ? place : member->weight;
	}
	return chosen && server_take(chosen, now_ns) ? chosen : NULL;
}

struct server *tier_any(struct tier *tier, struct pick *pick, int64_t now_ns)
{
	pick->takes_cold = true;
	struct server *server = any(tier, pick, now_ns);
	pick->takes_cold = false;
	return server;
}

// --- Rounds

static uint32_t greatest_common_divisor(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

struct turn {
	double place; // in the round, 0 to 1
	uint16_t member;
};

static int turn_compare(const void *a, const void *b)
{
	const struct turn *first = a, *second = b;
	if (first->place != second->place)
		return first->place < second->place ? -1 : 1;
	return first->member - second->member;
}

// How many turns each member has in a round: its weight, divided by what all have in common,
// or scaled down where the round would be too long.
static uint32_t turns_of(const struct member *member, uint32_t divisor, uint64_t weights)
{
	if (weights / divisor <= TIER_TURNS_MAX)
		return member->weight / divisor;
	uint32_t turns = (uint32_t)(member->weight * (uint64_t)(TIER_TURNS_MAX / 2) / weights);
	return turns > 0 ? turns : 1;
}

// Each member's turns lie evenly in the round, those of different members shifted against
// each other: for equal weights that is their order, for others the smoothest mix. Room for
// them is made here; NULL when memory is out.
static struct turn *lay_out(const struct tier *tier, uint32_t divisor, uint64_t weights, uint32_t *ret_count)
{
	uint32_t all = 0, count = 0;
	for (uint32_t i = 0; i < tier->count; i++)
		all += turns_of(&tier->members[i], divisor, weights);
	struct turn *turns = calloc(all, sizeof(*turns));
	if (!turns)
		return NULL;
	for (uint32_t i = 0; i < tier->count; i++) {
		uint32_t own = turns_of(&tier->members[i], divisor, weights);
		double shift = (i + 0.5) / tier->count;
		for (uint32_t j = 0; j < own; j++)
			turns[count++] = (struct turn){(j + shift) / own, (uint16_t)i};
	}
	qsort(turns, count, sizeof(*turns), turn_compare);
	*ret_count = count;
	return turns;
}

// The least number that all weights divide, so that loads compare exactly; where that is too
// large, one that makes the error negligible.
static uint64_t full_load(const struct tier *tier)
{
	uint64_t multiple = 1;
	for (uint32_t i = 0; i < tier->count; i++) {
		uint32_t weight = tier->members[i].weight;
		multiple *= weight / greatest_common_divisor((uint32_t)(multiple % weight), weight);
		if (multiple > LOAD_MAX)
			return LOAD_MAX;
	}
	return multiple;
}

int tier_init(struct tier *tier, struct member *members, uint32_t count)
{
	*tier = (struct tier){.members = members, .count = count};
	uint64_t weights = 0;
	uint32_t divisor = 0;
	uint64_t load = full_load(tier);
	for (uint32_t i = 0; i < count; i++) {
		weights += members[i].weight;
		divisor = greatest_common_divisor(members[i].weight, divisor);
		members[i].load = load / members[i].weight;
	}
	if (count == 0)
		return 0;

	struct turn *turns = lay_out(tier, divisor, weights, &tier->turn_count);
	if (!turns)
		return -ENOMEM;
	tier->turns = calloc(tier->turn_count, sizeof(*tier->turns));
	for (uint32_t i = 0; tier->turns && i < tier->turn_count; i++)
		tier->turns[i] = turns[i].member;
	free(turns);
	return tier->turns ? 0 : -ENOMEM;
}

void tier_fini(struct tier *tier)
{
	free(tier->members);
	free(tier->turns);
	*tier = (struct tier){0};
}
