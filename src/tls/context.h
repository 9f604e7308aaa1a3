// What a stream's handshake and the contexts that it is made with know of each other; for
// the files of this folder.
#ifndef USHER_TLS_CONTEXT_H
#define USHER_TLS_CONTEXT_H

#include "base/slice.h"

#include <openssl/ssl.h>
#include <stdbool.h>

struct tls_client;
struct tls_server;
struct tls_sessions;
struct tls_site;

// --- Of the stream whose SSL it is, for the callbacks of a context. All of them are called
// within a handshake, but for tls_stream_sessions.

// The sites to choose from; NULL in a client's handshake.
const struct tls_server *tls_stream_server(const SSL *ssl);

// The host that the client asked for, in lower case, which is copied (struct tls_peer tells
// others). False when memory is out.
bool tls_stream_note_server_name(SSL *ssl, struct slice host);

// The site that was chosen (struct tls_peer tells others), and the one noted last; NULL
// before.
void tls_stream_note_site(SSL *ssl, const struct tls_site *site);
const struct tls_site *tls_stream_site(const SSL *ssl);

// Why the handshake is about to fail, in words for the log, where the words of OpenSSL's
// error would be worse. A literal; the first one stands.
void tls_stream_note_reason(SSL *ssl, const char *reason);

// Where the new sessions of a client's stream are kept; NULL: nowhere. While the stream lives.
struct tls_sessions *tls_stream_sessions(const SSL *ssl);

// --- Of a client and of its sessions, for the stream that connects.

SSL_CTX *tls_client_context(const struct tls_client *client);

// Whether the server's certificate must be good, and for the name that was asked for.
bool tls_client_verifies(const struct tls_client *client);

// The session to resume next, whose reference is the caller's; NULL: none.
SSL_SESSION *tls_sessions_take(struct tls_sessions *sessions);

// Keeps a session; takes over its reference.
void tls_sessions_keep(struct tls_sessions *sessions, SSL_SESSION *session);

#endif
