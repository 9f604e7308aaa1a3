// Answers of usher's own: what a visitor gets when something went wrong.
//
// As text, HTML or JSON, whichever the Accept field prefers (RFC 9110 section 12.5.1), from
// templates that a configuration can replace. They tell the status, a reason code and the
// request id, and nothing of what is inside.
#ifndef USHER_EXCHANGE_ERROR_PAGE_H
#define USHER_EXCHANGE_ERROR_PAGE_H

#include "base/slice.h"
#include "config/key.h"

#include <stdbool.h>
#include <stddef.h>

struct config_load;
struct exchange;

struct fields;

// In the order of preference when Accept has none.
enum page_type { PAGE_TEXT, PAGE_HTML, PAGE_JSON };
enum { PAGE_TYPES = PAGE_JSON + 1 };

// The type that the Accept fields prefer: the one with the highest weight, then the one that
// is named more exactly, then earlier. Text when they name none of the three, or none at all.
enum page_type page_type_accepted(const struct fields *fields);

// The key `error_pages`, and the templates of a route: those of its own, then those of outer
// scopes, then the ones that are built in.
extern const struct config_section error_pages_section;
struct error_pages;

// Makes the templates of a scope from what was written there (NULL: nothing), over those of
// the scope around it (NULL: the built-in ones). In the load's arena; NULL after
// config_error.
const struct error_pages *error_pages_load(struct config_load *load, const void *value,
					   const struct error_pages *outer);

// Fills in exchange->response for exchange->transaction.fault, whose status must not be 0.
void error_page_fill(struct exchange *exchange);

// The same for a status that is not a fault's: `code` is the reason code.
void error_page_answer(struct exchange *exchange, unsigned status, const char *code);

// Whether a server's answer with the status is to be replaced by such a page, by the exchange's
// route.
bool error_page_replaces(const struct exchange *exchange, unsigned status);

#endif
