// What the operator changes while usher runs: servers added and removed, their weights, and
// whether they get requests.
//
// From any thread; each change is logged. Changes survive a reload as long as the server is
// still named (one that was added: as long as its pool is); a weight that the new
// configuration changes, and a removed server that it names anew, are as it says. They end
// with the process.
#ifndef USHER_UPSTREAM_POOL_CHANGE_H
#define USHER_UPSTREAM_POOL_CHANGE_H

#include "base/slice.h"

#include <stdint.h>

enum server_state {
	SERVER_READY,	 // gets its share
	SERVER_DRAINING, // finishes what it has; new requests only of visitors that stick to it
	SERVER_DISABLED, // gets none
};

// All return 0, or: -ENOENT no such pool, -ESRCH no such server in it, -EEXIST it is there
// already, -EINVAL not an address (or weight, or priority), -EPROTO over TLS in a pool that
// has no settings for that, -ENOSPC too many servers, -ENOMEM. Servers are named as
// configured ("10.0.0.1:80"; server_name).

int pool_set_state(struct slice pool, struct slice server, enum server_state state);

// 0 to POOL_WEIGHT_MAX.
int pool_set_weight(struct slice pool, struct slice server, uint32_t weight);

struct server_addition {
	struct slice address;
	uint32_t weight;   // 0 to POOL_WEIGHT_MAX
	uint32_t priority; // 0 to ROSTER_BACKUP
	uint32_t max_requests;
};

int pool_add_server(struct slice pool, const struct server_addition *addition);

// Its requests in flight are finished.
int pool_remove_server(struct slice pool, struct slice server);

#endif
