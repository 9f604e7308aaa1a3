// Servers that the operator added to the pools of a name. For the files of this folder.
#ifndef USHER_UPSTREAM_POOL_ADDED_H
#define USHER_UPSTREAM_POOL_ADDED_H

#include "upstream/pool.h"
#include "upstream/registry.h"

struct pool_addition {
	struct pool_addition *next;
	struct pool_member member; // holds a reference to the server
};

// With the registry's lock held: all of the family's, and those found for it, as one list; it has none
// any more.
struct pool_addition *pool_additions_take(struct pool_family *family);

// With the registry's lock held: the pool's server of that address, made if need be, with a reference.
// 0, -EINVAL when that is no address, -EPROTO when it is over TLS in a pool that has no settings for
// that, or -ENOMEM.
int pool_take_server(struct pool *pool, struct slice address, struct server **ret_server);

// Without the lock.
void pool_additions_free(struct pool_addition *first);

#endif
