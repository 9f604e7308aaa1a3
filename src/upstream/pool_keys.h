// What loading a pool by its table of keys and making one of addresses have in common. For
// the files of this folder.
#ifndef USHER_UPSTREAM_POOL_KEYS_H
#define USHER_UPSTREAM_POOL_KEYS_H

#include "upstream/pool_config.h"

#include <stdbool.h>

// Fills in address, endpoint and name. False after config_error.
bool server_config_set_address(struct config_load *load, struct server_config *server,
			       const struct config_text *address);

// Checks over all keys of a pool. False after config_error.
bool pool_config_check(struct config_load *load, struct pool_config *pool);

// A pool with all keys at their defaults.
extern const struct pool_config pool_config_standard;

#endif
