// Extensible priorities (RFC 9218): what client and server say of a response's urgency.
#ifndef USHER_HTTP_H2_PRIORITY_H
#define USHER_HTTP_H2_PRIORITY_H

#include "http/fields.h"

#include <nghttp2/nghttp2.h>
#include <stdint.h>

// Reads a Priority field (RFC 9218 sections 4 and 5) over *priority: parameters that it does
// not have, or has with a value that is none of theirs, stay as they are.
void h2_priority_read(struct slice value, nghttp2_extpri *priority);

// The response's own word about its priority counts more than the client's (RFC 9218 section
// 8). The session knows the client's already.
void h2_priority_of_response(nghttp2_session *session, int32_t stream_id, const struct fields *request,
			     const struct fields *response);

#endif
