// The page by which visitors with a browser log in: a form at the very address that they asked for. For the files of
// the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_PAGE_H
#define USHER_HANDLERS_ACCESS_PAGE_H

#include "exchange/exchange.h"
#include "handlers/access_config.h"
#include "handlers/access_session.h"

#include <stdbool.h>

// For who gets the page with 401, which has to name a scheme (RFC 9110 section 15.5.2): one that browsers pass over.
extern const struct slice access_page_challenge;

// Whether the visitor would rather see a page, by method and Accept.
bool access_page_is_wanted(const struct exchange *exchange);

// Answers with the page of the first login that has one, and links to providers; where none has, with the links alone.
void access_page_show(struct exchange *exchange, const struct access_config *config, unsigned status,
		      enum access_reason reason);

// "https://host:port", as the visitor's browser knows this site; .data is NULL when memory is out.
struct slice access_page_origin(struct exchange *exchange);

// Answers by sending the visitor to an address, by GET; the answer is kept nowhere.
void access_page_send(struct exchange *exchange, struct slice location);

// The same, to a target of this very site, whatever it looks like.
void access_page_send_back(struct exchange *exchange, struct slice target);

// Whether the request is one that the page makes, or may be: a form.
bool access_page_is_form(const struct exchange *exchange);

// Reads it, and logs in: then the visitor is sent to what he asked for, by GET. Suspends.
void access_page_take(struct exchange *exchange, const struct access_config *config);

// Answers what `logout` names: a page that asks, or, when that was sent, the end of the session. Suspends.
void access_page_log_out(struct exchange *exchange, const struct access_session *session);

#endif
