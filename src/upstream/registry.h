// The registry: the servers that live, under the names of their pools.
//
// What a configuration names is looked for here first, so that state survives a reload.
// Locked; never used on the hot path. For the files of this folder.
#ifndef USHER_UPSTREAM_REGISTRY_H
#define USHER_UPSTREAM_REGISTRY_H

#include "base/slice.h"
#include "fiber/line.h"
#include "upstream/name_table.h"
#include "upstream/pool_config.h"
#include "upstream/server.h"

#include <stdatomic.h>
#include <stdint.h>

struct pool;
struct pool_addition;
struct sticky_table;

// What all configurations' pools of one name have in common.
struct pool_family {
	struct name_entry entry; // first
	struct slice name;
	uint32_t number; // small, used again after its end
	uint32_t references;
	struct server *servers;
	struct pool *pools;			 // that live, newest first
	struct pool_addition *added;		 // by the operator (pool_change.h)
	struct pool_addition *found;		 // by DNS (pool_found.h)
	char *srv;				 // where; malloced, NULL: nowhere
	struct slice srv_scheme;		 // of the servers that are found, such as "h2://"; a literal
	_Atomic bool is_finding;		 // the first look-up has not ended
	bool is_old;				 // some pool of it has been active: servers that come now are new to it
	_Atomic uint32_t idle_connections;	 // kept by each thread
	_Atomic int64_t last_resort_ns;		 // when a request may next be tried though all rest
	_Alignas(64) _Atomic uint32_t in_flight; // requests that were picked for its servers and have not ended
	_Atomic uint32_t max_requests;		 // that may be in flight at once; SERVER_REQUESTS_UNBOUNDED
	_Atomic uint64_t requests;		 // that were picked for a server, each counted once
	struct line line;			 // of requests that wait for a server (pool_queue.h)
	struct line connection_line;		 // of those who wait for a connection (connection_bound.h)
	_Atomic uint32_t connections;		 // to its servers now
	_Atomic uint32_t max_connections;	 // at once
	_Atomic uint32_t queue_requests;	 // that may wait
	_Atomic int64_t queue_ns;		 // how long
	struct sticky_table *_Atomic sessions;	 // NULL: none was needed yet
	// When a second server is tried (hedge.h).
	_Atomic int64_t hedge_ns;	// 0: never
	_Atomic uint32_t hedge_percent; // it is what so many answers take less than; 0: it is fixed
	// What retries may cost (retry.h).
	_Atomic uint32_t retry_percent; // of the requests; RETRY_UNBOUNDED
	_Atomic int64_t window_since_ns;
	_Atomic uint64_t window_requests; // `requests` when it began
	_Atomic uint64_t window_retries;
};

enum { RETRY_UNBOUNDED = UINT32_MAX };

void registry_lock(void);
void registry_unlock(void);

// --- With the lock held.

// The family of that name, made if need be; with a reference. NULL when memory is out.
struct pool_family *family_take(struct slice name);
void family_release(struct pool_family *family);

// The family of that name, or NULL.
struct pool_family *family_find(struct slice name);

// The family's server of that address, made if need be; with a reference. NULL when memory
// is out.
struct server *family_server(struct pool_family *family, const struct server_config *config,
			     const struct pool_dns_config *dns);

// Whether the server is what the configuration asks for.
bool family_server_matches(const struct server *server, const struct server_config *config,
			   const struct pool_dns_config *dns);

// Calls `visit` for each family.
void families_visit(void (*visit)(void *argument, struct pool_family *family), void *argument);

#endif
