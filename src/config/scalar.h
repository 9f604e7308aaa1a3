// Loads the keys that hold texts and numbers, not sections.
#ifndef USHER_CONFIG_SCALAR_H
#define USHER_CONFIG_SCALAR_H

#include "config/loading.h"

// The size of what a key of this kind is loaded into; not for kinds of sections.
size_t scalar_size(enum config_kind kind);

// Loads the node into *target and refines it. `object` is the section's struct. False after
// an error was reported.
bool scalar_load(struct config_load *load, const struct config_key *key, const struct node *node, void *object,
		 void *target);

#endif
