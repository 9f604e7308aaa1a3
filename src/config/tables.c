#include "config/tables.h"

#include "base/check.h"

const struct config_key *section_key(const struct config_section *section, size_t index)
{
	size_t i = 0;
	for (; section->keys[i].name != NULL; i++) {
		if (i == index)
			return &section->keys[i];
	}
	for (size_t j = 0; section->extra != NULL && section->extra[j] != NULL; j++) {
		if (i + j == index)
			return section->extra[j];
	}
	return NULL;
}

const struct config_key *section_find_key(const struct config_section *section, struct slice name)
{
	for (const struct config_key *key = section->keys; key->name != NULL; key++) {
		if (slice_equal(name, slice_from_string(key->name)))
			return key;
	}
	for (size_t i = 0; section->extra != NULL && section->extra[i] != NULL; i++) {
		if (slice_equal(name, slice_from_string(section->extra[i]->name)))
			return section->extra[i];
	}
	return NULL;
}

const struct config_key *section_shorthand(const struct config_section *section)
{
	if (section->shorthand == NULL)
		return NULL;
	const struct config_key *key = section_find_key(section, slice_from_string(section->shorthand));
	check(key != NULL);
	return key;
}

static void collect_one(struct section_list *list, const struct config_section *section)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i] == section)
			return;
	}
	check(list->count < SECTIONS_MAX);
	list->items[list->count++] = section;
}

void section_list_collect(struct section_list *list, const struct config_section *root)
{
	list->count = 0;
	collect_one(list, root);
	for (size_t i = 0; i < list->count; i++) {
		const struct config_key *key;
		for (size_t j = 0; (key = section_key(list->items[i], j)) != NULL; j++) {
			if (key->section != NULL)
				collect_one(list, key->section);
		}
	}
}

bool section_holds(const struct config_section *outer, const struct config_section *inner)
{
	struct section_list list;
	section_list_collect(&list, outer);
	for (size_t i = 1; i < list.count; i++) {
		if (list.items[i] == inner)
			return true;
	}
	return false;
}
