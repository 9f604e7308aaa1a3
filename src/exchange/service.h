// What a thread's connections have their requests answered by: exchanges, under the
// snapshot of the configuration that is current when each begins.
#ifndef USHER_EXCHANGE_SERVICE_H
#define USHER_EXCHANGE_SERVICE_H

#include "http/transaction.h"

#include <stdint.h>

struct exchange_service;
struct snapshot;

// A service for the calling thread. Takes a reference of the snapshot. NULL when memory is
// out.
struct exchange_service *exchange_service_new(struct snapshot *snapshot);

// For h1_server_new; lives as long as the service.
struct http_service *exchange_service_http(struct exchange_service *service);

// Exchanges that begin from now on get this snapshot; those that run keep theirs. False,
// and nothing changed, when memory is out.
bool exchange_service_set_snapshot(struct exchange_service *service, struct snapshot *snapshot);

// Exchanges under way, tunnels and subrequests included.
uint64_t exchange_service_running(const struct exchange_service *service);

// Cancels what runs without a connection that could end it: subrequests (exchange/subrequest.h).
void exchange_service_cancel(struct exchange_service *service);

// No exchange may be left.
void exchange_service_free(struct exchange_service *service);

#endif
