// The steps of loading a snapshot, as the files that do them share them.
#ifndef USHER_EXCHANGE_SNAPSHOT_LOAD_H
#define USHER_EXCHANGE_SNAPSHOT_LOAD_H

#include "exchange/snapshot_keys.h"

enum { FAILED_MAX = 64 };

struct snapshot_loading {
	struct config_load *load;
	struct snapshot *snapshot;
	const struct snapshot_schema *schema;
	const struct top_config *top;
	bool keys_were_wrong; // so that what is missing may be there, misspelt
	// Values that a handler could not be made of: what many routes inherit is reported once.
	const void *failed[FAILED_MAX];
	size_t failed_count;
};

// What routes inherit from a site, or sites from the top.
struct inherited {
	const struct limits *limits;
	const struct timeouts *timeouts;
	const struct error_pages *errors;
};

// What a scope has: what is written there over what it inherits. False after config_error.
bool scope_inherit(struct snapshot_loading *loading, const struct scope *scope, const struct inherited *outer,
		   struct inherited *ret_inherited);

// Whether a key of a handler that ends stands in the scope.
bool scope_ends(const struct snapshot_schema *schema, const struct scope *scope);

// Whether at most one does. False after config_error.
bool scope_check_ends(struct snapshot_loading *loading, const struct scope *scope);

// Makes all sites, without their routes. False after config_error.
bool sites_load(struct snapshot_loading *loading);

// Makes their routes. False after config_error.
bool sites_load_routes(struct snapshot_loading *loading, const struct inherited *top);

// A site's TLS, by its scope (NULL for the site that the top stands for) and the top's. False
// after config_error.
bool site_tls_load(struct snapshot_loading *loading, struct site *site, const struct scope *scope,
		   const struct config_texts *hosts);

// Whether a site has TLS, once sites are made.
bool snapshot_has_tls(const struct snapshot *snapshot);

// What the handshakes of listeners are made with, once sites and listens are made. False after
// config_error.
bool tls_servers_load(struct snapshot_loading *loading);

// Makes the routes of a site, whose other fields stand: those written in the list, and where
// the site or the top answers by itself, one for what they leave. `scope` is the site's, or
// NULL for the site that the top stands for. False after config_error.
bool routes_load(struct snapshot_loading *loading, struct site *site, const struct config_list *list,
		 const struct scope *scope, const struct inherited *inherited);

// The handlers of a route, whose other fields stand, from what its scopes have, the innermost
// first; entries of `scopes` may be NULL. NULL after config_error.
enum { SCOPES = 3 };
const struct handler_step *steps_load(struct snapshot_loading *loading, const struct route *route,
				      const struct scope *const scopes[SCOPES]);

#endif
