// Certificates for tests, made by OpenSSL in memory, and files that hold them without a disk.
#ifndef USHER_TESTS_TLS_PKI_H
#define USHER_TESTS_TLS_PKI_H

#include "config/load.h"

#include <openssl/x509.h>
#include <stdbool.h>

// A certificate with its key. Both live until pki_free_all.
struct pki {
	X509 *certificate;
	EVP_PKEY *key;
};

// What a certificate says, beside the defaults: ECDSA P-256, SHA-256, from yesterday to 90 days
// from now.
struct pki_wishes {
	const char *subject;  // the common name
	const char *names;    // "DNS:a.example,DNS:*.b.example,IP:10.0.0.1"; NULL: none
	const char *key;      // "ecdsa", "p384", "p521", "rsa1024", "rsa2048", "ed25519", "dsa"
	const char *purpose;  // "serverAuth"; NULL: any
	const char *access;   // authority information access: "OCSP;URI:http://..."; NULL: none
	const char *features; // "status_request"; NULL: none
	const char *digest;   // "SHA1"
	bool is_authority;
	long from_seconds, to_seconds; // from now; 0: the default
};

// Issued by `issuer`; NULL: self-signed.
struct pki pki_issue(const struct pki *issuer, const struct pki_wishes *wishes);

// An authority that signs itself, and one that it issued.
struct pki pki_root(const char *subject);
struct pki pki_intermediate(const struct pki *root, const char *subject);

// A list of what the authority has revoked: one certificate or none (NULL).
X509_CRL *pki_revoke(const struct pki *authority, const X509 *certificate, long to_seconds);

// --- Files. A path may be given anew. They are there until pki_free_all.

void pki_file(const char *path, struct slice content);
// One behind the other in PEM; ends with NULL.
void pki_file_certificates(const char *path, const struct pki *first, ...);
void pki_file_key(const char *path, const struct pki *pki);
void pki_file_locked_key(const char *path, const struct pki *pki);
// The certificate, those above it (ends with NULL), and then its key.
void pki_file_both(const char *path, const struct pki *first, ...);
void pki_file_list(const char *path, X509_CRL *list);
// Others than the owner may read files whose path begins so; NULL: none.
void pki_open_to_others(const char *start);
void pki_file_remove(const char *path);

// Where configurations find these files.
struct config_source *pki_source(void);

void pki_free_all(void);

#endif
