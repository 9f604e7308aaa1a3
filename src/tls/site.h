// A site's TLS from its configuration to the contexts that handshakes are made with; for the
// files of this folder.
#ifndef USHER_TLS_SITE_H
#define USHER_TLS_SITE_H

#include "tls/certificate.h"
#include "tls/client_auth.h"
#include "tls/policy.h"
#include "tls/server.h"

#include <openssl/ssl.h>
#include <stdbool.h>

// What stands under `tls`.
struct tls_site_config {
	struct config_place place;
	struct config_texts certificates, keys;
	struct config_text folder;
	int policy; // enum tls_policy
	struct client_auth_config *client_certificate;
	struct config_texts ocsp;
	bool redirect;
	bool tickets;
	bool was_loaded;	   // also when nothing could be made of it
	struct tls_contexts *made; // NULL: not yet, or it could not
	size_t site_count;
};

// One set of certificates: at most one of each kind.
struct tls_set {
	SSL_CTX *context;
	const struct certificate *certificates[CERTIFICATE_KINDS];
	struct tls_set *next; // of those that begin with the same certificate
};

// A host of certificates, and the set that is best for it.
struct tls_name {
	struct slice name; // lower case; "*.example.com"
	const struct tls_set *set;
};

// All that is made of one `tls`.
struct tls_contexts {
	struct tls_site site;
	struct certificate *certificates;
	size_t certificate_count;
	struct tls_name *names; // sorted
	size_t name_count;
	const struct tls_set *standard; // where no name fits
	// Sessions are resumed only where this is the same: who was let in with one must not get
	// in elsewhere. Differs from site.key where a file of authorities was replaced.
	unsigned char session_context[32];
};

// The set for a host in lower case, empty when the client named none.
const struct tls_set *tls_contexts_find(const struct tls_contexts *contexts, struct slice host);

// Loads the certificates that the configuration names, by files or by a folder, in a stable
// order. False after config_error.
bool site_certificates_load(struct config_load *load, const struct tls_site_config *config,
			    struct certificate **ret_certificates, size_t *ret_count);

// Fills in names and standard. `new_context` makes the context of a set, freed with the
// configuration; NULL after config_error. False after config_error.
bool tls_sets_build(struct config_load *load, struct tls_contexts *contexts,
		    SSL_CTX *(*new_context)(struct config_load *load, void *argument, const struct tls_set *set),
		    void *argument);

// Has handshakes of the context choose a site, and then be made by what it says; see
// server.c. For the context to begin with, and for those to go on with.
void tls_server_attach(SSL_CTX *context);

#endif
