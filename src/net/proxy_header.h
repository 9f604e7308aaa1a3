// The PROXY protocol, versions 1 and 2 (haproxy.org/download/3.0/doc/proxy-protocol.txt): a header before the first
// byte of a connection, in which a balancer tells who its client is. Bytes in, an address out.
#ifndef USHER_NET_PROXY_HEADER_H
#define USHER_NET_PROXY_HEADER_H

#include "base/slice.h"
#include "net/address.h"

#include <stdbool.h>

enum {
	PROXY_HEADER_FIRST = 13, // bytes by which the versions are told apart; no header has fewer
	PROXY_HEADER_MAX = 1024, // with what more version 2 may tell
};

enum proxy_header_result {
	PROXY_HEADER_MORE,   // it is not whole: *ret_needed more bytes are part of it, for certain
	PROXY_HEADER_CLIENT, // whole: *ret_client has come
	PROXY_HEADER_LOCAL,  // whole: the balancer speaks for itself, or does not know
	PROXY_HEADER_WRONG,
};

// What the bytes so far (at least PROXY_HEADER_FIRST) say.
enum proxy_header_result proxy_header_read(struct slice bytes, size_t *ret_needed, struct address *ret_client);

#endif
