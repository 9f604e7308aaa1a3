#include "config/loaded.h"

#include "config/tables.h"

static size_t slot_of(const struct config_load *load, const void *object)
{
	return (size_t)(((uintptr_t)object >> 3) * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (load->slot_count - 1);
}

static bool table_grow(struct config_load *load)
{
	size_t old_count = load->slot_count, count = old_count ? 2 * old_count : 64;
	struct loaded **old = load->slots, **slots = scratch_alloc(load, count * sizeof *slots);
	if (slots == NULL)
		return false;
	load->slots = slots;
	load->slot_count = count;
	for (size_t i = 0; i < old_count; i++) {
		// Appended, so that those of one address keep their order.
		for (struct loaded *loaded = old[i], *next; loaded != NULL; loaded = next) {
			next = loaded->next_in_slot;
			loaded->next_in_slot = NULL;
			struct loaded **end = &slots[slot_of(load, loaded->object)];
			while (*end != NULL)
				end = &(*end)->next_in_slot;
			*end = loaded;
		}
	}
	return true;
}

bool loaded_note(struct config_load *load, const void *object, const struct config_section *section,
		 const struct node *node)
{
	if (load->loaded_count >= load->slot_count && !table_grow(load))
		return false;
	struct loaded *loaded = scratch_alloc(load, sizeof *loaded);
	if (loaded == NULL)
		return false;
	*loaded = (struct loaded){.object = object, .section = section, .node = node};
	struct loaded **end = &load->slots[slot_of(load, object)];
	while (*end != NULL)
		end = &(*end)->next_in_slot;
	*end = loaded;
	load->loaded_count++;
	return true;
}

static struct loaded *first_at(const struct config_load *load, const void *object)
{
	return load->slot_count > 0 ? load->slots[slot_of(load, object)] : NULL;
}

void loaded_break(struct config_load *load, const void *object, const struct config_section *section)
{
	load->broken_count++;
	for (struct loaded *loaded = first_at(load, object); loaded != NULL; loaded = loaded->next_in_slot) {
		if (loaded->object == object && loaded->section == section)
			loaded->is_broken = true;
	}
}

bool config_is_whole(const struct config_load *load, const void *section_struct)
{
	for (struct loaded *loaded = first_at(load, section_struct); loaded != NULL; loaded = loaded->next_in_slot) {
		if (loaded->object == section_struct && loaded->is_broken)
			return false;
	}
	return true;
}

// The outermost struct at that address whose section has such a key.
static const struct loaded *loaded_find(const struct config_load *load, const void *object, const char *key)
{
	const struct loaded *loaded = first_at(load, object);
	for (; loaded != NULL; loaded = loaded->next_in_slot) {
		if (loaded->object == object && section_find_key(loaded->section, slice_from_string(key)) != NULL)
			return loaded;
	}
	return NULL;
}

static bool is_written(const struct loaded *loaded, const char *key, struct config_place *ret_place)
{
	const struct node *node = loaded->node;
	*ret_place = node_place(node);
	if (node->kind != NODE_MAP)
		return loaded->section->shorthand != NULL && strcmp(loaded->section->shorthand, key) == 0;
	const struct node_entry *entry = node_find(node, slice_from_string(key));
	if (entry == NULL)
		return false;
	*ret_place = node_place(entry->name);
	return true;
}

bool config_is_set(const struct config_load *load, const void *section_struct, const char *key)
{
	const struct loaded *loaded = loaded_find(load, section_struct, key);
	struct config_place place;
	return loaded != NULL && is_written(loaded, key, &place);
}

struct config_place config_where(const struct config_load *load, const void *section_struct, const char *key)
{
	const struct loaded *loaded = loaded_find(load, section_struct, key);
	struct config_place place = {0};
	if (loaded != NULL)
		is_written(loaded, key, &place);
	return place;
}
