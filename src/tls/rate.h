// How often each client may begin a handshake: a token bucket for each address, for the whole
// process, in memory that does not grow.
//
// When more clients come than there is room for, the one that was idle longest is forgotten,
// which gives it a full bucket: a flood from many addresses is not held up by this, and nobody
// is refused because of others.
#ifndef USHER_TLS_RATE_H
#define USHER_TLS_RATE_H

#include "net/address.h"

#include <stdbool.h>
#include <stdint.h>

// Takes one from the bucket of the client, of at most `burst` (at least 1), into which come
// `rate` each second (at least 1): false when it is empty. IPv6 clients are told apart by their
// /64; those of UNIX sockets have no bound. From any thread.
bool tls_rate_take(const struct address *client, uint32_t rate, uint32_t burst, int64_t now_ns);

#endif
