// An authentication service that is asked about each visitor (as nginx's auth_request and Traefik's ForwardAuth do).
// For the files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_FORWARD_H
#define USHER_HANDLERS_ACCESS_FORWARD_H

#include "config/load.h"
#include "exchange/exchange.h"
#include "exchange/snapshot.h"

#include <stdbool.h>

struct proxy_config;

// By what a visitor is known whom it has let in.
enum access_forward_by {
	ACCESS_FORWARD_BY_HOST,
	ACCESS_FORWARD_BY_METHOD,
	ACCESS_FORWARD_BY_TARGET,
	ACCESS_FORWARD_BY_CLIENT,
	ACCESS_FORWARD_BY_FIELD,
};

struct access_forward {
	struct config_place place;
	struct config_texts to;
	struct config_text path, user, groups;
	struct config_texts take;
	int64_t body_bytes;  // 0: the body does not go there
	int64_t remember_ns; // 0: it is asked each time
	struct config_texts by_texts;
	// Made of these.
	struct proxy_config *proxy;
	enum access_forward_by *by;
	struct slice *by_names; // of those that are fields
	size_t by_count;
	uint64_t digest; // of what it is asked, and of what it tells
};

extern const struct config_section access_forward_section;

// False after config_error.
bool access_forward_load(struct config_load *load, struct snapshot *snapshot, const struct route *route,
			 struct access_forward *forward);

// Asks the service. True: it lets him in, and what it tells of him is in exchange->user and ->groups, and in *ret_told
// the fields that `take` names. False: the response is what the service answered, or the exchange has failed. Suspends.
bool access_forward_ask(struct exchange *exchange, const struct access_forward *forward, struct fields *ret_told);

#endif
