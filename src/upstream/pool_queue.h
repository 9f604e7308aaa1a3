// Waiting for a server of a pool whose servers all have as many requests as they may have.
//
// All threads' requests stand in one line. A server that has answered one is given on to the first
// that it is fit for, without being free in between.
#ifndef USHER_UPSTREAM_POOL_QUEUE_H
#define USHER_UPSTREAM_POOL_QUEUE_H

#include "upstream/pool.h"

#include <stdint.h>

struct pool_family;

// After pool_pick found none, and pick->full or pick->all_rest is set: waits until there is one, as long
// as the pool says (queue.timeout), and until deadline_ns at most; where all rest, a second: one request
// after the other of those that wait finds out whether a server is back. Then as pool_pick; NULL also,
// with pick->fault: FAULT_OVERLOADED, when too many wait already or the time is over (pick->setting is the
// key that says so), FAULT_NO_SERVER where all rest still, or FAULT_CLIENT_GONE. Suspends.
struct server *pool_wait(struct pool *pool, struct pick *pick, int64_t deadline_ns);

// --- For the files of this folder.

// A request that was picked for the server is over: its place goes to who waits, or is free. The
// server may be gone afterwards.
void pool_queue_leave(struct server *server);

// Something else than a place came free: those that wait look again.
void pool_queue_stir(struct pool_family *family);

#endif
