// Listening sockets: bound by the master, accepted from by each thread's loop.
#ifndef USHER_NET_LISTENER_H
#define USHER_NET_LISTENER_H

#include "fiber/io.h"
#include "fiber/loop.h"
#include "net/address.h"

#include <stdbool.h>
#include <stdint.h>

// Makes a non-blocking, listening socket, with SO_REUSEPORT when `shared` (one for each
// thread); [::] takes IPv4 too, and is 0.0.0.0 where the system has no IPv6. A UNIX socket's stale file is replaced
// when nobody listens on it. The descriptor, or -errno (-EADDRINUSE also for a path that is no socket).
int listener_bind(const struct address *address, int backlog, bool shared);

struct listener;

// Called on the loop, outside of any fiber (but by listener_stop: where that is called), for
// each accepted connection, which it now owns. It may stop the listener.
typedef void listener_accepted(struct listener *listener, int descriptor, const struct address *peer);

struct listener {
	struct io io;
	listener_accepted *accepted;
	void *argument;
	struct address address; // as bound (port 0 resolved); asked of the socket when empty
	bool paused;		// until listener_resume
	// Limits, asked before each accept: false makes the listener rest until
	// listener_resume. NULL: no limits.
	bool (*may_accept)(struct listener *listener);
	struct timer rest; // runs while descriptors or memory are out
	uint64_t rests;	   // how often that was
};

// Accepts from `descriptor` (which stays the caller's; it is duplicated) on this thread's
// loop, until listener_stop; the caller has filled in accepted, argument and may_accept,
// and zeroed the rest. A bounded number of connections is taken each turn. When descriptors
// run out (EMFILE, ENFILE) or memory does, it rests for 100 ms and says so in the log.
// 0 or -errno.
int listener_start(struct listener *listener, int descriptor);

// Lets a paused listener accept again, from the next turn on. Nothing when it is not paused.
void listener_resume(struct listener *listener);

// Stops accepting; with `drain`, connections that the kernel has already accepted are taken
// first, as far as may_accept lets. The memory must stay until the end of the loop's turn.
void listener_stop(struct listener *listener, bool drain);

#endif
