// The request as it goes to a server: usher's own serialisation of what the client asked.
#ifndef USHER_HANDLERS_PROXY_REQUEST_H
#define USHER_HANDLERS_PROXY_REQUEST_H

#include "base/slice.h"
#include "exchange/exchange.h"

enum proxy_host { PROXY_HOST_PRESERVE, PROXY_HOST_SERVER, PROXY_HOST_FIXED };
enum proxy_forwarded { PROXY_FORWARDED_BOTH, PROXY_FORWARDED_X, PROXY_FORWARDED_STANDARD, PROXY_FORWARDED_OFF };

struct proxy_request_options {
	enum proxy_host host;
	struct slice host_text; // with PROXY_HOST_FIXED
	enum proxy_forwarded forwarded;
};

// What has to be known of a request beyond its fields, gathered once before the first try,
// when the hop-by-hop fields go.
struct proxy_request {
	enum body_framing framing;
	struct slice upgrade; // the protocols asked for, or empty
	bool takes_trailers;  // TE: trailers
};

// Takes the hop-by-hop fields off the request (RFC 9110 section 7.6.1), and remembers what
// a server must hear of them.
void proxy_request_prepare(struct exchange *exchange, struct proxy_request *ret_request);

// The head for one server, whose name is `authority`, in the exchange's arena; .data NULL
// when memory is out.
struct slice proxy_request_head(struct exchange *exchange, const struct proxy_request *request,
				const struct proxy_request_options *options, struct slice authority);

#endif
