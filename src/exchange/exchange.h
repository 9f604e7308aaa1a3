// An exchange: one request, its way through a route's handlers, and its response.
//
// It begins when a request's head was parsed and ends when its response is sent and
// logged. All its memory is one arena. It holds the snapshot of the configuration that it
// began with.
#ifndef USHER_EXCHANGE_EXCHANGE_H
#define USHER_EXCHANGE_EXCHANGE_H

#include "base/arena.h"
#include "base/fault.h"
#include "exchange/handler.h"
#include "http/transaction.h"
#include "net/address.h"
#include "observe/trace.h"

#include <stdbool.h>
#include <stdint.h>

struct site;
struct route;
struct snapshot;

// Runs once when the exchange ends, in reverse order of registration.
struct exchange_end {
	struct exchange_end *next;
	void (*run)(struct exchange *exchange, struct exchange_end *end);
};

// What the servers did for this exchange; for the log.
struct exchange_server_record {
	struct slice pool;
	struct slice address; // of the last server tried
	unsigned tries;
	bool reused; // the connection had been used before
	int64_t connect_ns;
	int64_t first_byte_ns; // from sending the request to the head of its response
	uint16_t status;       // what the server answered, before handlers changed it
};

struct exchange {
	struct transaction transaction; // first: request, response, arena, fault
	struct exchange_hold *hold;	// the service's own
	const struct snapshot *snapshot;
	const struct site *site; // NULL until routed
	const struct route *route;
	const struct handler_step *step; // the next handler
	struct slice host;		 // as sites are found: lower case, no port, no trailing dot
	struct slice path;		 // as rules compare it; see uri_normal_path
	const struct slice *captures;	 // $0 to $9 of the route's regular expression; NULL without
	struct slice target;		 // what is sent on: the client's bytes, or the rewritten one
	struct address client;		 // established once: peer, or what trusted proxies say
	bool has_country;		 // it has been looked up; see exchange_country
	unsigned country;
	bool peer_is_trusted;
	struct slice client_text;    // the same as text, without port
	struct slice scheme;	     // of the client's request, as trusted proxies say
	struct slice forwarded_host; // the Host that a trusted proxy got, or empty
	struct slice request_id;
	// Who logged in, the groups that he is in, separated by commas, and his address of mail; empty: nobody did, or
	// it is not known.
	struct slice user, groups, email;
	int64_t retry_after_ns; // with a 429 or 503: when another try may succeed; 0: not known
	struct exchange_server_record server;
	struct exchange_end *ends;
	struct fields always; // set on whatever response is sent, an error page included
	struct trace trace;   // last: begun, not cleared
};

static inline struct request *exchange_request(struct exchange *exchange)
{
	return &exchange->transaction.request;
}

static inline struct response *exchange_response(struct exchange *exchange)
{
	return &exchange->transaction.response;
}

static inline struct arena *exchange_arena(struct exchange *exchange)
{
	return &exchange->transaction.arena;
}

// Calls the next handler of the route. When it returns, the response is filled in (status,
// fields, body), or the fault is. May suspend.
void exchange_next(struct exchange *exchange);

// Fills in a response of usher's own: the body is lent and must live as long as the
// exchange; an empty content_type is left out. Fields that handlers set before stay.
void exchange_answer(struct exchange *exchange, unsigned status, struct slice content_type, struct slice body);

// Sets a field on the response, whatever becomes of it: an error page has it, too. The slices
// must live as long as the exchange. Fails the exchange when memory is out.
void exchange_always(struct exchange *exchange, struct slice name, struct slice value);

// Notes what went wrong (the first fault stands); an error page is made of it.
// step and detail as in struct fault.
void exchange_fail(struct exchange *exchange, enum fault_kind kind, const char *step, const char *detail);
bool exchange_failed(const struct exchange *exchange);

// Registers what must happen when the exchange ends; `end` lives in its arena.
void exchange_at_end(struct exchange *exchange, struct exchange_end *end,
		     void (*run)(struct exchange *exchange, struct exchange_end *end));

// Sends an interim response (100, 103) to the client: 0, or -1 with the fault filled in.
int exchange_inform(struct exchange *exchange, const struct response *interim);

#endif
