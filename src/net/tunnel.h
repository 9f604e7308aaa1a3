// A tunnel: bytes moved both ways between two streams, for as long as it takes.
//
// While nothing moves it owns no fiber and no buffer; each way gets a fiber when something
// comes, and gives it back when it is quiet again, or has to wait for its turn at a rate.
#ifndef USHER_NET_TUNNEL_H
#define USHER_NET_TUNNEL_H

#include "base/slice.h"
#include "fiber/loop.h"
#include "net/pace.h"
#include "net/stream.h"

#include <stdbool.h>
#include <stdint.h>

struct tunnel;

struct tunnel_way {
	struct tunnel *tunnel;
	struct stream *from, *to;
	struct slice early;  // to be sent first
	struct fiber *fiber; // NULL while parked, waiting for its turn, or ended
	struct pace *pace;   // NULL: as fast as it goes
	size_t booked;	     // bytes of the pace, not used yet
	struct timer turn;   // when these may go
	uint64_t bytes;	     // moved so far
	bool ended;
};

struct tunnel {
	struct tunnel_way ways[2]; // from a to b, from b to a
	struct timer idle;	   // of neither way; waiting for a turn is not idling
	int64_t idle_ns;
	int64_t moved_ns; // when bytes moved last
	bool failed;
	void (*done)(struct tunnel *tunnel);
};

// An end of a tunnel, which stays the caller's; all that is told of it must live until `done`.
struct tunnel_side {
	struct stream *stream;
	struct slice early; // bytes that were read from it already: they go out first
	struct pace *pace;  // how fast it is read from; NULL: as fast as it goes
};

// Starts to move bytes between a and b. An end on one side is
// passed on, and the other way goes on. `done` is called once, from the loop or a fiber,
// when both ways have ended, one has failed, or nothing moved for idle_ns; the tunnel
// touches neither stream after that.
void tunnel_start(struct tunnel *tunnel, struct tunnel_side a, struct tunnel_side b, int64_t idle_ns,
		  void (*done)(struct tunnel *tunnel));

// Ends it soon: `done` follows while the loop turns.
void tunnel_abort(struct tunnel *tunnel);

#endif
