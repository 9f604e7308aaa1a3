// Certificates of clients: whether they are asked for, and who must have issued them.
#ifndef USHER_TLS_CLIENT_AUTH_H
#define USHER_TLS_CLIENT_AUTH_H

#include "config/load.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

enum client_auth_mode { CLIENT_AUTH_OFF, CLIENT_AUTH_OPTIONAL, CLIENT_AUTH_REQUIRED };

// What stands under `client_certificate`.
struct client_auth_config {
	struct config_place place;
	int mode; // enum client_auth_mode
	struct config_file ca, crl;
	int64_t depth;
	int fields; // enum tls_certificate_fields
};

extern const struct config_section client_auth_section;

// The same, ready for handshakes.
struct client_auth {
	enum client_auth_mode mode;
	int depth;
	X509_STORE *store;		   // NULL when mode is off
	STACK_OF(X509_NAME) * authorities; // that clients are told
};

// False after config_error. Freed with the configuration.
bool client_auth_load(struct config_load *load, const struct client_auth_config *config,
		      struct client_auth *ret_client_auth);

// Has handshakes of the context ask for certificates as told. False when memory is out.
bool client_auth_apply(const struct client_auth *client_auth, SSL_CTX *context);

// Lets a connection that began with another context do what `context` does.
void client_auth_follow(SSL *ssl, const SSL_CTX *context);

#endif
