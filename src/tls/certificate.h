// A certificate of usher's own, with its key and the chain that leads up from it.
#ifndef USHER_TLS_CERTIFICATE_H
#define USHER_TLS_CERTIFICATE_H

#include "config/load.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// By which algorithm it signs; a client says which ones it takes.
enum certificate_kind { CERTIFICATE_ECDSA, CERTIFICATE_RSA, CERTIFICATE_EDDSA };
enum { CERTIFICATE_KINDS = 3 };

struct staple;

// What its authority says of it, to be sent along; see stapling.h.
struct certificate_staple {
	struct staple *fetched; // NULL: what a file held, if anything
	struct slice response;
	int64_t until_s;
	bool is_revoked;
};

struct certificate {
	struct config_place place; // what names it in the configuration
	const char *path, *key_path;
	enum certificate_kind kind;
	STACK_OF(X509) * chain; // the leaf first, as the file has them
	X509 *leaf;
	EVP_PKEY *key;
	struct slice *names; // those it is for: hosts in lower case, "*.example.com"
	size_t name_count;
	int64_t from_s, until_s; // when it is valid, in seconds since 1970
	struct certificate_staple staple;
};

// Loads it from the PEM files at the two paths, which may be the same; they are resolved as
// those that stand at the place of each. What is wrong is reported (false), what will be, or
// may be, as a warning; see certificate_check.h. Freed with the configuration.
bool certificate_load(struct config_load *load, const struct config_text *path, const struct config_text *key_path,
		      struct certificate *ret_certificate);

// Whether it is for the host (RFC 9525 section 6.3): "www.example.com", an address, or
// "*.example.com" for all of that level.
bool certificate_covers(const struct certificate *certificate, struct slice host);

// "*.example.com" of "www.example.com", which a wildcard must read to stand for it (RFC 9525
// section 6.3); .data is NULL for a host of one label.
struct slice certificate_wildcard(struct slice host, char *buffer, size_t size);

#endif
