// Remembers which struct was filled in from what: for config_is_set and config_where.
#ifndef USHER_CONFIG_LOADED_H
#define USHER_CONFIG_LOADED_H

#include "config/loading.h"

// False when memory is out, which was reported.
bool loaded_note(struct config_load *load, const void *object, const struct config_section *section,
		 const struct node *node);

#endif
