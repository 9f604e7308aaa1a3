// Discovery: the addresses of servers that are configured by name.
//
// Names are resolved again and again by one thread of the process, as their time to live
// says, and the result is published for all threads (address_book.h). A failure keeps the
// old addresses: a pool is never emptied by its DNS. A name that has never been resolved is
// a state of its servers, with a warning in the log, and is tried again.
#ifndef USHER_UPSTREAM_DISCOVERY_H
#define USHER_UPSTREAM_DISCOVERY_H

#include "base/slice.h"
#include "net/address.h"
#include "net/resolver.h"

#include <stdbool.h>
#include <stdint.h>

struct address_book;
struct host_name;

// As resolver_lookup; `argument` is the resolver, or a test's own.
typedef int discovery_look_up(void *argument, const char *name, int64_t deadline_ns, struct resolution *ret_found);

// Makes this thread the one that resolves names, those that are there and those to come.
// Call discovery_stop on the same thread; afterwards names keep the addresses that they
// have, and another thread may start.
void discovery_start(discovery_look_up *look_up_name, void *argument);
void discovery_stop(void);

// How often to ask.
struct discovery_settings {
	int64_t refresh_ns; // 0: as the time to live says
	int64_t min_ns, max_ns;
	int64_t timeout_ns; // of one look-up
};

// The name, shared by all that ask for it with the same settings. NULL when memory is out.
// From any thread.
struct host_name *host_name_new(struct slice name, const struct discovery_settings *settings);
void host_name_unref(struct host_name *name);

bool host_name_has_settings(const struct host_name *name, const struct discovery_settings *settings);

enum host_name_state {
	HOST_NAME_NEW,	  // the first look-up has not ended
	HOST_NAME_FOUND,  // has addresses, perhaps old ones
	HOST_NAME_FAILED, // has never had one
};

enum host_name_state host_name_state(const struct host_name *name);
const struct address_book *host_name_addresses(const struct host_name *name);

// Suspends until the first look-up has ended: the state, HOST_NAME_NEW at the deadline.
// -ECANCELED.
int host_name_wait(const struct host_name *name, int64_t deadline_ns);

#endif
