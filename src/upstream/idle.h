// Idle connections of a thread: kept by server, newest first, within bounds of number and
// age. For the files of this folder.
#ifndef USHER_UPSTREAM_IDLE_H
#define USHER_UPSTREAM_IDLE_H

#include "upstream/connection.h"
#include "upstream/local.h"

// The newest connection that is still good for a request, or NULL. Those found not to be
// are closed.
struct upstream_connection *idle_take(struct server_local *local);

// Keeps it, or returns false where a bound, its age or the server's end forbids it.
bool idle_keep(struct upstream_connection *connection);

void idle_close_retired(void);

// How many there were.
unsigned idle_close_all(void);

// Closes an idle connection, for its descriptor. False when there is none.
bool idle_close_one(void);

// The same, of one pool, or of one server (NULL: any); and one each of the servers of pools where somebody waits for a
// connection.
bool idle_close_of(const struct pool_family *family, const struct server *server);
void idle_close_wanted(void);

// Whether it was opened too long ago to carry more requests; or lay idle for too long.
bool connection_is_aged(const struct upstream_connection *connection);
bool connection_is_too_old(struct upstream_connection *connection);

// Whether the server's name still has the address that it goes to.
bool connection_has_address(struct upstream_connection *connection);

// Structs of connections, used again. NULL when memory is out; returned ones are given
// back at the end of the loop's turn.
struct upstream_connection *connection_struct_take(void);
void connection_struct_give(struct upstream_connection *connection);

// With the thread's part.
void idle_init(struct upstream_thread *thread);
void idle_fini(struct upstream_thread *thread);

#endif
