// What the cache holds, as the admin API tells it.
#ifndef USHER_CONTROL_ADMIN_CACHE_SHOW_H
#define USHER_CONTROL_ADMIN_CACHE_SHOW_H

#include "control/admin.h"

#include <jansson.h>

// The answers that are meant, and whether these are all, by the segments: /cache/list, /cache/list/PREFIX, /cache/top,
// /cache/URL. NULL, with the answer refused, when it is none of these, or memory is out.
json_t *admin_cache_show(const struct admin_request *request, struct admin_answer *ret_answer);

#endif
