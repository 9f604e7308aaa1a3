// Logins that failed: how long who tries again has to wait, by the user's name, by the client's network (an IPv6
// client's is /64), and by both. In a table of a fixed size, in which the newest take the place of the oldest.
#ifndef USHER_ACCESS_FAILURES_H
#define USHER_ACCESS_FAILURES_H

#include "base/slice.h"
#include "net/address.h"

#include <stdint.h>

// Of one try.
struct failures_try {
	struct slice login, user;
	const struct address *client;
};

// How long it has to wait; 0: it may be tried. From any thread; now_ns is of one clock.
int64_t failures_wait_ns(const struct failures_try *tried, int64_t now_ns);

// It failed: *ret_count is how often this user did from there, of late.
void failures_note(const struct failures_try *tried, int64_t now_ns, unsigned *ret_count);

// It was right: what this user did wrong from there is forgotten.
void failures_forgive(const struct failures_try *tried);

// Forgets all.
void failures_forget_all(void);

#endif
