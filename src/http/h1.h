// HTTP/1.1 on the wire (RFC 9112): bytes to messages and back.
//
// Pure: no descriptor, no clock, no globals. The same scanner and field parser serve both
// sides. Strict: what two servers could read differently is refused, and what is written
// is always a clean serialisation of the message, never the bytes it came from.
#ifndef USHER_HTTP_H1_H
#define USHER_HTTP_H1_H

#include "base/arena.h"
#include "base/fault.h"
#include "base/text.h"
#include "http/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct client_request;

// --- Where a header section ends

// Zeroed at the start of each message; goes on where it left off, so that a head that
// arrives byte by byte costs no more than one that arrives whole.
struct h1_scanner {
	size_t scanned; // bytes looked at, all of whole lines
	size_t line_start;
};

// Looks for the empty line that ends a head in data[0..length), of which more may have
// arrived than at the last call. Returns the length of the head with its empty line, 0 when
// more is needed, or -1 when a line does not end in CRLF (bare LF) as soon as that shows.
// An empty line before a request is the caller's to skip (h1_skip_empty_line), for as long
// as scanner->scanned is 0.
ssize_t h1_scan_head(struct h1_scanner *scanner, const char *data, size_t length);

// RFC 9112 section 2.2: at least one empty line before a request-line is to be ignored.
// How many bytes of CRLF at the start of data may be skipped: 0 or 2.
size_t h1_skip_empty_line(const char *data, size_t length);

// --- Heads

struct h1_limits {
	uint32_t fields; // how many fields a section may have
	uint32_t target_bytes;
};

// Parses a whole request head as found by h1_scan_head. Slices in *ret_request point into
// head, or at literals; the fields' array is in the arena. Fills in all of struct request
// but body, which is NULL, and the scheme of a target that is not absolute. No slice's data
// is NULL. False with *ret_fault filled in: its detail names what broke which rule; of
// *ret_request, what was read before that stands (method_name and target, for the log).
// Beside the rules of RFC 9112, these are refused: a Host that differs from an absolute
// target, and connection options that are no tokens or more than limits->fields.
bool h1_parse_request(struct slice head, const struct h1_limits *limits, struct arena *arena,
		      struct request *ret_request, struct fault *ret_fault);

// Parses a whole response head; `method` is the request's, which decides the framing
// (RFC 9112 section 6.3). 1xx responses are parsed like any other. A 204 that claims
// content is not persistent, an interim response that does is refused.
bool h1_parse_response(struct slice head, enum method method, const struct h1_limits *limits, struct arena *arena,
		       struct response *ret_response, struct fault *ret_fault);

// --- Chunked bodies (RFC 9112 section 7.1)

// A decoder of one body, fed with what arrives. Zeroed by h1_chunked_init.
struct h1_chunked {
	int state;
	uint64_t chunk_left;	  // bytes of the current chunk's data still to come
	uint64_t size;		  // of the next chunk, as far as its line was read
	uint32_t line_bytes;	  // of the chunk line so far
	uint64_t extension_bytes; // in all, bounded
};

enum h1_chunked_result {
	H1_CHUNKED_MORE,     // all of the input was used; more is needed
	H1_CHUNKED_DATA,     // *ret_data holds data; call again with what follows
	H1_CHUNKED_TRAILERS, // the last chunk was read; the trailer section (or the last CRLF) comes next
	H1_CHUNKED_BAD,	     // not chunked coding, or out of bounds
};

void h1_chunked_init(struct h1_chunked *chunked);

// Takes bytes off the front of *input. With H1_CHUNKED_DATA the data is a part of the
// input, decoded in place without copying. *ret_detail (a literal) says what is bad.
// When chunk_left is not 0, that many bytes of the input that follows are plain data, and
// the caller may move them itself and subtract.
enum h1_chunked_result h1_chunked_read(struct h1_chunked *chunked, struct slice *input, struct slice *ret_data,
				       const char **ret_detail);

// Parses a whole trailer section: `section` is field lines and the last empty line, as
// found by h1_scan_head (a section of just CRLF has no fields). Fields that must not be in
// trailers (RFC 9110 section 6.5.1: framing, routing, authentication, ...) are left out. The
// fault's kind is a request's: of a response, the caller gives it its own.
bool h1_parse_trailers(struct slice section, const struct h1_limits *limits, struct arena *arena,
		       struct fields *ret_fields, struct fault *ret_fault);

// --- Writing. Each adds to a struct text, whose overflow flag tells when it was too small;
// h1_..._bound says how much room is enough.

size_t h1_fields_bound(const struct fields *fields);

// "GET /path HTTP/1.1\r\n" and "HTTP/1.1 200 OK\r\n". Blanks, controls and non-ASCII bytes
// of a target are percent-encoded; the method is a token; the status is 100 to 599.
void h1_write_request_line(struct text *text, struct slice method, struct slice target);
void h1_write_status_line(struct text *text, unsigned status, struct slice reason);

// "Name: value\r\n". Controls in a value become spaces (RFC 9110 section 5.5), so that no
// value begins a line of its own; the name is the caller's to answer for.
void h1_write_field(struct text *text, struct slice name, struct slice value);

// All fields but those that frame the message (Content-Length, Transfer-Encoding,
// Connection), which the writer of the message adds itself.
void h1_write_fields(struct text *text, const struct fields *fields);

// The whole head of a request to a server (client.h), in the arena; .data NULL when memory is
// out.
struct slice h1_request_head(const struct client_request *request, struct arena *arena);

// "1f4\r\n": the line before a chunk; at most H1_CHUNK_LINE_MAX bytes, without NUL. The
// length written.
enum { H1_CHUNK_LINE_MAX = 18 };
size_t h1_chunk_line(char line[H1_CHUNK_LINE_MAX], uint64_t size);

#endif
