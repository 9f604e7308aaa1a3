// The client's side of TLS as configured: how the servers of a pool are verified, and by
// what usher proves itself to them.
//
// Made while a configuration is loaded, from the bytes that loading read, the system's list
// of authorities included, so that a worker without rights to files has all of it. Frozen
// from then on.
#ifndef USHER_TLS_CLIENT_H
#define USHER_TLS_CLIENT_H

#include "config/key.h"
#include "config/load.h"

#include <stdbool.h>
#include <stdint.h>

struct tls_client;
struct tls_sessions;

// What stands under `tls` of a pool: verify (default true), ca (a file; default: the
// system's), name (instead of the server's), certificate and key, min_version.
struct tls_client_config {
	struct config_place place;
	bool verify;
	struct config_file ca;
	struct config_text name;
	struct config_file certificate, key;
	int min_version; // index into "1.2", "1.3"
};

extern const struct config_section tls_client_section; // pools.NAME.tls

// Makes it; NULL config: all defaults, and `place` is where they are asked for. A warning
// says so where verification is off. NULL after config_error. Freed with the configuration;
// whoever holds it longer takes a reference.
struct tls_client *tls_client_load(struct config_load *load, const struct tls_client_config *config,
				   struct config_place place);
struct tls_client *tls_client_ref(struct tls_client *client);
void tls_client_unref(struct tls_client *client);

// Two that were made of the same settings and the same files have the same key, also after
// a reload.
uint64_t tls_client_key(const struct tls_client *client);

// The name to verify and to send instead of the server's own; empty: its own.
struct slice tls_client_name(const struct tls_client *client);

// The sessions of one server, to be resumed (RFC 8446 section 2.2); for one thread. NULL
// when memory is out.
struct tls_sessions *tls_sessions_new(void);
void tls_sessions_free(struct tls_sessions *sessions);

#endif
