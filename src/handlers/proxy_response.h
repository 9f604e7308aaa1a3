// A server's response on its way to the client. For the files of the handler `proxy`.
#ifndef USHER_HANDLERS_PROXY_RESPONSE_H
#define USHER_HANDLERS_PROXY_RESPONSE_H

#include "handlers/proxy_try.h"

// Takes over the response of this try, without what concerns its connection only.
void proxy_response_take(struct proxying *proxying);

#endif
