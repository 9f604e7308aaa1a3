// The listening sockets that the master holds for its workers: for each address one for
// each thread, so that the kernel spreads connections over the threads (SO_REUSEPORT), and
// a worker that dies leaves its queue to the next one.
#ifndef USHER_CONTROL_SOCKETS_H
#define USHER_CONTROL_SOCKETS_H

#include "control/plan.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>

struct listening {
	struct address configured; // port 0: any
	struct address bound;
	unsigned count; // of descriptors: as many as threads
	int *descriptors;
};

struct sockets {
	struct listening *items;
	size_t count;
};

// Opens what a plan listens on and what `held` (may be NULL) does not have: *ret_opened gets
// the new ones. 0; or -errno, nothing is open then, *ret_failed the address at fault.
int sockets_open(const struct plan *plan, const struct sockets *held, unsigned threads, struct sockets *ret_opened,
		 const struct plan_listen **ret_failed);

// Adds the items of `more`, which is empty then: 0 or -ENOMEM, and nothing changed.
int sockets_merge(struct sockets *sockets, struct sockets *more);

// Closes what a plan does not listen on.
void sockets_keep(struct sockets *sockets, const struct plan *plan);

void sockets_close(struct sockets *sockets);

// Unlinks the paths of UNIX sockets, at the end of the last process that listens on them.
void sockets_unlink(const struct sockets *sockets);

const struct listening *sockets_find(const struct sockets *sockets, const struct address *configured);

#endif
