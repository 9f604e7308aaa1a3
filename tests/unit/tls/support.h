// What the tests of tls streams share: certificates and contexts made on the spot, and both
// ends of a connection on one loop.
#ifndef USHER_TESTS_TLS_SUPPORT_H
#define USHER_TESTS_TLS_SUPPORT_H

#include "../net/support.h"
#include "tls/context.h"
#include "tls/server.h"
#include "tls/stream.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// An own client, where configured ones are not wanted.
struct tls_client {
	SSL_CTX *context;
	bool verifies;
};

struct test_identity {
	EVP_PKEY *key;
	X509 *certificate;
};

// A new P-256 key, and a certificate for it: signed by the issuer, or by itself. `names` as in
// openssl.cnf ("DNS:a.example,IP:127.0.0.1"); NULL: an authority.
struct test_identity test_identity(const char *common_name, const char *names, const struct test_identity *issuer,
				   long valid_seconds);
void test_identity_free(struct test_identity *identity);

// One authority, one site, one client who knows the authority.
struct test_world {
	struct test_identity authority, site_identity;
	struct tls_site site;
	struct tls_server server;
	struct tls_client client;
};

void test_world_make(struct test_world *world);
void test_world_free(struct test_world *world);

// A new context of a server with this identity, which sends tickets.
SSL_CTX *test_server_context(const struct test_identity *identity);

// Both ends of a connection.
struct test_ends {
	struct tls_stream *client, *server;
	enum tls_result client_result, server_result;
};

// Over TCP, before the handshake. `buffer_size`: for what each socket sends; 0: the kernel's.
void test_ends_open(struct test_ends *ends, int buffer_size);

// Both handshakes at once, to their ends.
void test_ends_shake(struct test_ends *ends, struct test_world *world, struct tls_sessions *sessions, const char *name,
		     struct slice alpn);

// Open, and shaken hands as site.example.
void test_ends_make(struct test_ends *ends, struct test_world *world);
void test_ends_close(struct test_ends *ends);

void test_tls_send(struct tls_stream *to, const char *text);
void test_tls_expect(struct tls_stream *from, const char *text);

// What the next read gives.
ssize_t test_tls_read_result(struct tls_stream *from);

#endif
