// One exchange's way through the servers of a pool, and one try at one of them. For the files
// of the handler `proxy`.
#ifndef USHER_HANDLERS_PROXY_TRY_H
#define USHER_HANDLERS_PROXY_TRY_H

#include "exchange/exchange.h"
#include "handlers/proxy.h"
#include "handlers/proxy_body.h"
#include "http/h1_client.h"
#include "http/h2_client.h"
#include "upstream/pool.h"
#include "upstream/retry.h"

#include <stdbool.h>
#include <stdint.h>

struct proxying {
	struct exchange *exchange;
	const struct proxy_config *config;
	const struct retry_config *retry;
	struct client_request request;
	struct kept_body body; // of the request, when it has one
	struct client_settings settings;
	struct pick pick;
	int64_t deadline_ns; // of the exchange; FIBER_NEVER
	int64_t waited_ns;   // for a server, while all were full
	// Of this try.
	struct server *server;			// NULL between tries
	struct upstream_connection *connection; // once there is one
	struct http_client *client;		// on the connection
	union {
		struct h1_client h1;
		struct h2_client h2;
	} kind;
	int64_t until_ns; // the head of the response must be there; FIBER_NEVER
	int64_t step_started_ns;
	struct response response; // its head, once it came
	bool is_hedged;		  // another try may run beside it: interim responses stay here
	bool answered;		  // the head of the final response came
	bool tunnelling;	  // the connection speaks another protocol now
	struct exchange_end end;
};

// Tries proxying->server: 0 when the head of its final response has come and stands in
// proxying->response; or -1 with the fault. Suspends.
int try_server(struct proxying *proxying, struct fault *ret_fault);

// Begins a try at a server that was picked.
void try_begin(struct proxying *proxying, struct server *server);

// What is left of the tries when the exchange ends is ended then.
void try_end_with_exchange(struct proxying *proxying);

// Ends a try, or the exchange's last one: the connection goes back to the idle ones when it
// may carry another request. Nothing where there is none. Suspends while a sender ends.
void try_end(struct proxying *proxying, const struct fault *fault);

// Whether the request can be sent once more: it has no body, or all of it is still there.
bool try_can_repeat(const struct proxying *proxying);

// How long may still be waited, of `timeout_ns` at most; at least a nanosecond.
int64_t try_time(int64_t timeout_ns, int64_t until_ns);

#endif
