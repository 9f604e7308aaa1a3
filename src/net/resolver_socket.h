// The sockets of c-ares, watched by the loop. For resolver.c alone.
#ifndef USHER_NET_RESOLVER_SOCKET_H
#define USHER_NET_RESOLVER_SOCKET_H

#include "base/list.h"

#include <ares.h>

struct resolver_sockets;

// A socket can be read or written (the other is ARES_SOCKET_BAD): c-ares has work.
typedef void resolver_sockets_ready(struct resolver_sockets *sockets, int readable, int writable);

struct resolver_sockets {
	struct list_link open;
	resolver_sockets_ready *ready;
};

// Fills in the part of `options` that ARES_OPT_SOCK_STATE_CB stands for.
void resolver_sockets_init(struct resolver_sockets *sockets, resolver_sockets_ready *ready,
			   struct ares_options *options);

// Makes the channel open its sockets here; it closes them all in ares_destroy.
void resolver_sockets_use(struct resolver_sockets *sockets, ares_channel channel);

#endif
