// The pages of the demo origins: enough to try a proxy with.
#ifndef USHER_CLI_DEMO_PAGES_H
#define USHER_CLI_DEMO_PAGES_H

#include "http/transaction.h"

// What answers: each page says the name of the listener that the request came in by.
//
//   /            the request as it came, in plain text
//   /slow        the same after ?seconds=2
//   /chunked     ?pieces=5, one each fifth of a second, of unknown length
//   /sse         server-sent events, ?events=10, one each second
//   /big         ?bytes=1000000 of text
//   /status      an answer with the status ?code=404
extern struct http_service demo_pages;

#endif
