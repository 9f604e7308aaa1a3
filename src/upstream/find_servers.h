// Finding servers: those of pools whose servers DNS names (pools.NAME.srv; SRV, RFC 2782).
//
// One thread of the process asks again and again, as the time to live says, and puts what it finds
// into the pools. A failure changes nothing: a pool is never emptied by its DNS. A server that is
// named no more finishes what it has.
#ifndef USHER_UPSTREAM_FIND_SERVERS_H
#define USHER_UPSTREAM_FIND_SERVERS_H

#include "net/dns_srv.h"

#include <stdint.h>

// As resolver_services; `argument` is the resolver, or a test's own.
typedef int find_services(void *argument, const char *name, int64_t deadline_ns, struct services **ret_found);

// Makes this thread the one that finds. Call find_servers_stop on the same thread while its loop still
// turns: pools keep the servers that they have.
void find_servers_start(find_services *find, void *argument);
void find_servers_stop(void);

// Pools have changed: the finding thread looks again, soon. From any thread, also where none finds.
void find_servers_again(void);

#endif
