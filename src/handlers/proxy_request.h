// The request as it goes to a server: what the client asked, in usher's own words.
#ifndef USHER_HANDLERS_PROXY_REQUEST_H
#define USHER_HANDLERS_PROXY_REQUEST_H

#include "base/slice.h"
#include "exchange/exchange.h"
#include "http/client.h"
#include "upstream/server.h"

#include <stdbool.h>

enum proxy_host { PROXY_HOST_PRESERVE, PROXY_HOST_SERVER, PROXY_HOST_FIXED };
enum proxy_forwarded { PROXY_FORWARDED_BOTH, PROXY_FORWARDED_X, PROXY_FORWARDED_STANDARD, PROXY_FORWARDED_OFF };

struct proxy_request_options {
	enum proxy_host host;
	struct slice host_text; // with PROXY_HOST_FIXED
	enum proxy_forwarded forwarded;
	struct slice deadline_field; // empty: servers are not told
};

// Makes the request for the servers of a pool, once for all tries, and takes the hop-by-hop
// fields off the client's (RFC 9110 section 7.6.1). Lends the exchange's memory. False when
// memory is out.
bool proxy_request_make(struct exchange *exchange, const struct proxy_request_options *options,
			struct client_request *ret_request);

// Addresses it to one server, whose name is lent.
void proxy_request_address(struct client_request *request, const struct exchange *exchange,
			   const struct proxy_request_options *options, const struct server *server);

// Tells the server how many milliseconds are left until the deadline, where that is wished and
// there is one (not FIBER_NEVER). For each try anew. False when memory is out.
bool proxy_request_tell_deadline(struct client_request *request, struct exchange *exchange,
				 const struct proxy_request_options *options, int64_t deadline_ns);

#endif
