// How pools are made of a configuration, and kept while snapshots use them. For the files
// of this folder.
#ifndef USHER_UPSTREAM_POOL_BUILD_H
#define USHER_UPSTREAM_POOL_BUILD_H

#include "upstream/check.h"
#include "upstream/pool.h"
#include "upstream/pool_config.h"
#include "upstream/roster.h"

#include <stdbool.h>
#include <stdint.h>

// What may change while a pool stays the same.
struct pool_settings {
	struct pool_idle_config idle;
	struct pool_rest_config rest;
	struct pool_h2_config h2;
	int64_t slow_start_ns;
};

struct pool {
	struct roster *_Atomic roster; // changed under the registry's lock; NULL before the first activation
	const struct balancer_type *balancer;
	struct balance_settings balance;
	struct pool_family *family;
	uint32_t tries;
	// Under the registry's lock.
	uint32_t references; // sets that hold it
	uint32_t active;     // of them active
	struct pool_settings settings;
	enum server_protocol protocol; // what is spoken where an address does not say it
	struct tls_client *tls;	       // holds a reference; NULL: no server is configured over TLS
	struct pool_dns_config dns;
	struct check_set *checks; // NULL: none
	bool is_sticky;
	struct hash_key sticky_key; // of its servers' tokens
	struct configured *configured;
	uint32_t configured_count;
	struct roster *next_roster; // while a set is being activated
	struct check_set *next_checks;
	char *next_srv;
	struct pool *next; // in the family, or among those to be disposed of
};

// A server that the configuration names.
struct configured {
	struct pool_member member; // holds a reference to the server
	uint32_t max_requests;
};

// Which bounds a server with this configuration has.
uint32_t configured_max_requests(const struct server_config *config);

// --- With the registry's lock held.

// Which of the family's pools is the one that requests use now: the newest active one, NULL
// when there is none.
struct pool *family_active_pool(const struct pool_family *family);

// As pools_visit.
void pools_visit_locked(pool_visitor *visit, void *argument);

// Gives all active pools of the family rosters of what the configuration and the operator name
// by now. 0, or -ENOMEM and nothing is changed. *ret_old is a list of the former rosters.
int family_renew(struct pool_family *family, struct roster **ret_old);

// --- Without the lock.

// Lets a list of rosters go once nobody looks at them, and closes idle connections to servers
// that are in none any more.
void rosters_retire(struct roster *first);

#endif
