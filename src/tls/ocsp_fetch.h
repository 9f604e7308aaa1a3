// Asks a responder over HTTP. Blocks: for a thread of its own.
#ifndef USHER_TLS_OCSP_FETCH_H
#define USHER_TLS_OCSP_FETCH_H

#include "base/slice.h"

#include <openssl/ocsp.h>

enum { OCSP_FETCH_SECONDS = 15, OCSP_RESPONSE_MAX = 64 * 1024 };

// Sends the request to the URL (http://). NULL, and the response in DER, malloced; else why
// there is none, a literal. Gives up when `stop` becomes readable, but not before a name is
// resolved.
const char *ocsp_fetch(const char *url, const OCSP_REQUEST *request, int stop, struct slice *ret_response);

#endif
