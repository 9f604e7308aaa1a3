// What a TLS handshake established about who is at the other end; for rules, fields and logs.
#ifndef USHER_TLS_PEER_H
#define USHER_TLS_PEER_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

// The certificate that a client showed; all texts are of the peer's memory, and of printable
// ASCII only: other bytes are written \XX, so that they fit into fields and logs.
struct tls_certificate {
	bool is_verified;
	struct slice verification;    // "SUCCESS", or "FAILED:" and the reason, for fields to servers
	struct slice subject, issuer; // RFC 2253
	struct slice names;	      // subject alternative names: "DNS:a.example, email:b@example";
				      // a comma within one is written \2C
	struct slice serial;	      // hexadecimal
	struct slice fingerprint;     // SHA-256, hexadecimal, lower case
	struct slice der;	      // the certificate itself, for Client-Cert (RFC 9440)
};

// Lives as long as its stream.
struct tls_peer {
	uint64_t site;		  // the key of the struct tls_site that the handshake was made for
	struct slice server_name; // as the client sent it, in lower case; empty when it did not
	const char *version;	  // "TLSv1.3"
	const char *cipher;
	bool resumed;
	const struct tls_certificate *certificate; // NULL: none was shown
};

#endif
