// Names to addresses, through c-ares, without blocking the loop.
#ifndef USHER_NET_RESOLVER_H
#define USHER_NET_RESOLVER_H

#include "net/address.h"
#include "net/dns_srv.h"

#include <stdint.h>

enum {
	RESOLVER_ADDRESSES_MAX = 64, // of one name; more are left out
	RESOLVER_LOOKUPS_MAX = 256,  // at a time
};

struct resolution {
	struct address addresses[RESOLVER_ADDRESSES_MAX]; // port 0
	unsigned count;
	int64_t ttl_ns; // the smallest of the answers'; a second to a day
};

struct resolver;

// This thread's resolver; server is "address:port" of a DNS server or NULL for the system's
// (/etc/resolv.conf). Names in /etc/hosts are found there, either way. NULL when memory is
// out, or when server is no address. Reads files: before the thread serves.
struct resolver *resolver_new(const char *server);

// Lookups in progress end with -ECANCELED.
void resolver_free(struct resolver *resolver);

// A and AAAA of the name. Of two families, one to which this system has no route is left
// out. 0; -ENOENT (no such name or no addresses), -ETIMEDOUT, -ECANCELED, -EIO (the server's
// failure), -EAGAIN (RESOLVER_LOOKUPS_MAX lookups are in progress), -ENOMEM. Suspends until
// the deadline at most.
int resolver_lookup(struct resolver *resolver, const char *name, int64_t deadline_ns, struct resolution *ret_found);

// SRV of the name, such as "_http._tcp.app.internal": *ret_found is malloced and the caller's; it has at
// least one service. Otherwise as resolver_lookup.
int resolver_services(struct resolver *resolver, const char *name, int64_t deadline_ns, struct services **ret_found);

#endif
