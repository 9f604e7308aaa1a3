// The client's side of TLS as configured: how the servers of a pool are verified, and by
// what usher proves itself to them.
#ifndef USHER_TLS_CLIENT_H
#define USHER_TLS_CLIENT_H

#include "config/key.h"
#include "config/load.h"

#include <stdbool.h>
#include <stdint.h>

struct tls_client;
struct tls_sessions;

// What stands under `tls` of a pool: verify (default true), ca (a file; default: the
// system's), name (instead of the server's), certificate and key, min_version. The section
// has no name of its own: pools.NAME.tls.
struct tls_client_config {
	struct config_place place;
	bool verify;
	struct config_file ca;
	struct config_text name;
	struct config_file certificate, key;
	int min_version;
};

extern const struct config_section tls_client_section;

// Makes it, frozen; NULL config: all defaults. A warning says so where verification is off.
// NULL after config_error. Freed with the configuration; whoever holds it longer takes a
// reference.
struct tls_client *tls_client_load(struct config_load *load, const struct tls_client_config *config);
struct tls_client *tls_client_ref(struct tls_client *client);
void tls_client_unref(struct tls_client *client);

// Two that were made of the same settings have the same key, also after a reload.
uint64_t tls_client_key(const struct tls_client *client);

// The name to verify instead of the server's own; empty: its own.
struct slice tls_client_name(const struct tls_client *client);

// The sessions of one server, to be resumed (RFC 8446 section 2.2); for one thread.
struct tls_sessions *tls_sessions_new(void);
void tls_sessions_free(struct tls_sessions *sessions);

#endif
