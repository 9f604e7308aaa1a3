// Fills in the struct of a section from a map, by the section's table.
#ifndef USHER_CONFIG_SECTION_H
#define USHER_CONFIG_SECTION_H

#include "config/loading.h"

// `object` is the zeroed struct; what is wrong in the section is reported, and the rest filled
// in. False when the node is no such section at all, which is reported as wrong for `key`.
bool section_load(struct config_load *load, const struct config_key *key, const struct config_section *section,
		  const struct node *node, void *object);

#endif
