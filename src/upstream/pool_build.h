// How pools are made of a configuration, and kept while snapshots use them. For the files
// of this folder.
#ifndef USHER_UPSTREAM_POOL_BUILD_H
#define USHER_UPSTREAM_POOL_BUILD_H

#include "upstream/balancer.h"
#include "upstream/pool.h"

#include <stdbool.h>
#include <stdint.h>

enum pool_tier { POOL_ORDINARY, POOL_BACKUP, POOL_TIERS };

struct pool_server {
	struct server *server; // holds a reference
	uint32_t weight;
	bool backup;
};

struct pool {
	struct tier tiers[POOL_TIERS];
	const struct balancer_type *balancer;
	struct pool_family *family;
	uint32_t tries;
	uint32_t references; // sets that hold it; under the registry's lock
	uint32_t active;     // of them active; under the registry's lock
	uint32_t server_count;
	struct pool_server *servers; // as configured
	struct pool *next;	     // in the family, or among those to be disposed of
};

#endif
