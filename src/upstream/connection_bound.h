// How many connections to servers there may be at once, over all threads: the bounds of each server and
// of its pool (max_connections).
//
// At a bound, idle connections give way, those of other threads as well; else who needs one waits, first
// come, first served. One that is done with goes over to who is first, where it is for him, and otherwise gives way.
// For the files of this folder.
#ifndef USHER_UPSTREAM_CONNECTION_BOUND_H
#define USHER_UPSTREAM_CONNECTION_BOUND_H

#include "base/fault.h"
#include "upstream/connection.h"
#include "upstream/server.h"

#include <stdint.h>

struct pool_family;
struct server_local;

// Counts one connection more to the server: 0; or -errno with *ret_fault filled in, when the bound holds
// until the deadline. Suspends where it has to wait. *ret_given is a connection of `local` that somebody else had, and
// that counts already, or NULL; always NULL without `local`.
int connection_claim(struct server *server, const struct server_local *local, int64_t deadline_ns,
		     struct fault *ret_fault, struct upstream_connection **ret_given);

// Gives an idle connection to who waits for one; false: the caller closes it, as others wait.
bool connection_hand_over(struct upstream_connection *connection);

// One less.
void connection_release(struct server *server);

// Whether somebody waits for one of these connections: those that are idle are closed then.
bool connection_is_wanted(const struct pool_family *family);

#endif
