// Request targets, hosts and paths (RFC 3986, RFC 9112 section 3.2).
#ifndef USHER_HTTP_URI_H
#define USHER_HTTP_URI_H

#include "base/arena.h"
#include "base/slice.h"
#include "http/message.h"

#include <stdbool.h>
#include <stdint.h>

// Splits and checks a request target by its form (RFC 9112 section 3.2); fills in
// target_form, scheme, authority, host, port, path, query and has_query of the request,
// whose method and target stand. Refuses whatever RFC 3986 does not allow in a target:
// controls, blanks, non-ASCII, a fragment, user information, bad percent-encodings, and
// an encoded NUL. But what the URL Standard has every browser send as it is, is let pass:
// "[", "]" and "|" in paths, and "\", "^", "`", "{" and "}" too in queries. *ret_detail (a
// literal) says why not. The scheme is "http" or "https", a literal. The path of CONNECT is
// empty, that of an absolute target without one "/", or "*" for OPTIONS.
bool uri_parse_target(struct request *request, const char **ret_detail);

// Splits "host", "host:port", "[v6]:port" as Host and :authority hold them; *ret_port is 0
// without a port. False when it is not valid by RFC 9110 section 7.2 and RFC 3986 section
// 3.2.2. Not valid here though the grammar has them: an empty host, empty labels, more than
// 255 bytes, percent-encodings and sub-delimiters (some decode, some do not), IPvFuture,
// port 0, and more than five digits of a port.
bool uri_parse_authority(struct slice authority, struct slice *ret_host, uint16_t *ret_port);

// A host as it is compared: lower case, without the trailing dot. Returns the host itself
// when nothing has to change, else a copy in `arena` (.data NULL when memory is out).
struct slice uri_normal_host(struct slice host, struct arena *arena);

struct uri_normal_options {
	bool merge_slashes; // "//" counts as "/"
};

// A path as rules compare it: percent-encoded unreserved characters decoded, other
// encodings in upper case, dot segments removed (RFC 3986 section 6.2.2; encoded dots
// count as dots), "//" merged where asked. What stays encoded stays different: %2F is not
// "/". Returns the path itself when it is normal already (one pass, no copy), else a copy
// in `arena` (.data NULL when memory is out). A backslash, raw or encoded, stays what it is;
// a "%" that begins no encoding becomes "%25". A path that does not begin with "/" is
// returned as it is. The normal form of a normal form is the same.
struct slice uri_normal_path(struct slice path, const struct uri_normal_options *options, struct arena *arena);

#endif
