#include "config/map.h"

#include "base/check.h"
#include "base/hash.h"

#include <stdlib.h>

// A map that is being made: entries, and a table that finds them by name.
struct map_builder {
	struct config_load *load;
	struct node_entry *entries;
	size_t count, capacity;
	uint32_t *table; // index + 1 of the entry, 0: none; mask + 1 slots, at least half of them free
	size_t mask;
};

static bool builder_grow(struct map_builder *builder)
{
	size_t capacity = builder->capacity ? 2 * builder->capacity : 8;
	struct node_entry *entries = scratch_alloc(builder->load, capacity * sizeof *entries);
	uint32_t *table = calloc(2 * capacity, sizeof *table);
	if (entries == NULL || table == NULL) {
		free(table);
		load_out_of_memory(builder->load);
		return false;
	}
	if (builder->count > 0)
		memcpy(entries, builder->entries, builder->count * sizeof *entries);
	free(builder->table);
	builder->entries = entries;
	builder->capacity = capacity;
	builder->table = table;
	builder->mask = 2 * capacity - 1;
	for (size_t i = 0; i < builder->count; i++) {
		size_t slot = hash_fast(entries[i].name->text) & builder->mask;
		while (table[slot] != 0)
			slot = (slot + 1) & builder->mask;
		table[slot] = (uint32_t)i + 1;
	}
	return true;
}

// The entry of that name, or a new one without a value; NULL when memory is out.
static struct node_entry *builder_entry(struct map_builder *builder, const struct node *name)
{
	if (builder->count == builder->capacity && !builder_grow(builder))
		return NULL;
	size_t slot = hash_fast(name->text) & builder->mask;
	for (; builder->table[slot] != 0; slot = (slot + 1) & builder->mask) {
		struct node_entry *entry = &builder->entries[builder->table[slot] - 1];
		if (slice_equal(entry->name->text, name->text))
			return entry;
	}
	builder->entries[builder->count++] = (struct node_entry){.name = name};
	builder->table[slot] = (uint32_t)builder->count;
	return &builder->entries[builder->count - 1];
}

static void builder_finish(struct map_builder *builder, struct node *map)
{
	map->entries = builder->entries;
	map->entry_count = builder->count;
	free(builder->table);
}

static void report_duplicate(struct config_load *load, const struct node *name, const struct node *first)
{
	struct config_place place = node_place(first);
	config_error(load, node_place(name), "\"%.*s\" stands here twice; first at %s:%u:%u",
		     SLICE_ARGUMENTS(name->text), place.file, place.line, place.column);
}

static bool is_merge_key(const struct node *name)
{
	return name->plain && slice_equal(name->text, SLICE("<<"));
}

// https://yaml.org/type/merge.html: what the map has itself stands, then what came first.
static bool merge_map(struct map_builder *builder, const struct node *map)
{
	for (size_t i = 0; i < map->entry_count; i++) {
		if (!load_count_repeat(builder->load, map))
			return false;
		struct node_entry *entry = builder_entry(builder, map->entries[i].name);
		if (entry == NULL)
			return false;
		if (entry->value == NULL)
			entry->value = map->entries[i].value;
	}
	return true;
}

static bool merge_value(struct map_builder *builder, const struct node *value)
{
	if (value->kind == NODE_MAP)
		return merge_map(builder, value);
	bool ok = value->kind == NODE_LIST;
	for (size_t i = 0; ok && i < value->item_count; i++)
		ok = value->items[i]->kind == NODE_MAP;
	if (!ok) {
		config_error(builder->load, node_place(value), "expected a map or a list of maps for \"<<\", not %s",
			     value->kind == NODE_LIST ? "such a list" : node_kind_word(value));
		return true; // the rest of the file can be read
	}
	for (size_t i = 0; i < value->item_count; i++) {
		if (!merge_map(builder, value->items[i]))
			return false;
	}
	return true;
}

bool map_build(struct config_load *load, struct node *map, const struct node *const *children, size_t count)
{
	struct map_builder builder = {.load = load};
	bool ok = true;
	for (size_t i = 0; ok && i < count; i++) {
		const struct node *name = children[2 * i];
		check(name->kind == NODE_SCALAR);
		if (is_merge_key(name))
			continue;
		struct node_entry *entry = builder_entry(&builder, name);
		if (entry == NULL)
			ok = false;
		else if (entry->value != NULL)
			report_duplicate(load, name, entry->name);
		else
			entry->value = children[2 * i + 1];
	}
	for (size_t i = 0; ok && i < count; i++) {
		if (is_merge_key(children[2 * i]))
			ok = merge_value(&builder, children[2 * i + 1]);
	}
	builder_finish(&builder, map);
	return ok;
}

static const struct node *join_lists(struct config_load *load, const struct node *first, const struct node *second)
{
	struct node *list = scratch_alloc(load, sizeof *list);
	size_t count = first->item_count + second->item_count;
	const struct node **items = scratch_alloc(load, count * sizeof *items);
	if (list == NULL || items == NULL)
		return NULL;
	*list = *first;
	for (size_t i = 0; i < count; i++)
		items[i] = i < first->item_count ? first->items[i] : second->items[i - first->item_count];
	list->items = items;
	list->item_count = count;
	return list;
}

static bool join_entry(struct map_builder *builder, const struct node_entry *from, bool is_first)
{
	// Maps that aliases have made of few lines may have more entries than there is time for.
	if (!is_first && !load_count_repeat(builder->load, from->value))
		return false;
	struct node_entry *entry = builder_entry(builder, from->name);
	if (entry == NULL)
		return false;
	if (entry->value == NULL) {
		entry->value = from->value;
		return true;
	}
	if (entry->value->kind != from->value->kind || from->value->kind == NODE_SCALAR) {
		report_duplicate(builder->load, from->name, entry->name);
		return true;
	}
	const struct node *both[] = {entry->value, from->value};
	const struct node *joined = from->value->kind == NODE_LIST ? join_lists(builder->load, both[0], both[1])
								   : map_join(builder->load, both, 2);
	if (joined == NULL)
		return false;
	entry->value = joined;
	return true;
}

const struct node *map_join(struct config_load *load, const struct node *const *maps, size_t count)
{
	check(count > 0);
	struct node *joined = scratch_alloc(load, sizeof *joined);
	if (joined == NULL)
		return NULL;
	*joined = *maps[0];
	struct map_builder builder = {.load = load};
	bool ok = true;
	for (size_t i = 0; ok && i < count; i++) {
		for (size_t j = 0; ok && j < maps[i]->entry_count; j++)
			ok = join_entry(&builder, &maps[i]->entries[j], i == 0);
	}
	builder_finish(&builder, joined);
	return ok ? joined : NULL;
}
