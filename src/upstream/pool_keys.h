// What loading a pool by its table of keys and making one of addresses have in common. For
// the files of this folder.
#ifndef USHER_UPSTREAM_POOL_KEYS_H
#define USHER_UPSTREAM_POOL_KEYS_H

#include "upstream/pool_config.h"

#include <stdbool.h>

// The table of keys of a server.
extern const struct config_section server_config_section;

// Fills in the address and where that is. False after config_error.
bool server_config_set_address(struct config_load *load, struct server_config *server,
			       const struct config_text *address);

// Fills in what also depends on the pool: protocol, name, authority. False after config_error.
bool server_config_complete(struct config_load *load, struct server_config *server, enum server_protocol of_pool);

// Reads "125%"; leaves *ret_percent alone for "off" and where nothing was written. False after
// config_error.
bool percent_load(struct config_load *load, const struct config_text *text, uint32_t min, uint32_t max,
		  int64_t *ret_percent);

// Checks over all keys of a pool, and completes it. False after config_error.
bool pool_config_check(struct config_load *load, struct pool_config *pool);

// A pool with all keys at their defaults.
extern const struct pool_config pool_config_standard;

#endif
