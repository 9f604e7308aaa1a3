// Accepted connections on which a balancer first tells who its client is (net/proxy_header.h): read, and handed on
// without it.
#ifndef USHER_NET_PROXY_ACCEPTOR_H
#define USHER_NET_PROXY_ACCEPTOR_H

#include "net/address.h"

#include <stdbool.h>
#include <stdint.h>

struct proxy_acceptor;

// Called on a fiber that ends then, with a descriptor that is the callee's, and the client. `tag` and `name` are as
// given.
typedef void proxy_accepted(void *argument, int tag, int descriptor, const struct address *client, const char *name);

// One for each thread. NULL when memory is out.
struct proxy_acceptor *proxy_acceptor_new(proxy_accepted *accepted, void *argument);

// Takes over an accepted descriptor. What is no header, or does not come in time, ends the connection, which is logged.
// `name` lives as long as the acceptor.
void proxy_acceptor_accept(struct proxy_acceptor *acceptor, int tag, int descriptor, const struct address *peer,
			   const char *name, int64_t timeout_ns);

// How many have not told yet.
uint32_t proxy_acceptor_connections(const struct proxy_acceptor *acceptor);

// Closes them. Takes effect while the loop turns.
void proxy_acceptor_abort(struct proxy_acceptor *acceptor);

// No connection may be left. NULL is allowed.
void proxy_acceptor_free(struct proxy_acceptor *acceptor);

#endif
