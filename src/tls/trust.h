// Whom usher trusts to say who a server is: certificates of authorities.
#ifndef USHER_TLS_TRUST_H
#define USHER_TLS_TRUST_H

#include "config/load.h"

#include <openssl/x509.h>

// The authorities of a PEM file; NULL, and *ret_wrong says why in words. Freed by
// X509_STORE_free.
X509_STORE *trust_from(struct slice pem, const char **ret_wrong);

// The system's authorities, from where distributions keep them; *ret_pem lives as long as
// the configuration. Those of one content are parsed once. NULL after config_error at
// `place`, which asked for them.
X509_STORE *trust_of_system(struct config_load *load, struct config_place place, struct slice *ret_pem);

#endif
