// A snapshot: one configuration, loaded, checked and frozen.
//
// Every exchange holds the one it began with; a reload swaps the pointer. What runs
// (pools, connections, counters) lives elsewhere, is found again by name, and survives.
#ifndef USHER_EXCHANGE_SNAPSHOT_H
#define USHER_EXCHANGE_SNAPSHOT_H

#include "config/key.h"
#include "config/load.h"
#include "exchange/handler.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct route_index;
struct site_index;
struct arena;

struct listen {
	struct config_place place;
	struct config_text text;    // as configured
	struct address address;
};

struct route {
	struct config_place place;
	struct slice name;          // "shop.yaml:12", for logs and traces
	const struct site *site;
	const struct handler_step *steps; // the last one ends; then a step without a type
	struct route_match *match;  // path, method, header, query, client
	struct limits *limits;      // the innermost ones; never NULL
	struct timeouts *timeouts;
	struct error_pages *errors;
};

struct site {
	struct config_place place;
	struct slice name;          // its first host, or "default"
	struct route *routes;
	size_t route_count;
	struct route_index *index;
	bool merge_slashes;
};

// Keys that stand at the top, in sites and in routes, the innermost ruling.
struct limits {
	struct config_place place;
	int64_t header_bytes, fields, target_bytes; // top level only
	int64_t body_bytes;           // of a request; 0: no limit
	int64_t connections, connections_per_client; // top level only
};

struct timeouts {
	struct config_place place;
	int64_t header_ns, idle_ns, body_ns, send_ns, tunnel_ns; // the client's side
	int64_t connect_ns, response_ns, read_ns;               // the server's side
};

struct snapshot {
	struct config *config;      // owns all memory
	struct listen *listens;
	size_t listen_count;
	unsigned workers;           // threads
	struct network_set trusted_proxies;
	struct limits *limits;
	struct timeouts *timeouts;
	struct site_index *sites;
	struct access_log *access_log; // opened when the snapshot is put to work; NULL: off
	void **sections;            // what features put at the top level, by their registered index
};

#endif
