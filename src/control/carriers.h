// What carries the requests of a thread's clients: TLS handshakes, HTTP/1.1 and HTTP/2.
//
// An accepted connection goes by what its port speaks: through a handshake, whose ALPN
// chooses the version of HTTP; through a look at its first bytes; or straight to HTTP/1.1.
#ifndef USHER_CONTROL_CARRIERS_H
#define USHER_CONTROL_CARRIERS_H

#include "http/transaction.h"
#include "net/address.h"

#include <stdbool.h>
#include <stdint.h>

struct carriers;
struct listen;
struct snapshot;

// For the calling thread; requests are answered by the service. NULL when memory is out.
struct carriers *carriers_new(struct http_service *service, struct snapshot *snapshot);

// New limits and times, from now on for connections that exist too; handshakes that begin
// get the certificates of this snapshot.
void carriers_set(struct carriers *carriers, struct snapshot *snapshot);

// Takes over an accepted descriptor of a port that is configured so. `name` is the port's,
// and lives as long as the carriers.
void carriers_accept(struct carriers *carriers, const struct listen *listen, int descriptor, const struct address *peer,
		     const char *name);

// The steps of a drain, as h1_server.h describes them.
void carriers_announce_drain(struct carriers *carriers);
void carriers_drain(struct carriers *carriers);
void carriers_abort(struct carriers *carriers);

uint32_t carriers_connections(const struct carriers *carriers);

// No connection may be left. NULL is allowed.
void carriers_free(struct carriers *carriers);

#endif
