// Names to addresses, through c-ares, without blocking the loop.
#ifndef USHER_NET_RESOLVER_H
#define USHER_NET_RESOLVER_H

#include "net/address.h"

#include <stdint.h>

enum { RESOLVER_ADDRESSES_MAX = 64 };

struct resolution {
	struct address addresses[RESOLVER_ADDRESSES_MAX]; // port 0
	unsigned count;
	int64_t ttl_ns; // the smallest of the answers'; at least a second
};

struct resolver;

// This thread's resolver; server is "address:port" of a DNS server or NULL for the system's
// (/etc/resolv.conf and /etc/hosts). NULL when memory is out.
struct resolver *resolver_new(const char *server);
void resolver_free(struct resolver *resolver);

// A and AAAA of the name. 0; -ENOENT (no such name or no addresses), -ETIMEDOUT, -ECANCELED,
// -EIO (the server's failure). Suspends until the deadline at most.
int resolver_lookup(struct resolver *resolver, const char *name, int64_t deadline_ns, struct resolution *ret_found);

#endif
