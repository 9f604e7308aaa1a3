// A snapshot: one configuration, loaded, checked and frozen.
//
// Every exchange holds the one it began with; a reload swaps the pointer. What runs
// (pools, connections, counters) lives elsewhere, is found again by name, and survives.
// Nothing in a snapshot changes once it is loaded but its count of references.
#ifndef USHER_EXCHANGE_SNAPSHOT_H
#define USHER_EXCHANGE_SNAPSHOT_H

#include "config/key.h"
#include "config/load.h"
#include "exchange/handler.h"
#include "net/address.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct country_database;
struct error_pages;
struct exchange;
struct route_index;
struct route_match;
struct site_index;
struct tls_server;
struct tls_site;

struct listen {
	struct config_place place;
	struct config_text text; // as configured
	struct address address;
	bool tls;
	bool http2; // offered in handshakes (ALPN)
	bool h2c;   // HTTP/2 without TLS, by prior knowledge
	struct config_texts proxy_texts;
	struct network_set balancers; // who tells of clients by the PROXY protocol; empty: nobody
	bool admin;		      // the admin API is served here, and nothing else: for the owner alone
};

// Bounds of HTTP/2 connections of clients; see http/h2_server.h.
struct http2_settings {
	struct config_place place;
	int64_t streams;
	int64_t window, stream_window; // bytes
	int64_t resets, controls;      // in ten seconds; 0: no limit
};

struct route {
	struct config_place place;
	struct slice name;	// "shop.yaml:12", for logs
	struct slice path_text; // as configured, "*" when every path is meant; for traces
	const struct site *site;
	const struct handler_step *steps; // the last one ends; then a step without a type
	const struct route_match *match;  // the path, and what else a request must have
	unsigned captures;		  // groups of the path's regular expression, at most 9
	// The innermost ones, with all that outer scopes say; never NULL.
	const struct limits *limits;
	const struct timeouts *timeouts;
	const struct error_pages *errors;
};

struct site {
	struct config_place place;
	struct slice name; // its first host, or "default"
	struct route *routes;
	size_t route_count;
	const struct route_index *index;
	const struct tls_site *tls; // NULL: the site is not served over TLS
	bool merge_slashes;
	bool is_guarded; // one of its routes keeps somebody out
};

// Keys that stand at the top, in sites and in routes. Each of their fields is inherited on
// its own: what a route does not say, its site says, or the top.
struct limits {
	struct config_place place;
	int64_t header_bytes, fields, target_bytes;  // top level only
	int64_t body_bytes;			     // of a request; 0: no limit
	int64_t connections, connections_per_client; // top level only; 0: no limit
	int64_t handshakes;			     // top level only; of a thread; 0: no limit
	int64_t handshake_rate, handshake_burst;     // top level only; of a client; 0: no limit
};

struct timeouts {
	struct config_place place;
	int64_t handshake_ns, header_ns, idle_ns, body_ns, send_ns, tunnel_ns; // the client's side
	int64_t connect_ns, response_ns, read_ns;			       // the server's side
	int64_t try_ns;							       // of one server; 0: none
	int64_t total_ns;						       // of the whole exchange; 0: none
};

// Where the access log goes; whoever puts the snapshot to work opens it.
struct access_log_settings {
	const char *path; // a file, "stdout" or "stderr"; NULL: off
	struct slice format;
};

// A section that a feature brings to the top level: pools, and later logins and lists.
struct top_section_type {
	struct config_key key; // its offset has no meaning
	// Makes what snapshot_section gives from the loaded value (NULL when it was not
	// written), before the handlers of any route are loaded. Memory comes from the
	// configuration; what must happen at the snapshot's end is registered with
	// config_at_free. Reports by config_error and returns false. NULL: the loaded value
	// itself.
	bool (*load)(struct config_load *load, struct snapshot *snapshot, void *value, void **ret_section);
	// Optional: called once all handlers are loaded, to look at what they asked for.
	bool (*finish)(struct config_load *load, struct snapshot *snapshot, void *section);
};

// What a program's configuration may hold beside the keys of this folder; lists end with
// NULL. Must live as long as the snapshots loaded with it.
struct snapshot_registry {
	const struct handler_type *const *handlers;
	const struct top_section_type *const *sections;
	void (*admin)(struct exchange *exchange); // answers what comes by the admin socket
};

enum { SNAPSHOT_SECTIONS_MAX = 16 };

struct snapshot {
	struct config *config; // owns all memory, this struct included
	atomic_size_t references;
	const struct snapshot_registry *registry;
	struct listen *listens;
	size_t listen_count;
	const struct listen *admin; // one of them; NULL: there is none
	struct slice admin_name;    // as its connections name it
	struct http2_settings http2;
	unsigned workers; // threads
	struct network_set trusted_proxies;
	bool has_geo;				  // the key `geo` is there
	const struct country_database *countries; // its database; NULL: there is none
	const struct limits *limits;		  // the top level's, for connections
	const struct timeouts *timeouts;
	const struct error_pages *errors; // for who has no route yet
	struct site *all_sites;
	size_t site_count;
	const struct site_index *sites;
	// What handshakes are made with; NULL where no listener needs it. tls_http1 is for listeners
	// that do not offer HTTP/2.
	const struct tls_server *tls, *tls_http1;
	struct access_log_settings access_log_settings;
	struct access_log *access_log; // opened when the snapshot is put to work; NULL: off
	const char *error_log;	       // a file; NULL: standard error
	struct config_text resolver;   // a DNS server; .text.data NULL: the system's
	struct slice *own_fields;      // of requests, beside those of exchange/identity.h
	size_t own_field_count;
	const char *pid_file;		       // NULL: none
	struct config_text user;	       // "user" or "user:group"; .text.data NULL: not changed
	void *sections[SNAPSHOT_SECTIONS_MAX]; // as in the registry
};

// Loads the file at `path` (or the given text, when text.data is not NULL; then path names
// it), with every check that needs no other process. Errors and warnings go to `messages`
// (NULL: nowhere), all in one go. True, and a snapshot with one reference that is the
// caller's; false when there was an error or memory is out.
bool snapshot_load(struct config_source *source, const char *path, struct slice text,
		   const struct snapshot_registry *registry, FILE *messages, bool colours,
		   struct snapshot **ret_snapshot);

// From any thread.
void snapshot_ref(struct snapshot *snapshot);
void snapshot_unref(struct snapshot *snapshot); // the last one frees; NULL is allowed

// Names a field of requests by which usher tells who a visitor is: what others than trusted proxies send in it is taken
// off, whatever the route. One that has a meaning in HTTP is passed over. False when memory is out, which is reported.
bool snapshot_own_field(struct config_load *load, struct snapshot *snapshot, struct slice name);

// What the section's load made; the type must be in the registry.
void *snapshot_section(const struct snapshot *snapshot, const struct top_section_type *type);

// The table of everything that a configuration may hold, for the schema and the reference.
// Built anew by each call; free with snapshot_schema_free. NULL when memory is out.
struct snapshot_schema;
struct snapshot_schema *snapshot_schema_new(const struct snapshot_registry *registry);
const struct config_section *snapshot_schema_root(const struct snapshot_schema *schema);
void snapshot_schema_free(struct snapshot_schema *schema);

#endif
