#include "base/hash.h"
#include "upstream/balance_hash.h"

#include <errno.h>
#include <stdlib.h>

// Points of a server whose weight is a power of two and the largest; others have less, in
// proportion. With 160, shares are within some 8% of what they should be (one standard
// deviation); a table of maglev is exacter.
enum { POINTS_MAX = 320 };

struct point {
	uint64_t where;
	uint16_t member;
};

static int point_compare(const void *a, const void *b)
{
	const struct point *first = a, *second = b;
	if (first->where != second->where)
		return first->where < second->where ? -1 : 1;
	return first->member - second->member;
}

// What weights are measured by: the largest, up to the next power of two, so that it hardly
// ever changes when servers come and go.
static uint32_t scale_of(const struct tier *tier)
{
	uint32_t scale = 1;
	for (uint32_t i = 0; i < tier->count; i++)
		while (scale < tier->members[i].weight)
			scale *= 2;
	return scale;
}

static uint32_t points_of(const struct member *member, uint32_t scale)
{
	uint32_t points = (POINTS_MAX * member->weight + scale / 2) / scale;
	return points > 0 ? points : 1;
}

// A server's points depend on its name alone, and on how many it has: one that gets more keeps
// those that it had.
static struct point *lay_out(const struct tier *tier, uint32_t *ret_count)
{
	uint32_t all = 0, count = 0, scale = scale_of(tier);
	for (uint32_t i = 0; i < tier->count; i++)
		all += points_of(&tier->members[i], scale);
	struct point *points = calloc(all, sizeof(*points));
	if (!points)
		return NULL;
	for (uint32_t i = 0; i < tier->count; i++) {
		uint64_t hash = hash_fast(server_name(tier->members[i].server));
		uint32_t own = points_of(&tier->members[i], scale);
		for (uint32_t j = 0; j < own; j++)
			points[count++] = (struct point){hash_number(hash + hash_number(j)), (uint16_t)i};
	}
	qsort(points, count, sizeof(*points), point_compare);
	*ret_count = count;
	return points;
}

// Where to begin for each of the highest bits of a hash: about one step away.
static void index_points(struct hash_table *table)
{
	uint32_t point = 0;
	for (uint32_t start = 0; start < UINT32_C(1) << table->start_bits; start++) {
		uint64_t low = (uint64_t)start << (64 - table->start_bits);
		while (point < table->place_count && table->points[point] < low)
			point++;
		table->starts[start] = point;
	}
}

int hash_ring_build(struct hash_table *table, const struct tier *tier)
{
	struct point *points = lay_out(tier, &table->place_count);
	if (!points)
		return -ENOMEM;
	for (table->start_bits = 4; UINT32_C(1) << table->start_bits < table->place_count; table->start_bits++)
		;
	table->places = malloc(table->place_count * sizeof(*table->places));
	table->points = malloc(table->place_count * sizeof(*table->points));
	table->starts = malloc((sizeof(*table->starts)) << table->start_bits);
	bool whole = table->places && table->points && table->starts;
	for (uint32_t i = 0; whole && i < table->place_count; i++) {
		table->places[i] = points[i].member;
		table->points[i] = points[i].where;
	}
	free(points);
	if (!whole)
		return -ENOMEM;
	index_points(table);
	return 0;
}

uint32_t hash_ring_place(const struct hash_table *table, uint64_t hash)
{
	uint32_t place = table->starts[hash >> (64 - table->start_bits)];
	while (place < table->place_count && table->points[place] < hash)
		place++;
	return place < table->place_count ? place : 0;
}
