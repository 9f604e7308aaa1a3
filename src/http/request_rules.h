// Rules of RFC 9110 that a request's fields must keep whatever version of HTTP carries them.
// For the parsers of each version.
#ifndef USHER_HTTP_REQUEST_RULES_H
#define USHER_HTTP_REQUEST_RULES_H

#include "base/fault.h"
#include "http/message.h"

#include <stdbool.h>
#include <stdint.h>

// Reads Expect (RFC 9110 section 10.1.1), after the framing: fills in expects_continue, or
// refuses what is not 100-continue with the fault filled in, but for its step.
bool request_read_expectations(struct request *request, struct fault *fault);

// Whether Host, of this host and port, names what the target names. Who looks at Host where
// another looks at the target (RFC 9112 section 3.2.2, RFC 9113 section 8.3.1) must not read
// another request.
bool request_host_agrees(const struct request *request, struct slice host, uint16_t port);

#endif
