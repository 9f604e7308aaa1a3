// Makes maps of names and values: without duplicates, with merge keys put in.
#ifndef USHER_CONFIG_MAP_H
#define USHER_CONFIG_MAP_H

#include "config/loading.h"

// Fills in the entries of a map from `count` names, each followed by its value. A name that
// stands twice is reported and its first value kept; entries that << brings come behind the
// map's own. False when nothing could be made, which was reported.
bool map_build(struct config_load *load, struct node *map, const struct node *const *children, size_t count);

// A map with the entries of all `maps`, earlier ones first. Where a name stands in several,
// lists are put behind each other and maps are joined in the same way; anything else is
// reported as standing twice. NULL when memory is out, which was reported.
const struct node *map_join(struct config_load *load, const struct node *const *maps, size_t count);

#endif
