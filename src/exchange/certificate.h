// What a client's certificate says of it: for rules, variables, fields to servers and logs.
//
// A certificate is the word of whoever made it. Only once it is verified does usher tell
// whom it names; until then it tells the fingerprint, which nobody else's certificate can
// have, and why it was not verified.
#ifndef USHER_EXCHANGE_CERTIFICATE_H
#define USHER_EXCHANGE_CERTIFICATE_H

#include "base/slice.h"

#include <stdbool.h>

struct exchange;
struct fields;
struct tls_certificate;

struct certificate_texts {
	struct slice verification;		     // "SUCCESS", "FAILED:" and why, or "NONE"; empty without TLS
	struct slice subject, issuer, names, serial; // empty unless verified
	struct slice fingerprint;		     // SHA-256, in lower-case hexadecimal
};

// Of the certificate that was shown on the exchange's connection, for as long as it lasts.
void certificate_texts(const struct exchange *exchange, struct certificate_texts *ret_texts);

// The certificate itself, NULL unless one was shown and verified.
const struct tls_certificate *certificate_verified(const struct exchange *exchange);

// Takes off what a client says of its certificate, which only usher knows: fields whose names
// begin with X-Client-Certificate-, and those of RFC 9440 (Client-Cert, Client-Cert-Chain);
// also with "_" for "-", which many servers take for the same.
void certificate_remove_fields(struct fields *fields);

#endif
