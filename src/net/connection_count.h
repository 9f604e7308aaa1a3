// How many connections there are, in all and from each client address; for the whole
// process, since a client's connections land on any thread.
//
// Sharded by address: threads meet only when the same part of the table is touched, and
// only when a connection comes or goes.
#ifndef USHER_NET_CONNECTION_COUNT_H
#define USHER_NET_CONNECTION_COUNT_H

#include "net/address.h"

#include <stdbool.h>
#include <stdint.h>

enum connection_verdict {
	CONNECTION_COUNTED,
	CONNECTION_TOO_MANY, // in all
	CONNECTION_TOO_MANY_FROM_CLIENT,
	CONNECTION_NO_MEMORY,
};

// Counts a connection of the client, unless a limit is reached (0: no limit). IPv6 clients
// are counted by their /64, of which anyone has as many addresses as he likes; those of
// UNIX sockets only in all.
enum connection_verdict connection_count_add(const struct address *client, uint32_t limit, uint32_t limit_per_client);

// The same, and says in the log why a connection is refused; whether it was counted.
bool connection_admit(const struct address *client, uint32_t limit, uint32_t limit_per_client);

// Takes back one that was counted.
void connection_count_remove(const struct address *client);

uint32_t connection_count_all(void);

#endif
