// The handler `proxy`: sends the request to a server of a pool and passes its response on.
#ifndef USHER_HANDLERS_PROXY_H
#define USHER_HANDLERS_PROXY_H

#include "config/key.h"
#include "exchange/handler.h"
#include "handlers/proxy_request.h"

struct pool_config;
struct retry_config;

struct proxy_config {
	struct config_place place;
	struct config_texts to;	 // a pool's name, or addresses
	struct config_text host; // "preserve", "server", or a name
	int forwarded;		 // enum proxy_forwarded
	struct config_text deadline;
	struct config_texts checks;
	uint64_t check_bits;	    // of those that a server must pass
	struct retry_config *retry; // NULL: the pool's
	struct proxy_request_options request;
	struct pool_config *pool;
};

extern const struct handler_type proxy_handler;

// What the handler needs to ask other servers than the route's: each under its own name. NULL after config_error.
struct proxy_config *proxy_config_to(struct config_load *load, struct snapshot *snapshot, const struct route *route,
				     const struct config_texts *to);

#endif
