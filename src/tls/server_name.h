// Which host a client asks for before it sees a certificate: the extension server_name.
#ifndef USHER_TLS_SERVER_NAME_H
#define USHER_TLS_SERVER_NAME_H

#include "base/slice.h"

#include <stdbool.h>

enum { SERVER_NAME_MAX = 255 };

// Takes the host out of the extension's content (RFC 6066 section 3), in lower case and
// without a dot at its end. False when the content is malformed, or the host is none.
bool server_name_parse(struct slice extension, char buffer[SERVER_NAME_MAX], struct slice *ret_host);

#endif
