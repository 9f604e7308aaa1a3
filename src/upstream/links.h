// Connections that speak HTTP/2, each shared by many requests of one thread. For the files of
// this folder.
//
// Of each server a thread opens one, and another only when those there are take no more
// requests; one at a time, by a fiber of its own, for which all who need it wait. A link that
// takes no more requests for good (GOAWAY, age, a name's address that is gone) goes with its
// last one.
#ifndef USHER_UPSTREAM_LINKS_H
#define USHER_UPSTREAM_LINKS_H

#include "upstream/connection.h"
#include "upstream/local.h"

// A part of a link for one request; with `fresh` rather of one on which no request failed
// last. 0; or -errno with *ret_fault filled in. *ret_connection is NULL where the server
// turned out to prefer HTTP/1.1. Suspends when it has to wait.
int link_take(struct server_local *local, int64_t deadline_ns, bool fresh, struct fault *ret_fault,
	      struct upstream_connection **ret_connection);

// Makes a link of a new connection (which is its own then), and takes a part of it, as above.
int link_start(struct server_local *local, struct upstream_connection *connection, struct fault *ret_fault,
	       struct upstream_connection **ret_connection);

// Gives a part back; `good`: nothing failed on it.
void link_give(struct upstream_connection *connection, bool good);

// Closes those without requests: all, or of retired servers. How many there were.
unsigned links_close_idle(void);
unsigned links_close_retired(void);

// Closes one without requests, for its descriptor. False when there is none.
bool link_close_one(void);

// The same, of one pool, or of one server (NULL: any); and those of pools where somebody waits for a connection.
bool link_close_of(const struct pool_family *family, const struct server *server);
void links_close_wanted(void);

// With the thread's part. No part of a link may be out at the end.
void links_init(struct upstream_thread *thread);
void links_fini(struct upstream_thread *thread);

#endif
