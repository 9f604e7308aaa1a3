// Header and trailer fields: an ordered list of slices, each with the id of its
// well-known name.
//
// The slices point into the buffer that the message arrived in, or into the arena of its
// exchange. Lookups of well-known names compare ids, never strings.
#ifndef USHER_HTTP_FIELDS_H
#define USHER_HTTP_FIELDS_H

#include "base/arena.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

// id, name as usher writes it, and in lower case (HTTP/2). Order is free; FIELD_OTHER is every name not listed.
// clang-format off
#define WELL_KNOWN_FIELDS(row) \
	row(ACCEPT, "Accept", "accept") \
	row(ACCEPT_ENCODING, "Accept-Encoding", "accept-encoding") \
	row(ACCEPT_LANGUAGE, "Accept-Language", "accept-language") \
	row(AGE, "Age", "age") \
	row(ALLOW, "Allow", "allow") \
	row(AUTHORIZATION, "Authorization", "authorization") \
	row(CACHE_CONTROL, "Cache-Control", "cache-control") \
	row(CACHE_TAG, "Cache-Tag", "cache-tag") \
	row(CONNECTION, "Connection", "connection") \
	row(CONTENT_ENCODING, "Content-Encoding", "content-encoding") \
	row(CONTENT_LENGTH, "Content-Length", "content-length") \
	row(CONTENT_RANGE, "Content-Range", "content-range") \
	row(CONTENT_TYPE, "Content-Type", "content-type") \
	row(COOKIE, "Cookie", "cookie") \
	row(DATE, "Date", "date") \
	row(ETAG, "ETag", "etag") \
	row(EXPECT, "Expect", "expect") \
	row(EXPIRES, "Expires", "expires") \
	row(FORWARDED, "Forwarded", "forwarded") \
	row(HOST, "Host", "host") \
	row(HTTP2_SETTINGS, "HTTP2-Settings", "http2-settings") \
	row(IF_MATCH, "If-Match", "if-match") \
	row(IF_MODIFIED_SINCE, "If-Modified-Since", "if-modified-since") \
	row(IF_NONE_MATCH, "If-None-Match", "if-none-match") \
	row(IF_RANGE, "If-Range", "if-range") \
	row(IF_UNMODIFIED_SINCE, "If-Unmodified-Since", "if-unmodified-since") \
	row(KEEP_ALIVE, "Keep-Alive", "keep-alive") \
	row(LAST_MODIFIED, "Last-Modified", "last-modified") \
	row(LOCATION, "Location", "location") \
	row(MAX_FORWARDS, "Max-Forwards", "max-forwards") \
	row(ORIGIN, "Origin", "origin") \
	row(PRAGMA, "Pragma", "pragma") \
	row(PRIORITY, "Priority", "priority") \
	row(PROXY_AUTHENTICATE, "Proxy-Authenticate", "proxy-authenticate") \
	row(PROXY_AUTHENTICATION_INFO, "Proxy-Authentication-Info", "proxy-authentication-info") \
	row(PROXY_AUTHORIZATION, "Proxy-Authorization", "proxy-authorization") \
	row(PROXY_CONNECTION, "Proxy-Connection", "proxy-connection") \
	row(PROXY_STATUS, "Proxy-Status", "proxy-status") \
	row(RANGE, "Range", "range") \
	row(REFERER, "Referer", "referer") \
	row(RETRY_AFTER, "Retry-After", "retry-after") \
	row(SERVER, "Server", "server") \
	row(SET_COOKIE, "Set-Cookie", "set-cookie") \
	row(SURROGATE_KEY, "Surrogate-Key", "surrogate-key") \
	row(TE, "TE", "te") \
	row(TRAILER, "Trailer", "trailer") \
	row(TRANSFER_ENCODING, "Transfer-Encoding", "transfer-encoding") \
	row(UPGRADE, "Upgrade", "upgrade") \
	row(USER_AGENT, "User-Agent", "user-agent") \
	row(VARY, "Vary", "vary") \
	row(VIA, "Via", "via") \
	row(WWW_AUTHENTICATE, "WWW-Authenticate", "www-authenticate") \
	row(X_FORWARDED_FOR, "X-Forwarded-For", "x-forwarded-for") \
	row(X_FORWARDED_HOST, "X-Forwarded-Host", "x-forwarded-host") \
	row(X_FORWARDED_PROTO, "X-Forwarded-Proto", "x-forwarded-proto") \
	row(X_REAL_IP, "X-Real-IP", "x-real-ip") \
	row(X_REQUEST_ID, "X-Request-Id", "x-request-id")
