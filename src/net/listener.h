// Listening sockets: bound by the master, accepted from by each thread's loop.
#ifndef USHER_NET_LISTENER_H
#define USHER_NET_LISTENER_H

#include "fiber/io.h"
#include "net/address.h"

#include <stdbool.h>
#include <stdint.h>

// Makes a non-blocking, listening socket, with SO_REUSEPORT when `shared` (one for each
// thread); [::] takes IPv4 too. A UNIX socket's stale file is replaced when nobody listens
// on it. The descriptor, or -errno.
int listener_bind(const struct address *address, int backlog, bool shared);

struct listener;

// Called on the loop for each accepted connection, which it now owns.
typedef void listener_accepted(struct listener *listener, int descriptor, const struct address *peer);

struct listener {
	struct io io;
	listener_accepted *accepted;
	void *argument;
	struct address address; // as bound (port 0 resolved)
	bool paused;
	struct fiber *fiber;
	// Limits, asked before each accept: false makes the listener rest until
	// listener_resume.
	bool (*may_accept)(struct listener *listener);
};

// Accepts from `descriptor` (which stays the caller's; it is duplicated) on this thread's
// loop, until listener_stop. When descriptors run out (EMFILE, ENFILE) or memory does, it
// rests for 100 ms and says so in the log. 0 or -errno.
int listener_start(struct listener *listener, int descriptor);
void listener_resume(struct listener *listener);

// Stops accepting; connections already accepted by the kernel are taken first when `drain`.
void listener_stop(struct listener *listener, bool drain);

#endif
