// The authority's word on a certificate, sent along in handshakes (stapled, RFC 6066 section 8).
//
// Fetched ones are of the process: found by the certificate, shared by all configurations that
// have it, kept over reloads, and renewed at half their life by a thread of their own. What has
// expired, or cannot be verified, is never sent.
#ifndef USHER_TLS_STAPLE_H
#define USHER_TLS_STAPLE_H

#include "base/slice.h"
#include "tls/ocsp.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

struct staple;

// The one of the certificate, whose answers come from `url`. Nothing is fetched before
// staple_fetch_start, and all in the background. NULL when memory is out.
struct staple *staple_get(X509 *certificate, X509 *issuer, const char *url);
void staple_unref(struct staple *staple); // the last one forgets it

// A copy of the response for OpenSSL to own (OPENSSL_free); false when there is none that is
// good now. From any thread.
bool staple_copy(struct staple *staple, int64_t now_s, unsigned char **ret_response, size_t *ret_length);

// Begins to fetch, for the whole process: 0 or -errno. Ends it; waits for the thread.
int staple_fetch_start(void);
void staple_fetch_stop(void);

// When an answer is to be renewed that was fetched now, and when to ask again after so many
// failures in a row.
int64_t staple_renewal(const struct ocsp_answer *answer, int64_t now_s);
int64_t staple_retry(unsigned failures, int64_t now_s);

#endif
