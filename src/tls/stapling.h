// What stands under `tls.ocsp`: which of a site's certificates have an answer to be stapled.
#ifndef USHER_TLS_STAPLING_H
#define USHER_TLS_STAPLING_H

#include "tls/certificate.h"

#include <openssl/ssl.h>
#include <stdbool.h>

// Fills in the staples of the certificates: from files, or to be fetched. False after
// config_error. Given back with the configuration.
bool stapling_load(struct config_load *load, const struct config_texts *ocsp, struct certificate *certificates,
		   size_t count);

// Has handshakes of the context, whose app data is a struct tls_set, send staples along.
void stapling_attach(SSL_CTX *context);

#endif
