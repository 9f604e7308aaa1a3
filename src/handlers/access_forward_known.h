// Visitors whom an authentication service let in a short while ago, so that it is not asked with each request. For the
// files of the handler `access`.
#ifndef USHER_HANDLERS_ACCESS_FORWARD_KNOWN_H
#define USHER_HANDLERS_ACCESS_FORWARD_KNOWN_H

#include "handlers/access_forward.h"

#include <stdbool.h>

// What the visitor is known by, as the configuration says, in the exchange's memory. .data is NULL where nothing is
// remembered: it is off, the request has none of the fields, or memory is out.
struct slice access_forward_key(struct exchange *exchange, const struct access_forward *forward);

// Takes what the service told of him: exchange->user and ->groups, and the fields. False when he is not known.
bool access_forward_recall(struct exchange *exchange, const struct access_forward *forward, struct slice key,
			   struct fields *ret_told);

// Remembers it. What is much is not remembered.
void access_forward_remember(struct exchange *exchange, const struct access_forward *forward, struct slice key,
			     const struct fields *told);

#endif
