// Streams over TLS (OpenSSL), both sides.
//
// One object: the socket, the SSL and what the handshake found. OpenSSL talks to the
// loop's kernel through a BIO of ours, so that a simulated one works as well; what it
// writes for one stream_write leaves in as few system calls as fit. While idle it keeps
// no buffers.
#ifndef USHER_TLS_STREAM_H
#define USHER_TLS_STREAM_H

#include "net/stream.h"
#include "net/tcp.h"
#include "tls/peer.h"

#include <stdint.h>

struct tls_client;
struct tls_server;
struct tls_sessions;
struct tls_stream;

// A stream whose socket is to be opened by the caller, in *tls_stream_tcp (tcp_open or
// tcp_connect). NULL when memory is out. Freed by tls_stream_free as long as no handshake
// was begun; by stream_close from then on.
struct tls_stream *tls_stream_new(void);
struct tcp_stream *tls_stream_tcp(struct tls_stream *tls);
void tls_stream_free(struct tls_stream *tls);

enum tls_result {
	TLS_DONE,
	TLS_TIMEOUT,
	TLS_CANCELLED,
	TLS_GONE,    // the other side closed or reset the connection
	TLS_NOT_TLS, // what came is no TLS record: plain HTTP, for one
	TLS_FAILED,  // an alert, in either direction; tls_stream_reason tells
	TLS_NO_MEMORY,
};

// The handshake as the server: the site is chosen by the client's SNI. Suspends.
enum tls_result tls_stream_accept(struct tls_stream *tls, const struct tls_server *server, int64_t deadline_ns);

// The handshake as a client; `name` is sent as SNI (but for addresses) and must be in the
// server's certificate, unless the client does not verify. `alpn` is in wire form
// ("\x02h2\x08http/1.1"), or empty. Sessions are resumed from, and kept in, `sessions` (NULL:
// not at all), which must outlive the stream. Suspends.
enum tls_result tls_stream_connect(struct tls_stream *tls, struct tls_client *client, struct tls_sessions *sessions,
				   struct slice name, struct slice alpn, int64_t deadline_ns);

// Whose objection it was, where the result is TLS_FAILED.
enum tls_failure {
	TLS_FAILURE_PROTOCOL,
	TLS_FAILURE_CERTIFICATE, // of the other side: it is not good, or not for the name
	TLS_FAILURE_ALERT,	 // the other side sent one
};
enum tls_failure tls_stream_failure(const struct tls_stream *tls);

// Why the handshake failed, in words: "certificate has expired", "unknown ca (alert from
// the client)". A literal, or of the stream's memory.
const char *tls_stream_reason(const struct tls_stream *tls);

// What ALPN chose: "h2", "http/1.1", or empty.
struct slice tls_stream_protocol(const struct tls_stream *tls);

// As any other stream, once the handshake is done.
struct stream *tls_stream_stream(struct tls_stream *tls);
const struct tls_peer *tls_stream_peer(const struct tls_stream *tls);

#endif
