// The key `cache` of a route. For the files of the handler.
#ifndef USHER_HANDLERS_CACHE_CONFIG_H
#define USHER_HANDLERS_CACHE_CONFIG_H

#include "config/load.h"
#include "exchange/route_match.h"
#include "exchange/status_range.h"
#include "handlers/cache_classes.h"
#include "handlers/cache_counts.h"

#include <stdbool.h>
#include <stdint.h>

struct exchange;
struct route;
struct snapshot;

struct cache_stale_config {
	int64_t if_error_ns, while_revalidate_ns;
};

struct cache_heuristic_config {
	int64_t percent;
	int64_t max_ns;
};

// What the key of an answer is made of beside scheme, host and path.
struct cache_key_config {
	bool host;
	struct config_texts query;   // "*": all of it, as it is written
	struct config_texts headers; // of the request
	struct config_texts cookies;
	bool country; // the client's
};

struct cache_status_ttl {
	struct status_range range;
	int64_t ttl_s;
};

struct cache_matches {
	const struct route_match *items;
	uint32_t count;
};

enum { CACHE_STATUS_TTLS_MAX = 16, CACHE_MATCHES_MAX = 16 };

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
	struct cache_key_config key;
	struct cache_vary_config vary;
	bool obey;
	bool whole;
	int64_t min_uses;
	struct config_pairs status_ttl_texts;
	struct config_list bypass_list, no_store_list;
	struct config_texts purge_texts, method_texts;
	// Of these, made by loading.
	bool answers_head; // else HEAD goes to the server
	struct cache_status_ttl *status_ttls;
	uint32_t status_ttl_count;
	struct cache_matches bypass, no_store;
	const struct network_set *purgers; // who may ask for PURGE; NULL: it is a method like others
	uint64_t variant;		   // of this route
	struct cache_counts *counts;	   // of this route
};

extern const struct config_section cache_section;

// Whether one of them holds for the request, or it cannot be told.
bool cache_matches_hold(const struct cache_matches *matches, struct exchange *exchange);

// As in struct handler_type: several routes may share the value.
bool cache_config_load(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
		       const void **ret_config);

#endif
