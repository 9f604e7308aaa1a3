// Remembers which struct was filled in from what, and whether all of it was right: for
// config_is_set, config_where and config_is_whole.
#ifndef USHER_CONFIG_LOADED_H
#define USHER_CONFIG_LOADED_H

#include "config/loading.h"

// False when memory is out, which was reported.
bool loaded_note(struct config_load *load, const void *object, const struct config_section *section,
		 const struct node *node);

// Notes that something in the struct, or further down in it, was wrong.
void loaded_break(struct config_load *load, const void *object, const struct config_section *section);

#endif
