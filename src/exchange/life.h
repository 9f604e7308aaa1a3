// The steps of an exchange's life, for service.c; handlers need exchange.h only.
#ifndef USHER_EXCHANGE_LIFE_H
#define USHER_EXCHANGE_LIFE_H

#include <stdbool.h>

struct client;
struct exchange;

// The first bytes of a request are there: nothing of it is known yet.
void exchange_begin(struct exchange *exchange, const struct client *client);

// The request is there, or the fault that made it none: routes it, runs the handlers and
// sends the response. Suspends.
void exchange_serve(struct exchange *exchange);

// Establishes who the client is and what the request is called: client, client_text,
// scheme, peer_is_trusted, forwarded_host and request_id. Only the word of trusted_proxies
// is taken for more than the connection shows. False when memory is out.
bool exchange_identify(struct exchange *exchange);

// Runs what was registered by exchange_at_end, once.
void exchange_run_ends(struct exchange *exchange);

// The response is sent, or never will be: runs what was registered by exchange_at_end,
// counts and logs.
void exchange_finish(struct exchange *exchange);

// The log line of a fault alone, for an exchange that answers no client.
void exchange_log_fault(const struct exchange *exchange);

// The log lines of a finished exchange.
void exchange_log(struct exchange *exchange);

#endif
