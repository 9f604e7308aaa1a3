// Sticky: the section `sticky` of a pool, by which a visitor meets the same server again.
//
// A server is known by its token, a number that tells nothing of it and that nobody can make up who
// does not know the pool's secret. It comes back in a cookie of usher's own; or it follows from the
// application's cookie: from its suffix, as mod_proxy_balancer's routes do, or from a table of what
// servers set (sticky_table.h).
#ifndef USHER_UPSTREAM_STICKY_H
#define USHER_UPSTREAM_STICKY_H

#include "base/hash.h"
#include "config/key.h"
#include "config/load.h"

#include <stdbool.h>
#include <stdint.h>

struct exchange;
struct pick;
struct pool;
struct server;
struct server_config;

struct sticky_config {
	struct config_place place;
	struct config_text cookie; // usher's own
	struct config_text learn;  // the application's
	struct config_text path, domain;
	int secure;    // enum sticky_secure
	int same_site; // index into the names
	bool http_only;
	int64_t max_age_ns; // 0: until the browser ends
	int lost;	    // enum sticky_lost
	struct config_text secret;
	struct hash_key key; // made of the secret
};

enum sticky_lost {
	STICKY_ANOTHER, // the visitor gets another server
	STICKY_REFUSE,	// 503
};

extern const struct config_section sticky_section;

// Which token a server has, as configured: of its `route` with `learn`, else of its name.
uint64_t sticky_token(const struct sticky_config *sticky, const struct server_config *server);

uint64_t sticky_token_of(const struct hash_key *key, struct slice name);

// Fills in pick->token of the request: 0 where it says nothing of a server. Does not suspend or
// allocate.
void sticky_ask(const struct sticky_config *sticky, struct pool *pool, const struct exchange *exchange,
		struct pick *pick);

// The server has answered: sets the cookie, where the visitor has not this one; or learns from what
// the server set. False when memory is out.
bool sticky_answer(const struct sticky_config *sticky, struct pool *pool, const struct pick *pick,
		   const struct server *server, struct exchange *exchange);

#endif
