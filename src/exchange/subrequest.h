// A subrequest: an exchange that a handler begins on behalf of a running one, whose response goes to the
// handler and to no client. It asks the handlers below the one that begins it, with the same request, on a
// fiber of its own, and may outlive the exchange that it was made from.
#ifndef USHER_EXCHANGE_SUBREQUEST_H
#define USHER_EXCHANGE_SUBREQUEST_H

#include "exchange/exchange.h"

#include <stdbool.h>

// A subrequest for what `parent` asks its next handler now, in memory of its own: the request's head (without its
// body), the client, the route and the snapshot. The handler may change the request before it starts. NULL when
// memory is out.
struct exchange *subrequest_new(const struct exchange *parent);

// Calls `inform` with each interim response (1xx) that comes, whose memory is good for that call only; else they are
// left out. To be told before it starts.
void subrequest_on_interim(struct exchange *subrequest, void (*inform)(const struct response *interim, void *argument),
			   void *argument);

// Calls `run` on a fiber of its own, which calls exchange_next and reads what response or fault there is, then
// ends the subrequest and frees it. False when no fiber can be had: it is freed at once, and run is not called.
bool subrequest_start(struct exchange *subrequest, void (*run)(struct exchange *subrequest, void *argument),
		      void *argument);

// Ends one that was not started, and frees it.
void subrequest_free(struct exchange *subrequest);

#endif
