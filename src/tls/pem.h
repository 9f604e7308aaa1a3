// Certificates and keys out of the bytes of PEM files (RFC 7468), by OpenSSL.
#ifndef USHER_TLS_PEM_H
#define USHER_TLS_PEM_H

#include "base/slice.h"

#include <openssl/x509.h>

// All certificates, in order; other blocks are passed over. NULL, and *ret_wrong says why in
// words: none is there, one is broken, or memory is out.
STACK_OF(X509) * pem_certificates(struct slice pem, const char **ret_wrong);

// The first private key; NULL, and *ret_wrong says why.
EVP_PKEY *pem_private_key(struct slice pem, const char **ret_wrong);

#endif
