// usher's own cookies: their names, how what is long stands in several, and that servers do not see them. For the files
// of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_COOKIES_H
#define USHER_HANDLERS_ACCESS_COOKIES_H

#include "exchange/exchange.h"

#include <stdbool.h>

// A cookie of sessions, or of what is to become one.
struct access_cookie {
	struct slice name;	// as browsers have it; .data NULL: memory is out
	struct slice domain;	// empty: of this host alone
	const char *attributes; // "; SameSite=Lax"
	const char *lifetime;	// "; Max-Age=300"; "": until the browser ends
};

// "__Host-usher-form" where the visitor has TLS ("__Secure-" with a domain), else without the prefix.
struct slice access_cookie_name(struct exchange *exchange, const char *name, bool is_for_domain);

// Adds a cookie of usher's own, of this host, to the response. `attributes` begin with "; ". False when memory is out.
bool access_cookie_add(struct exchange *exchange, const char *name, struct slice value, const char *attributes);

// The value of such a cookie in the request; .data is NULL when there is none.
struct slice access_cookie_find(struct exchange *exchange, const char *name);

// The same of one of sessions.
bool access_cookie_send(struct exchange *exchange, const struct access_cookie *cookie, struct slice value);
struct slice access_cookie_value(const struct exchange *exchange, const struct access_cookie *cookie);

// Adds what the cookie has no room for: up to SESSION_MORE_MAX of SESSION_TEXT_MAX bytes ("usher-1", "usher-2", ...).
// Those that the visitor has beyond are taken back. False when memory is out.
bool access_cookie_send_more(struct exchange *exchange, const struct access_cookie *cookie, struct slice text);

// The text of so many of them; .data is NULL when one is not there, or memory is out.
struct slice access_cookie_more(struct exchange *exchange, const struct access_cookie *cookie, unsigned count);

// Takes it back, with all that belong to it.
void access_cookie_end(struct exchange *exchange, const struct access_cookie *cookie);

// Takes usher's cookies out of the request.
void access_cookies_hide(struct exchange *exchange);

#endif
