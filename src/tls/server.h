// The server's side of TLS as configured: certificates by site, policy, client certificates.
//
// Made while a configuration is loaded, from the bytes that loading read; frozen from then
// on. Sessions and the keys of their tickets live outside (tickets.h) and survive a reload.
#ifndef USHER_TLS_SERVER_H
#define USHER_TLS_SERVER_H

#include "base/slice.h"
#include "config/key.h"
#include "config/load.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_site_config; // what the key `tls` of a site holds

// The key `tls`, as it stands at the top or in a site: certificate, key (several of each, or
// a folder), policy, client certificates, OCSP, redirect to https. Its value is a struct
// tls_site_config *.
extern const struct config_key tls_key;

// The key `tls_policy` of the top: the policy of each `tls` that has none of its own. Its
// value is an int, to be handed on as it is.
extern const struct config_key tls_policy_key;

// What a site's TLS is made of: what its own `tls` says (NULL: it has none), and what that
// leaves as the top's does (NULL as well), each key on its own; certificate, key and folder go
// together. `policy` is the value of tls_policy, NULL when it is absent. NULL when there is no
// certificate in either: the site has no TLS; or when memory is out, which is reported.
struct tls_site_config *tls_site_inherit(struct config_load *load, struct tls_site_config *own,
					 struct tls_site_config *top, const int *policy);

// Which fields tell servers of a client's certificate: X-Client-Certificate-*, those of RFC
// 9440, or both.
enum tls_certificate_fields {
	TLS_CERTIFICATE_FIELDS_OFF,
	TLS_CERTIFICATE_FIELDS_X,
	TLS_CERTIFICATE_FIELDS_STANDARD,
	TLS_CERTIFICATE_FIELDS_BOTH,
};

// One site's TLS, frozen. What others need of it stands here.
struct tls_site {
	uint64_t key;		   // the same for sites with the same settings, and after a reload: a
				   // connection made for one may be used for the other
	bool redirects;		   // requests that come without TLS are redirected
	bool requires_certificate; // of clients: nobody without one gets in
	enum tls_certificate_fields certificate_fields; // off where clients are not asked for one
	void *contexts;					// the files of this folder know
	const struct tls_site_config *config;
};

// Makes a site's TLS of what its `tls` holds (the same value may serve several sites; it is
// made once), and checks it against the site's hosts ("www.example.com", "*.example.com").
// What is wrong is reported with its place; what is near its end, or does not cover a host,
// as a warning. NULL after config_error. Freed with the configuration.
const struct tls_site *tls_site_load(struct config_load *load, struct tls_site_config *config,
				     const struct config_texts *hosts);

// All sites, as a handshake sees them; filled in by whoever owns the sites.
struct tls_server {
	// The site for a host in lower case; NULL: none, or one without TLS.
	const struct tls_site *(*find)(const struct tls_server *server, struct slice host);
	// For clients that name no host, or one that no site has; NULL: such a handshake is
	// refused (unrecognized_name, RFC 6066 section 3).
	const struct tls_site *standard;
	bool http2;  // is offered by ALPN, before HTTP/1.1
	void *first; // a context to begin handshakes with; see tls_server_prepare
};

// After find and standard are set; at least one site has TLS. False when memory is out,
// which is reported. Freed with the configuration.
bool tls_server_prepare(struct config_load *load, struct tls_server *server);

#endif
