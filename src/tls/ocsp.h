// What an authority says of a certificate today (OCSP, RFC 6960): questions and answers.
//
// Bytes in, verdict out; who fetches and keeps them is in staple.h.
#ifndef USHER_TLS_OCSP_H
#define USHER_TLS_OCSP_H

#include "base/slice.h"

#include <openssl/ocsp.h>
#include <stdbool.h>
#include <stdint.h>

// Seconds since 1970.
struct ocsp_answer {
	bool is_revoked;
	int64_t from_s, until_s;
};

// Reads a response, in DER, for the certificate: NULL, and the answer, when it is signed by
// the issuer or by whom the issuer lets speak, is of this certificate, says "good" or
// "revoked", and is of now; else why it cannot be used, a literal.
const char *ocsp_read(struct slice response, X509 *certificate, X509 *issuer, int64_t now_s,
		      struct ocsp_answer *ret_answer);

// What to ask. NULL when memory is out. Freed by OCSP_REQUEST_free.
OCSP_REQUEST *ocsp_request(X509 *certificate, X509 *issuer);

// Where the certificate says that answers are had, over plain HTTP (answers are signed);
// NULL: nowhere. Freed by free.
char *ocsp_responder(X509 *certificate);

// Whether clients refuse the certificate without an answer (RFC 7633).
bool ocsp_is_required(X509 *certificate);

#endif
