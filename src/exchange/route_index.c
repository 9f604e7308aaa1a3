#include "exchange/route_index.h"

#include "base/check.h"
#include "base/hash.h"

#include <stdlib.h>

// A point in the tree: the path down to here, without a slash behind it.
struct node {
	uint32_t parent;
	uint32_t depth; // prefixes on the way down to here, its own included
	struct slice segment;
	const uint32_t *prefix; // routes for everything below: "/api/"
	const uint32_t *exact;	// routes for just this: "/api"
};

struct route_index {
	struct node *nodes; // [0] is the root: its prefix is "/"
	uint32_t node_count;
	uint32_t *slots; // index of a node; 0 is free: nothing leads to the root
	size_t mask;
	const uint32_t *regexes;
	const uint32_t *any;
};

static const uint32_t no_routes[] = {ROUTE_NONE};

static size_t segment_slot(const struct route_index *index, uint32_t parent, struct slice segment)
{
	return (hash_fast(segment) ^ hash_number(parent)) & index->mask;
}

// The child of a node, or 0 and the free slot for it.
static uint32_t find_child(const struct route_index *index, uint32_t parent, struct slice segment, size_t *ret_slot)
{
	for (size_t slot = segment_slot(index, parent, segment);; slot = (slot + 1) & index->mask) {
		uint32_t child = index->slots[slot];
		*ret_slot = slot;
		if (child == 0)
			return 0;
		const struct node *node = &index->nodes[child];
		if (node->parent == parent && slice_equal(node->segment, segment))
			return child;
	}
}

static void add_list(struct route_candidates *candidates, const uint32_t *list)
{
	if (*list != ROUTE_NONE)
		candidates->lists[candidates->count++] = list;
}

void route_candidates_begin(struct route_candidates *candidates, const struct route_index *index, struct slice path)
{
	candidates->count = 0;
	add_list(candidates, index->any);
	add_list(candidates, index->regexes);
	if (path.length == 0 || path.data[0] != '/')
		return;
	add_list(candidates, index->nodes[0].prefix);
	struct slice segment, rest = slice_after(path, 1);
	size_t slot;
	for (uint32_t node = 0; index->node_count > 1;) {
		bool more = slice_cut(rest, '/', &segment, &rest);
		node = find_child(index, node, segment, &slot);
		if (node == 0)
			return;
		add_list(candidates, more ? index->nodes[node].prefix : index->nodes[node].exact);
		if (!more)
			return;
	}
}

// --- Making it

// The node of an exact path or a prefix, made with all those above it where it is missing.
static uint32_t node_for(struct route_index *index, const struct route_path *path)
{
	struct slice segment, rest = slice_after(path->text, 1);
	uint32_t node = 0;
	size_t slot;
	if (path->kind == PATH_PREFIX) {
		if (rest.length == 0)
			return 0;
		rest.length--; // the slash at its end
	}
	for (bool more = true; more;) {
		more = slice_cut(rest, '/', &segment, &rest);
		uint32_t child = find_child(index, node, segment, &slot);
		if (child == 0) {
			child = index->node_count++;
			index->nodes[child] = (struct node){
				.parent = node, .segment = segment, .prefix = no_routes, .exact = no_routes};
			index->slots[slot] = child;
		}
		node = child;
	}
	return node;
}

// Where each route's number goes: lists are counted first, then laid out, then filled in.
struct list_key {
	uint32_t node;
	enum route_path_kind kind;
	uint32_t route;
};

static int compare_keys(const void *left, const void *right)
{
	const struct list_key *a = left, *b = right;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->node != b->node)
		return a->node < b->node ? -1 : 1;
	return a->route < b->route ? -1 : a->route > b->route;
}

static void set_list(struct route_index *index, const struct list_key *key, const uint32_t *list)
{
	switch (key->kind) {
	case PATH_ANY:
		index->any = list;
		return;
	case PATH_PREFIX:
		index->nodes[key->node].prefix = list;
		return;
	case PATH_EXACT:
		index->nodes[key->node].exact = list;
		return;
	case PATH_REGEX:
		index->regexes = list;
		return;
	}
}

// Sorted by list, the keys become the lists, each with an end behind it.
static void lay_out(struct route_index *index, struct list_key *keys, uint32_t count, uint32_t *room)
{
	qsort(keys, count, sizeof *keys, compare_keys);
	for (uint32_t i = 0; i < count;) {
		uint32_t first = i;
		set_list(index, &keys[i], room);
		while (i < count && keys[i].kind == keys[first].kind && keys[i].node == keys[first].node)
			*room++ = keys[i++].route;
		*room++ = ROUTE_NONE;
	}
}

static bool check_depth(struct route_index *index, const struct list_key *keys, uint32_t count, uint32_t *ret_too_deep)
{
	// A node stands behind its parent.
	for (uint32_t i = 0; i < index->node_count; i++)
		index->nodes[i].depth = (i > 0 ? index->nodes[index->nodes[i].parent].depth : 0) +
					(*index->nodes[i].prefix != ROUTE_NONE);
	for (uint32_t i = 0; i < count; i++)
		if (index->nodes[keys[i].node].depth > ROUTE_PREFIXES_MAX) {
			*ret_too_deep = keys[i].route;
			return false;
		}
	return true;
}

static size_t count_nodes(const struct route_path *const *paths, uint32_t count)
{
	size_t nodes = 1;
	for (uint32_t i = 0; i < count; i++)
		for (size_t j = 0; j < paths[i]->text.length; j++)
			nodes += paths[i]->text.data[j] == '/';
	return nodes;
}

struct route_index *route_index_new(const struct route_path *const *paths, uint32_t count, struct arena *arena,
				    uint32_t *ret_too_deep)
{
	size_t nodes = count_nodes(paths, count), slots = 4;
	while (slots < nodes * 2)
		slots *= 2;
	struct route_index *index = arena_zalloc(arena, sizeof *index);
	uint32_t *room = arena_alloc(arena, ((size_t)count * 2 + 1) * sizeof *room);
	struct list_key *keys = calloc(count + 1, sizeof *keys);
	*ret_too_deep = ROUTE_NONE;
	if (index)
		*index = (struct route_index){
			.nodes = arena_alloc(arena, nodes * sizeof *index->nodes),
			.node_count = 1,
			.slots = arena_zalloc(arena, slots * sizeof *index->slots),
			.mask = slots - 1,
			.regexes = no_routes,
			.any = no_routes,
		};
	if (!index || !room || !keys || !index->nodes || !index->slots) {
		free(keys);
		return NULL;
	}
	index->nodes[0] = (struct node){.prefix = no_routes, .exact = no_routes};
	for (uint32_t i = 0; i < count; i++) {
		bool in_tree = paths[i]->kind == PATH_PREFIX || paths[i]->kind == PATH_EXACT;
		keys[i] = (struct list_key){
			.node = in_tree ? node_for(index, paths[i]) : 0, .kind = paths[i]->kind, .route = i};
	}
	lay_out(index, keys, count, room);
	bool fits = check_depth(index, keys, count, ret_too_deep);
	free(keys);
	return fits ? index : NULL;
}
