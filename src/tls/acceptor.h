// Accepts TLS connections: from the accepted socket to a finished handshake.
//
// Before the first byte a connection is parked, without fiber. Handshakes have a deadline,
// and bounds: how many are under way, and how many a client address may begin.
#ifndef USHER_TLS_ACCEPTOR_H
#define USHER_TLS_ACCEPTOR_H

#include "net/address.h"
#include "tls/stream.h"

#include <stdbool.h>
#include <stdint.h>

struct tls_acceptor;

struct tls_acceptor_settings {
	uint32_t handshakes;   // under way in this thread; others wait, parked; 0: no limit
	int64_t timeout_ns;    // from the accept to the end of the handshake
	uint32_t client_rate;  // handshakes a second for each client address (IPv6: /64), in all threads; 0: no limit
	uint32_t client_burst; // that may come at once
	uint32_t connections, connections_per_client; // as limits.*; 0: no limit
};

// Called in a fiber for each finished handshake, which may end at once. The callee owns the
// stream and its count (connection_count_add).
typedef void tls_accepted(void *argument, struct tls_stream *tls, const struct address *peer, const char *listener);

// One for each thread. NULL when memory is out.
struct tls_acceptor *tls_acceptor_new(const struct tls_acceptor_settings *settings, tls_accepted *accepted,
				      void *argument);
void tls_acceptor_set(struct tls_acceptor *acceptor, const struct tls_acceptor_settings *settings);

// Whom to ask for the sites of a handshake that begins, and whom to tell when it has
// ended: the configuration may be replaced meanwhile.
struct tls_server_source {
	const struct tls_server *(*borrow)(struct tls_server_source *source, void **ret_hold);
	void (*give_back)(struct tls_server_source *source, void *hold);
};

// Takes over an accepted descriptor. `listener` lives as long as the acceptor.
void tls_acceptor_accept(struct tls_acceptor *acceptor, struct tls_server_source *source, int descriptor,
			 const struct address *peer, const char *listener);

// How many connections have not finished their handshake.
uint32_t tls_acceptor_connections(const struct tls_acceptor *acceptor);

// Closes those that have not begun a handshake.
void tls_acceptor_drain(struct tls_acceptor *acceptor);

// Closes those that are parked, and cancels the others. Takes effect while the loop turns.
void tls_acceptor_abort(struct tls_acceptor *acceptor);

// No connection may be left.
void tls_acceptor_free(struct tls_acceptor *acceptor);

#endif
