// Messages as HTTP/2 carries them (RFC 9113 section 8): header lists to requests and
// responses, and back.
//
// Pure: no session, no clock, no globals. Strict: a message that is malformed by RFC 9113
// section 8.1.1, or that would mean something else in HTTP/1.1, is refused.
#ifndef USHER_HTTP_H2_MESSAGE_H
#define USHER_HTTP_H2_MESSAGE_H

#include "base/arena.h"
#include "base/fault.h"
#include "http/client.h"
#include "http/h1.h"
#include "http/message.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// A header section as it comes, field by field. Names and values are copied into the arena.
struct h2_section {
	struct arena *arena;
	const struct h1_limits *limits;
	uint32_t limit_bytes; // by RFC 9113 section 6.5.2: names, values, and 32 for each field
	uint32_t bytes;
	struct slice method, scheme, authority, path, protocol; // pseudo-fields; .data NULL: absent
	unsigned status;
	bool is_response;
	bool is_trailers; // no pseudo-fields
	bool regular;	  // a regular field has come: no pseudo-field may follow
	uint32_t cookies; // how many Cookie fields came: all of them count as one
	uint64_t seen;	  // a bit for the id of each field that came
	uint64_t length;  // as Content-Length says
	struct fields fields;
	struct fault fault; // the first thing that was wrong
};

void h2_section_init(struct h2_section *section, struct arena *arena, const struct h1_limits *limits,
		     uint32_t limit_bytes, bool is_response, bool is_trailers);

// Takes a field. What is wrong is noted in section->fault, and the rest is passed over, so
// that the shared compression state stays right.
void h2_section_add(struct h2_section *section, struct slice name, struct slice value);

// The section is whole: makes a request of it. end_stream: no body follows. Fills in all of
// struct request but body, as h1_parse_request does, Host among its fields; the scheme is
// what :scheme says. A WebSocket by extended CONNECT (RFC 8441) becomes the GET with Upgrade
// that it stands for, but for Sec-WebSocket-Key; section->protocol tells it from others.
// False with *ret_fault filled in; method_name and target stand where they are known.
bool h2_section_to_request(struct h2_section *section, bool end_stream, struct request *ret_request,
			   struct fault *ret_fault);

// The same for a response, 1xx included; `method` is the request's. 101 is refused (RFC 9113
// section 8.6): the 2xx to an extended CONNECT is the caller's to tell.
bool h2_section_to_response(struct h2_section *section, enum method method, bool end_stream,
			    struct response *ret_response, struct fault *ret_fault);

// Trailers, without the fields that must not be in them (RFC 9110 section 6.5.1).
bool h2_section_to_trailers(struct h2_section *section, struct fields *ret_fields, struct fault *ret_fault);

// Header lists to be sent. Names in lower case, no connection-specific field (RFC 9113
// section 8.2.2), controls in values become spaces. Slices point into the message and the
// arena. The count, or -1 when memory is out. Content-Length comes from the framing, not
// from the fields: a response has it when it is BODY_LENGTH, from content_length; a request
// from the length of its body. One with `upgrade` is an extended CONNECT (RFC 8441), and
// goes without Sec-WebSocket-Key.
ssize_t h2_response_list(const struct response *response, struct arena *arena, nghttp2_nv **ret_list);
ssize_t h2_request_list(const struct client_request *request, struct arena *arena, nghttp2_nv **ret_list);
ssize_t h2_trailers_list(const struct fields *fields, struct arena *arena, nghttp2_nv **ret_list);

#endif
