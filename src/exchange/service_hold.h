// How exchanges count on the service that they belong to; for the files that begin and end them.
#ifndef USHER_EXCHANGE_SERVICE_HOLD_H
#define USHER_EXCHANGE_SERVICE_HOLD_H

#include "base/list.h"

#include <stddef.h>

struct exchange;
struct exchange_hold;
struct fiber;

// A fiber that works for an exchange whose client cannot end it.
struct service_fiber {
	struct list_link link;
	struct fiber *fiber;
};

// A struct of `size` bytes that begins with an exchange, cleared (but for the exchange's trace where that is
// all of it), in an arena of its own that the exchange owns. It counts as running, with the hold's snapshot. NULL
// when memory is out.
struct exchange *service_take(struct exchange_hold *hold, size_t size);

// Frees it.
void service_release(struct exchange *exchange);

// From now to service_forget, exchange_service_cancel cancels the fiber.
void service_remember(struct exchange_hold *hold, struct service_fiber *fiber);
void service_forget(struct service_fiber *fiber);

#endif