// clang-format on

enum field_id {
	FIELD_OTHER,
#define FIELD_ENUM(id, name, lower) FIELD_##id,
	WELL_KNOWN_FIELDS(FIELD_ENUM)
#undef FIELD_ENUM
		FIELD_COUNT,
};

struct field {
	struct slice name; // as it arrived; compared without regard to case
	struct slice value;
	enum field_id id;
};

struct fields {
	struct field *items;
	uint32_t count, capacity;
};

// The id of a name, FIELD_OTHER when it is not well known.
enum field_id field_id_of(struct slice name);

// The name as usher writes it; not for FIELD_OTHER.
struct slice field_name(enum field_id id);

// The same in lower case, as HTTP/2 has it (RFC 9113 section 8.2.1).
struct slice field_name_lower(enum field_id id);

// Whether a trailer section may have the field (RFC 9110 section 6.5.1): only those whose
// definition says so. Of those that usher knows, that is ETag (RFC 9110 section 8.8.3) and
// Proxy-Status (RFC 9209 section 2); of others it cannot know.
static inline bool field_may_be_trailer(enum field_id id)
{
	return id == FIELD_OTHER || id == FIELD_ETAG || id == FIELD_PROXY_STATUS;
}

// Makes room for more fields: doubles the capacity. False when memory is out. Adding does
// this by itself; it is for whoever writes to items[count] directly.
bool fields_grow(struct fields *fields, struct arena *arena);

// The first field with the id (or the name), or NULL.
const struct field *fields_find(const struct fields *fields, enum field_id id);
const struct field *fields_find_name(const struct fields *fields, struct slice name);

// The value of the first field with the id; an empty slice with NULL data when there is none.
struct slice fields_value(const struct fields *fields, enum field_id id);

// Appends; the slices must live as long as the fields. False when memory is out.
bool fields_add(struct fields *fields, struct arena *arena, enum field_id id, struct slice value);
bool fields_add_name(struct fields *fields, struct arena *arena, struct slice name, struct slice value);

// Replaces the first field with the name and removes its other ones, or appends.
bool fields_set(struct fields *fields, struct arena *arena, enum field_id id, struct slice value);
bool fields_set_name(struct fields *fields, struct arena *arena, struct slice name, struct slice value);

// Removes every field with the id (or the name); whether there was one.
bool fields_remove(struct fields *fields, enum field_id id);
bool fields_remove_name(struct fields *fields, struct slice name);

// Whether a field with the id has the member in its comma-separated lists, compared
// without regard to case: Connection: close, TE: trailers.
bool fields_list_has(const struct fields *fields, enum field_id id, struct slice member);

// Removes Connection and what it names, but for what the next function says of the fields
// that stay, and for the hop-by-hop fields with a meaning of their own (Upgrade, TE, ...).
void fields_remove_named_by_connection(struct fields *fields);

// Removes the hop-by-hop fields of RFC 9110 section 7.6.1: those that Connection names
// (never the ones that the message's framing and routing need: Host, Content-Length, ...
// stay whatever Connection says), Connection itself, Proxy-Connection, Keep-Alive, TE,
// Transfer-Encoding, Upgrade, and Proxy-Authenticate/-Authorization/-Authentication-Info.
void fields_remove_hop_by_hop(struct fields *fields);

#endif
