// All that a configuration may hold: what every feature of this program brings.
#ifndef USHER_CONTROL_REGISTRY_H
#define USHER_CONTROL_REGISTRY_H

#include "exchange/snapshot.h"

#include <stdint.h>

extern const struct snapshot_registry registry;

// How long a stop waits for what is under way: the key `drain`.
int64_t registry_drain_ns(const struct snapshot *snapshot);

// The pools of a snapshot; never NULL.
struct pool_set *registry_pools(const struct snapshot *snapshot);

#endif
