#include "base/hash.h"
#include "upstream/balance_hash.h"

#include <errno.h>
#include <stdlib.h>

// Prime numbers. With so many places for each server, shares are exact, and fewer than one key
// in a hundred moves without need when a server comes or goes (tests/unit/upstream/test_spread.c).
static const uint32_t sizes[] = {65537, 262147, 1048573};

enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), PLACES_EACH = 600 };

#define FREE_PLACE UINT16_MAX

// A server's own order of all places: it begins at `offset` and goes on by `skip`.
struct order {
	uint32_t next, skip;
	double due; // places that its weight entitles it to and that it has not taken
};

static uint32_t size_for(const struct tier *tier)
{
	for (unsigned i = 0; i < SIZES; i++)
		if (sizes[i] / PLACES_EACH >= tier->count)
			return sizes[i];
	return sizes[SIZES - 1];
}

// By the name alone: the same in every usher, and after every restart.
static struct order order_of(const struct member *member, uint32_t size)
{
	uint64_t hash = hash_fast(server_name(member->server));
	return (struct order){
		.next = (uint32_t)(hash % size),
		.skip = (uint32_t)(hash_number(hash) % (size - 1)) + 1,
	};
}

static void take_next(struct hash_table *table, struct order *order, uint16_t member)
{
	while (table->places[order->next] != FREE_PLACE)
		order->next = (order->next + order->skip) % table->place_count;
	table->places[order->next] = member;
}

// Members take places in turn, each the next free one of its own order, as many in a round as
// its weight says.
static void fill(struct hash_table *table, const struct tier *tier, struct order *orders)
{
	uint32_t heaviest = 1, taken = 0;
	for (uint32_t i = 0; i < tier->count; i++)
		heaviest = tier->members[i].weight > heaviest ? tier->members[i].weight : heaviest;
	for (;;)
		for (uint32_t i = 0; i < tier->count; i++) {
			orders[i].due += (double)tier->members[i].weight / heaviest;
			if (orders[i].due < 1)
				continue;
			orders[i].due -= 1;
			take_next(table, &orders[i], (uint16_t)i);
			if (++taken == table->place_count)
				return;
		}
}

int hash_maglev_build(struct hash_table *table, const struct tier *tier)
{
	table->place_count = size_for(tier);
	table->places = malloc(table->place_count * sizeof(*table->places));
	struct order *orders = calloc(tier->count, sizeof(*orders));
	if (!table->places || !orders) {
		free(orders);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < table->place_count; i++)
		table->places[i] = FREE_PLACE;
	for (uint32_t i = 0; i < tier->count; i++)
		orders[i] = order_of(&tier->members[i], table->place_count);
	fill(table, tier, orders);
	free(orders);
	return 0;
}
