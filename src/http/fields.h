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

// id, name as usher writes it. Order is free; FIELD_OTHER is every name not listed.
// clang-format off
#define WELL_KNOWN_FIELDS(row) \
	row(ACCEPT, "Accept") \
	row(ACCEPT_ENCODING, "Accept-Encoding") \
	row(ACCEPT_LANGUAGE, "Accept-Language") \
	row(AGE, "Age") \
	row(ALLOW, "Allow") \
	row(AUTHORIZATION, "Authorization") \
	row(CACHE_CONTROL, "Cache-Control") \
	row(CONNECTION, "Connection") \
	row(CONTENT_ENCODING, "Content-Encoding") \
	row(CONTENT_LENGTH, "Content-Length") \
	row(CONTENT_RANGE, "Content-Range") \
	row(CONTENT_TYPE, "Content-Type") \
	row(COOKIE, "Cookie") \
	row(DATE, "Date") \
	row(ETAG, "ETag") \
	row(EXPECT, "Expect") \
	row(EXPIRES, "Expires") \
	row(FORWARDED, "Forwarded") \
	row(HOST, "Host") \
	row(HTTP2_SETTINGS, "HTTP2-Settings") \
	row(IF_MATCH, "If-Match") \
	row(IF_MODIFIED_SINCE, "If-Modified-Since") \
	row(IF_NONE_MATCH, "If-None-Match") \
	row(IF_RANGE, "If-Range") \
	row(IF_UNMODIFIED_SINCE, "If-Unmodified-Since") \
	row(KEEP_ALIVE, "Keep-Alive") \
	row(LAST_MODIFIED, "Last-Modified") \
	row(LOCATION, "Location") \
	row(MAX_FORWARDS, "Max-Forwards") \
	row(ORIGIN, "Origin") \
	row(PRAGMA, "Pragma") \
	row(PRIORITY, "Priority") \
	row(PROXY_AUTHENTICATE, "Proxy-Authenticate") \
	row(PROXY_AUTHENTICATION_INFO, "Proxy-Authentication-Info") \
	row(PROXY_AUTHORIZATION, "Proxy-Authorization") \
	row(PROXY_CONNECTION, "Proxy-Connection") \
	row(PROXY_STATUS, "Proxy-Status") \
	row(RANGE, "Range") \
	row(REFERER, "Referer") \
	row(RETRY_AFTER, "Retry-After") \
	row(SERVER, "Server") \
	row(SET_COOKIE, "Set-Cookie") \
	row(TE, "TE") \
	row(TRAILER, "Trailer") \
	row(TRANSFER_ENCODING, "Transfer-Encoding") \
	row(UPGRADE, "Upgrade") \
	row(USER_AGENT, "User-Agent") \
	row(VARY, "Vary") \
	row(VIA, "Via") \
	row(WWW_AUTHENTICATE, "WWW-Authenticate") \
	row(X_FORWARDED_FOR, "X-Forwarded-For") \
	row(X_FORWARDED_HOST, "X-Forwarded-Host") \
	row(X_FORWARDED_PROTO, "X-Forwarded-Proto") \
	row(X_REAL_IP, "X-Real-IP") \
	row(X_REQUEST_ID, "X-Request-Id")
// clang-format on

enum field_id {
	FIELD_OTHER,
#define FIELD_ENUM(id, name) FIELD_##id,
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
