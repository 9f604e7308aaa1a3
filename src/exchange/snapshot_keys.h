// What a configuration may hold, as the loader fills it in: the structs behind the tables of
// snapshot_keys.c, which snapshot.c and its neighbours turn into a snapshot.
#ifndef USHER_EXCHANGE_SNAPSHOT_KEYS_H
#define USHER_EXCHANGE_SNAPSHOT_KEYS_H

#include "config/key.h"
#include "exchange/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

struct geo_config;
struct route_match_config;

// Keys that stand at the top, in a site or in a route alike: those of this folder, then one
// for each handler type that has a key. At the top and in sites those follow that stand there
// only, since they count before it is known which route a request takes; at the top, those of
// sections.
enum { SCOPED_LIMITS, SCOPED_TIMEOUTS, SCOPED_ERROR_PAGES, SCOPED_OWN };
enum { SCOPED_MAX = 64 };

struct scope {
	struct config_place place;
	void *values[SCOPED_MAX]; // NULL: not written here
};

struct route_config {
	struct scope scope; // first
	struct config_text path;
	struct route_match_config *match;
};

struct site_config {
	struct scope scope; // first
	struct config_texts hosts;
	struct config_list routes; // of struct route_config
	bool merge_slashes;
};

struct access_log_config {
	struct config_text path;
	struct config_text format;
};

struct top_config {
	struct scope scope;	    // first
	struct config_list listens; // of struct listen
	struct config_text admin;
	struct http2_settings http2;
	int64_t workers;
	struct config_texts trusted_proxies;
	struct geo_config *geo;
	struct access_log_config *access_log;
	struct config_text error_log, pid_file, user, resolver;
	struct config_list sites;  // of struct site_config
	struct config_list routes; // of struct route_config
	bool merge_slashes;
};

// All tables, with what the registry brings. The root section's struct is top_config.
struct snapshot_schema {
	const struct config_key *scoped[SCOPED_MAX + 1]; // of routes
	const struct config_key *sited[SCOPED_MAX + 1];	 // of sites
	const struct config_key *top[SCOPED_MAX + 1];
	const struct handler_type *types[SCOPED_MAX]; // of scoped key i; NULL for those of this folder
	size_t scoped_count;
	size_t tls;	   // the index of `tls`, at the top and in sites
	size_t tls_policy; // of `tls_policy`, at the top
	size_t sections;   // of the first section, at the top
	struct config_section route_section, site_section, root;
	struct config_key site_keys[8], top_keys[24]; // with the sections of this schema
};

#endif
