// What the files of a stream know of it, and nobody else.
#ifndef USHER_TLS_LOCAL_H
#define USHER_TLS_LOCAL_H

#include "tls/bio.h"
#include "tls/context.h"
#include "tls/stream.h"

#include <openssl/ssl.h>

enum tls_state {
	TLS_FRESH, // no handshake yet
	TLS_SHAKING,
	TLS_OPEN,
	TLS_SHUT,   // we have said that no more will come
	TLS_BROKEN, // failed; nothing can be said any more
};

struct tls_stream {
	struct stream stream; // first
	struct tls_wire wire;
	SSL *ssl;
	enum tls_state state;
	bool has_ended; // the other side said that no more will come
	bool resets_on_close;
	bool is_dry;	     // what has arrived and was not read is no whole record
	uint32_t messages;   // of the handshake protocol and alerts, since the handshake
	uint32_t unreported; // encrypted bytes of a write that are not yet reported as written
	int write_failed;    // -errno: a write was given up after it had begun
	struct tls_peer peer;
	const struct tls_server *server; // while shaking hands
	const struct tls_site *site;
	struct tls_sessions *sessions;
	enum tls_failure failure;
	const char *reason; // why it failed
	char *reason_text;  // its memory, when it is no literal
	struct deferred deferred;
};

// Sends what waits to be sent: 0, -ETIMEDOUT, -ECANCELED or another -errno. For the fiber that
// writes. Suspends.
int tls_stream_flush(struct tls_stream *tls, const char *what, int64_t deadline_ns);

// Fills in what the handshake found. False when memory is out.
bool tls_peer_fill(struct tls_stream *tls);
void tls_peer_clear(struct tls_stream *tls);

// Notes why, in words, after a call of OpenSSL failed; and empties its queue of errors.
void tls_stream_explain(struct tls_stream *tls);

#endif
