// An authentication service that is asked about each visitor (as nginx's auth_request and Traefik's ForwardAuth do).
// For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_FORWARD_H
#define USHER_HANDLERS_ACCESS_FORWARD_H

#include "config/load.h"
#include "exchange/exchange.h"
#include "exchange/snapshot.h"

#include <stdbool.h>

struct proxy_config;

struct access_forward {
	struct config_place place;
	struct config_texts to;
	struct config_text path, user, groups;
	struct config_texts take;
	int64_t body_bytes;	    // 0: the body does not go there
	struct proxy_config *proxy; // made of `to`
};

extern const struct config_section access_forward_section;

// False after config_error.
bool access_forward_load(struct config_load *load, struct snapshot *snapshot, const struct route *route,
			 struct access_forward *forward);

// Asks the service. True: it lets him in, and what it tells of him is in exchange->user and ->groups, and in *ret_told
// the fields that `take` names. False: the response is what the service answered, or the exchange has failed. Suspends.
bool access_forward_ask(struct exchange *exchange, const struct access_forward *forward, struct fields *ret_told);

#endif
