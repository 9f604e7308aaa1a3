#include "upstream/balance_two.h"

#include "base/random.h"

enum { DRAWS_MAX = 8 };

// As likely as its weight says: a turn of weighted round robin by chance.
static const struct member *draw(const struct tier *tier)
{
	return &tier->members[tier->turns[random_number_below(tier->turn_count)]];
}

// Draws until one is usable and is not `other`; NULL after so many.
static const struct member *draw_usable(const struct tier *tier, const struct member *other, struct pick *pick,
					int64_t now_ns)
{
	for (unsigned i = 0; i < DRAWS_MAX; i++) {
		const struct member *member = draw(tier);
		if (member != other && server_usable(member->server, pick, now_ns))
			return member;
	}
	return NULL;
}

struct server *choose_of_two(struct tier *tier, member_cost *cost, struct pick *pick, int64_t now_ns)
{
	const struct member *first = draw_usable(tier, NULL, pick, now_ns);
	const struct member *second = first && tier->count > 1 ? draw_usable(tier, first, pick, now_ns) : NULL;
	if (second && cost(second, now_ns) < cost(first, now_ns))
		first = second;
	if (first && server_take(first->server, now_ns))
		return first->server;
	return tier_any(tier, pick, now_ns);
}
