// Walks over the tables of key.h.
#ifndef USHER_CONFIG_TABLES_H
#define USHER_CONFIG_TABLES_H

#include "config/key.h"

enum { SECTIONS_MAX = 256 };

// The keys of a section one by one, its own and then those that others contribute; NULL
// beyond the last.
const struct config_key *section_key(const struct config_section *section, size_t index);

const struct config_key *section_find_key(const struct config_section *section, struct slice name);

// The key that stands for the whole section, or NULL.
const struct config_key *section_shorthand(const struct config_section *section);

// Whether a key of `outer`, or one below it, holds `inner`.
bool section_holds(const struct config_section *outer, const struct config_section *inner);

struct section_list {
	const struct config_section *items[SECTIONS_MAX];
	size_t count;
};

// The root and every section below it, each once, in the order in which they are named, level
// by level.
void section_list_collect(struct section_list *list, const struct config_section *root);

#endif
