// What is told of the cache's part in an answer: the trace, and Cache-Status (RFC 9211). For the files of the handler
// `cache`.
#ifndef USHER_HANDLERS_CACHE_STATUS_H
#define USHER_HANDLERS_CACHE_STATUS_H

#include "exchange/exchange.h"

// For the log and who explains the request. The text must live as long as the exchange.
void cache_status_note(struct exchange *exchange, const char *told);

// Adds it to what the caches nearer to the server say (RFC 9211 section 2), on whatever answer goes out.
void cache_status_tell(struct exchange *exchange, const char *told);

#endif
