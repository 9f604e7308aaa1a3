// Sites with TLS from a few lines of configuration, and handshakes with them in memory.
#ifndef USHER_TESTS_TLS_SERVER_SUPPORT_H
#define USHER_TESTS_TLS_SERVER_SUPPORT_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "pki.h"
#include "tls/server.h"

#include <openssl/ssl.h>

enum { TEST_SITES_MAX = 8 };

// A configuration of sites; those without a host are the standard site.
struct test_server {
	bool good;
	char *messages;
	struct config *config;
	struct tls_server server; // first in what `find` is given
	size_t count;
	const struct tls_site *sites[TEST_SITES_MAX];
	const struct config_texts *hosts[TEST_SITES_MAX];
};

// Loads a text such as "tls: {...}\nsites: [{host: a.example, tls: {...}}]" from "a.yaml" with
// the files of pki.h. Freed by test_server_free.
struct test_server test_server_load(const char *text);
void test_server_free(struct test_server *server);

// The same, where nothing is to be wrong, and where exactly that is to be said.
struct test_server test_server_good(const char *text);
void test_server_expect(const char *text, bool good, const char *messages);

// How a client's handshake went.
struct test_handshake {
	bool done;
	int alert; // that the server sent; 0: none
	const struct tls_site *site;
	const char *reason; // as noted
	int version;
	char cipher[64], group[32], protocol[16];
	bool resumed;
	long verify_result; // the client's certificate, as the server sees it
	bool showed_certificate;
	X509 *certificate;    // of the server, as the client sees it; freed by test_handshake_free
	SSL_SESSION *session; // to resume; the same
	struct slice staple;  // the same
};

// What a client wants, beside: no name, no protocols, no certificate, all versions.
struct test_client {
	const char *name;
	struct slice protocols; // in wire form
	int version;		// the only one; 0: any
	const char *suites;	// of TLS 1.2
	const char *signatures;
	const char *groups;
	const struct pki *certificate;
	SSL_SESSION *session;
	bool wants_staple;
};

struct test_handshake test_handshake(const struct test_server *server, const struct test_client *client);
void test_handshake_free(struct test_handshake *handshake);

#endif
