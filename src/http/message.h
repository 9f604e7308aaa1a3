// Requests and responses, whatever the version of HTTP that carries them.
#ifndef USHER_HTTP_MESSAGE_H
#define USHER_HTTP_MESSAGE_H

#include "base/slice.h"
#include "http/fields.h"

#include <stdbool.h>
#include <stdint.h>

struct body;

enum method {
	METHOD_OTHER,
	METHOD_GET,
	METHOD_HEAD,
	METHOD_POST,
	METHOD_PUT,
	METHOD_DELETE,
	METHOD_OPTIONS,
	METHOD_PATCH,
	METHOD_TRACE,
	METHOD_CONNECT,
};

enum target_form { TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_AUTHORITY, TARGET_ASTERISK };

// How the length of a body is known (RFC 9112 section 6.3).
enum body_framing { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_CLOSE };

struct request {
	enum method method;
	uint8_t version_major; // 1 or 2
	uint8_t version_minor; // of HTTP/1; 1 for the later versions
	enum target_form target_form;
	enum body_framing framing;
	bool persistent;	 // the connection may carry another request
	bool expects_continue;	 // Expect: 100-continue, and content to come (RFC 9110 section 10.1.1)
	bool wants_upgrade;	 // Upgrade, named by Connection (RFC 9110 section 7.8), to a protocol
				 // that is not HTTP again: not to h2c, HTTP/2.0, TLS/1.0
	uint64_t content_length; // with BODY_LENGTH
	struct slice method_name;
	struct slice target;	// the client's exact bytes
	struct slice scheme;	// of an absolute target, else the connection's
	struct slice host;	// without port, brackets kept; from the target or Host
	uint16_t port;		// 0 when none was given
	struct slice authority; // host and port as the client wrote them
	struct slice path;	// as written, from "/" to before "?"; "*" for OPTIONS *
	struct slice query;	// as written, without "?"
	bool has_query;		// "/?" has an empty query, "/" has none
	struct fields fields;
	struct body *body; // never NULL once the exchange began
};

struct response {
	uint16_t status;
	uint8_t version_major, version_minor;
	enum body_framing framing; // as it came from the server; usher's own choice on the way out
	bool persistent;
	uint64_t content_length; // as Content-Length says; of the body only with BODY_LENGTH
	struct slice reason;
	struct fields fields;
	struct body *body;
};

// "HTTP/1.1", "HTTP/2.0".
struct slice http_protocol(unsigned major, unsigned minor);

// What Via says of a message that came so (RFC 9110 section 7.6.3): "1.1 usher", "2.0 usher".
struct slice http_via(unsigned major, unsigned minor);

enum method method_of(struct slice name);

// RFC 9110 section 9.2.1 and 9.2.2.
bool method_is_safe(enum method method);
bool method_is_idempotent(enum method method);

// The standard reason phrase, "" for an unknown status.
struct slice status_reason(unsigned status);

// Whether a response with the status to the method has no content whatever its fields
// say: HEAD, 1xx, 204, 304, and 2xx to CONNECT (RFC 9110 section 6.4.1).
bool response_has_no_content(enum method method, unsigned status);

#endif
