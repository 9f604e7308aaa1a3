// Limits and timeouts: keys whose fields are inherited one by one, from the top to sites to
// routes.
#ifndef USHER_EXCHANGE_SCOPE_H
#define USHER_EXCHANGE_SCOPE_H

#include "config/key.h"
#include "exchange/snapshot.h"

struct config_load;

extern const struct config_key limits_key;
extern const struct config_key timeouts_key;

// What stands when nothing is written.
extern const struct limits limits_standard;
extern const struct timeouts timeouts_standard;

// What a scope has: its own fields over those of the scope around it. `value` is what was
// written there, or NULL; `top` tells the outermost scope, where fields may stand that count
// for whole connections. NULL after config_error, or when memory is out.
const struct limits *limits_inherit(struct config_load *load, const struct limits *value, const struct limits *outer,
				    bool top);
const struct timeouts *timeouts_inherit(struct config_load *load, const struct timeouts *value,
					const struct timeouts *outer, bool top);

#endif
