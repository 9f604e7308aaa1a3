// The configuration of pools: the section `pools`, and the pools that `proxy` makes of the
// addresses that it is given.
//
// All memory is the configuration's. Nothing here touches the network; pool.h puts it to
// work.
#ifndef USHER_UPSTREAM_POOL_CONFIG_H
#define USHER_UPSTREAM_POOL_CONFIG_H

#include "config/key.h"
#include "config/load.h"
#include "exchange/snapshot.h"
#include "net/address.h"
#include "tls/client.h"
#include "upstream/hedge.h"
#include "upstream/pick_key.h"
#include "upstream/retry.h"
#include "upstream/server.h"
#include "upstream/sticky.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;

enum {
	POOL_SERVERS_MAX = 1024,
	POOL_WEIGHT_MAX = 1000,
	SERVER_PRIORITY_MAX = 15, // that can be configured; backups come after all
	SERVER_NAME_MAX = 320,	  // of a server's address in its plain form
};

// What an address of a server says.
struct server_address {
	struct endpoint endpoint;
	bool over_tls; // https://, h2://
	bool is_http2; // h2://, h2c://
};

struct server_config {
	struct config_place place;
	struct config_text address; // "10.0.0.1:80", "https://app.internal", "unix:/run/app.sock"
	int64_t weight;		    // 0: gets no requests
	bool backup;		    // only when no other is left
	int64_t priority;	    // 0 is tried first
	int64_t max_requests;	    // at once; 0: no bound
	int64_t max_connections;
	struct config_text route;    // as the application names it (sticky.learn)
	struct server_address where; // of the address
	enum server_protocol protocol;
	struct slice name;	// the address in its plain form: "app.internal:80", "h2://10.0.0.1:443"
	struct slice authority; // of the name, what is behind its scheme
	struct tls_client *tls; // NULL: without TLS
};

struct pool_h2_config {
	int64_t connections;  // to each server, by each thread
	int64_t streams;      // at once on each
	int64_t queue;	      // requests that wait, of each thread for each server
	int64_t window_bytes; // of each stream
	int64_t ping_ns;      // 0: never
	int64_t ping_timeout_ns;
};

struct pool_idle_config {
	int64_t connections;	    // to each server, by each thread
	int64_t pool_connections;   // to all servers of the pool, by each thread
	int64_t timeout_ns, age_ns; // 0: none
};

struct pool_rest_config {
	int64_t after; // failures in a row; 0: never
	int64_t for_ns, max_ns;
	struct config_texts status_texts;
	struct config_text share;
	int64_t latency; // times the others'; 0: however slow
	// Made of the above.
	uint64_t bad_statuses[SERVER_STATUS_WORDS];
	int64_t share_percent;
};

struct pool_dns_config {
	int64_t refresh_ns; // 0: as the time to live says
	int64_t min_ns, max_ns, timeout_ns;
};

struct pool_queue_config {
	int64_t requests; // that may wait for a server
	int64_t timeout_ns;
};

// What `balance: hash` goes by.
struct pool_hash_config {
	struct config_place place;
	struct config_text by;
	struct config_text secret;
	int method; // enum hash_method
	struct config_text bound;
	int64_t bound_percent; // 0: none
	struct pick_key key;
	struct hash_key hash_key;
};

struct pool_config {
	struct config_place place;
	struct config_text name;    // of an implicit one: its addresses, joined by ", "
	struct config_list servers; // of struct server_config
	struct config_file file;    // with more of them
	struct config_text srv;	    // where DNS names more of them
	struct slice srv_name, srv_scheme;
	struct config_list health; // of struct check_config
	int balance;		   // index into balancer_types
	struct pool_hash_config hash;
	int64_t tries; // servers that one request may be sent to
	struct retry_config retry;
	struct config_text retry_budget;
	int64_t retry_percent;	       // of the requests; RETRY_UNBOUNDED
	int protocol;		       // enum server_protocol, where the address does not say it
	struct tls_client_config *tls; // NULL: all defaults
	struct tls_client *tls_client; // made of it; NULL: no server is spoken to over TLS
	struct pool_h2_config h2;
	struct pool_idle_config idle;
	struct pool_rest_config rest;
	struct pool_dns_config dns;
	struct pool_queue_config queue;
	struct hedge_config hedge;
	struct sticky_config *sticky; // NULL: any server will do
	int64_t max_requests;	      // at once; 0: no bound
	int64_t max_connections;
	int64_t slow_start_ns; // 0: none
	struct pool *pool;     // the running one, once activated
};

// The pools of one configuration.
struct pool_set {
	struct pool_config **pools;
	size_t count, capacity;
	uint32_t *index; // a hash table by name: 1 + the position in pools, or 0
	size_t index_size;
	bool active; // its pools are in use for new exchanges
	bool used;   // activated and not yet released
};

// The key `pools` of the top level; what it makes is a struct pool_set, which is released
// (pool.h) when the configuration is freed.
extern const struct top_section_type pools_section;

// The table of keys of one pool.
extern const struct config_section pool_config_section;

// The pools that were loaded (NULL for none). NULL when memory is out, which is reported.
struct pool_set *pool_set_new(struct config_load *load, const struct config_list *pools);

// The pool of that name, or NULL.
struct pool_config *pool_set_find(const struct pool_set *set, struct slice name);

// What `proxy` names: one pool of the set by its name, or one or several addresses, of which
// a pool is made (the same addresses give the same pool). NULL after config_error, which
// suggests the nearest name.
struct pool_config *pool_set_target(struct config_load *load, struct pool_set *set, const struct config_texts *targets);

// The address of a server, as configured: "host:port", "unix:/path", or a URL without path,
// query and user, with the scheme http or h2c (port 80 unless it says otherwise), https or
// h2 (443). NULL, or what is wrong with it.
const char *server_address_parse(struct slice text, struct server_address *ret_address);

// The scheme in front of an address, empty where there is none, and what it says of it.
struct slice server_address_scheme(struct slice text, struct server_address *ret_address);

// Fills in protocol, name and authority of a server whose `where` is known; the name is in
// `room`. False when it is too long.
bool server_config_name(struct server_config *server, enum server_protocol of_pool, char room[SERVER_NAME_MAX]);

#endif
