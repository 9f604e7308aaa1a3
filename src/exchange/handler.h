// Handlers: what turns a request into a response.
//
// Each feature that a route can use is a handler type: one file in src/handlers, with its
// configuration keys, its load function and its handle function. A route's handlers are
// called in the order of enum handler_order, whatever order the configuration names them
// in; each fills in the response, or calls exchange_next and looks at the response on the
// way back.
#ifndef USHER_EXCHANGE_HANDLER_H
#define USHER_EXCHANGE_HANDLER_H

#include "config/key.h"

#include <stdbool.h>

struct config_load;
struct exchange;
struct route;
struct snapshot;

// From the outermost to the innermost; docs/architecture.md explains the order.
enum handler_order {
	HANDLER_HTTPS,
	HANDLER_HSTS,
	HANDLER_SECURITY,
	HANDLER_FILTER,
	HANDLER_LIMITS,
	HANDLER_CLIENT_CERTIFICATE,
	HANDLER_CORS, // before access: preflights come without credentials
	HANDLER_ACCESS,
	HANDLER_RATE,
	HANDLER_REDIRECT,
	HANDLER_HEADERS,
	HANDLER_CACHE,
	HANDLER_COMPRESS,
	HANDLER_STRIP,
	HANDLER_REWRITE,
	HANDLER_RESPOND,
	HANDLER_PROXY,
	HANDLER_ORDER_COUNT,
};

struct handler_type {
	enum handler_order order;
	// The key that stands at the top, in a site, or in a route; its kind is usually
	// CONFIG_OPTIONAL, its offset has no meaning. Several types may not share a key.
	struct config_key key;
	// For a type without a key of its own (key.name NULL): whether the route has it. Its
	// load gets no value.
	bool (*applies)(const struct route *route);
	// Makes what `handle` gets from the loaded value (never NULL: routes without the key
	// have no such handler). Memory comes from the configuration's arena. Reports by
	// config_error and returns false. NULL: handle gets the loaded value itself.
	bool (*load)(struct config_load *load, struct snapshot *snapshot, const struct route *route, void *value,
		     const void **ret_config);
	// On the exchange's fiber; may suspend.
	void (*handle)(struct exchange *exchange, const void *config);
	// Whether a configuration keeps anybody out, so that no spelling of a path may get by it. NULL: it does not.
	bool (*guards)(const void *config);
	bool ends; // never calls exchange_next: a route needs exactly one of these
};

// One handler of a route.
struct handler_step {
	const struct handler_type *type;
	const void *config;
};

#endif
