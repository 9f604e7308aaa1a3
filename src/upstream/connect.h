// Makes a connection to a server: its name, its addresses in turn, and the handshake of TLS. For
// the files of this folder.
#ifndef USHER_UPSTREAM_CONNECT_H
#define USHER_UPSTREAM_CONNECT_H

#include "upstream/connection.h"
#include "upstream/local.h"

// What is spoken is as `protocol` says, or as ALPN chooses. 0 and a connection that nobody else
// knows, with a reference to its server; `is_http2` tells
// what is to be spoken on it. Or -errno with *ret_fault filled in. Suspends. Where it had to wait for others (at a
// bound), it may get one of theirs, unless it is to be `fresh`.
int connect_new(struct server_local *local, enum server_protocol protocol, int64_t deadline_ns, bool fresh,
		struct fault *ret_fault, struct upstream_connection **ret_connection);

// A connection of one's own, outside of all bounds, to another port than the server's where that
// is not 0, and at one address of its name: HTTP/2 where that is what the server speaks, else
// HTTP/1.1. As connect_new otherwise.
int connect_aside(struct server_local *local, uint16_t port, int64_t deadline_ns, struct fault *ret_fault,
		  struct upstream_connection **ret_connection);

// Keeps words about TLS as long as the server: for a fault's detail.
const char *connect_keep_words(struct server_local *local, const char *words);

// Fills in *fault; returns `error`, a -errno.
int connect_fail(struct fault *fault, enum fault_kind kind, int error, const char *step, int64_t begun_ns);

#endif
