// All features that a route can use. A new one is a file beside this one, and a line here and
// in handlers.c.
#ifndef USHER_HANDLERS_HANDLERS_H
#define USHER_HANDLERS_HANDLERS_H

#include "exchange/handler.h"

struct top_section_type;

extern const struct handler_type access_handler;
extern const struct handler_type cache_handler;
extern const struct handler_type client_certificate_handler;
extern const struct handler_type cors_handler;
extern const struct handler_type filter_handler;
extern const struct handler_type headers_handler;
extern const struct handler_type hsts_handler;
extern const struct handler_type https_handler;
extern const struct handler_type limits_handler;
extern const struct handler_type rate_handler;
extern const struct handler_type redirect_handler;
extern const struct handler_type respond_handler;
extern const struct handler_type rewrite_handler;
extern const struct handler_type security_handler;
extern const struct handler_type strip_handler;

// How much memory the handler `cache` may fill: a key of the top level.
extern const struct top_section_type cache_memory_section;

// And where on a disk.
extern const struct top_section_type cache_disk_section;

// What the handler `access` refers to.
extern const struct top_section_type lists_section;
extern const struct top_section_type logins_section;

// Where it keeps what must not be forgotten.
extern const struct top_section_type state_section;

// Ends with NULL; for struct snapshot_registry.
extern const struct handler_type *const handler_types[];

#endif
