// A second try at another server while the first one is slow to answer; whoever answers first is
// taken. For the files of the handler `proxy`.
#ifndef USHER_HANDLERS_PROXY_HEDGE_H
#define USHER_HANDLERS_PROXY_HEDGE_H

#include "handlers/proxy_try.h"

// Whether the request is one that may go to two servers at once, and the pool says so: a safe one
// (RFC 9110 section 9.2.1) without content, that sticks to no server.
bool hedge_is_wished(const struct proxying *proxying);

// As try_server of *proxying, whose server was picked. Where a second one was tried and answered first,
// *proxying is that try from then on, with all that was tried noted in it; the other one has ended.
// Suspends.
int try_hedged(struct proxying **proxying, struct fault *ret_fault);

#endif
