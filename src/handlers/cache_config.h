// The key `cache` of a route. For the files of the handler.
#ifndef USHER_HANDLERS_CACHE_CONFIG_H
#define USHER_HANDLERS_CACHE_CONFIG_H

#include "config/load.h"

#include <stdbool.h>
#include <stdint.h>

struct route;
struct snapshot;

struct cache_stale_config {
	int64_t if_error_ns, while_revalidate_ns;
};

struct cache_heuristic_config {
	int64_t percent;
	int64_t max_ns;
};

struct cache_config {
	struct config_place place;
	bool on;
	int64_t ttl_ns;
	bool override;
	int64_t max_object_bytes;
	bool ignore_set_cookie;
	bool status;
	bool refresh;
	struct cache_stale_config stale;
	struct cache_heuristic_config heuristic;
	uint64_t variant; // of this route
};

extern const struct config_section cache_section;

// As in struct handler_type: several routes may share the value.
bool cache_config_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
		       const void **ret_config);

#endif
