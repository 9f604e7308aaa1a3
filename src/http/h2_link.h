// A link from within: what the exchanges on an HTTP/2 connection to a server need of it.
// Only for the files of the client's side; h2_client.h is for all others.
#ifndef USHER_HTTP_H2_LINK_H
#define USHER_HTTP_H2_LINK_H

#include "base/fault.h"
#include "base/list.h"
#include "base/slice.h"
#include "fiber/loop.h"
#include "fiber/wait.h"
#include "http/h2_client.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>

struct fiber;

struct h2_link {
	struct stream *stream;
	nghttp2_session *session;
	struct h2_link_settings settings;
	void (*changed)(struct h2_link *link, void *argument);
	void *argument;
	uint32_t exchanges;	  // between h2_client_init and client_fini
	struct list_link streams; // those of them that have sent
	struct list_link poked;	  // tunnels whose parked callback is to be called

	struct fiber *writer; // lives while there is something to write
	struct slice left;    // of the frame that the session gave last, what was not written yet

	struct timer watch;	      // asks whether the server is there
	int64_t opened_ns, heard_ns;  // when the last bytes came
	int64_t pinged_ns;	      // when the server was asked, 0 when it was not
	int64_t controls_since_ns;    // the frames that serve nobody are counted from here
	uint32_t controls;	      // how many they are
	struct wait_queue introduced; // waits for the server's first SETTINGS

	bool has_settings;    // they came
	bool is_acknowledged; // the server knows ours
	bool goes_away;	      // the server said GOAWAY
	bool is_flooded;      // too many frames that serve nobody
	bool is_terminated;   // GOAWAY for the server's errors is on its way
	bool is_unusable;     // the session failed, and may only be freed
	bool is_broken;	      // nothing can be read any more; exchanges have failed
	bool is_closed;	      // h2_link_close was called
	bool has_news;	      // `changed` is to be called
	const char *detail;   // which rule the server broke last; a literal
	struct deferred deferred;
};

// The session with its callbacks; the first frames are queued. False when memory is out.
bool h2_link_session_new(struct h2_link *link);

// Has what the session wants to send written, behind the fibers that are ready now: what
// they send goes with it.
void h2_link_write_soon(struct h2_link *link);

// The connection is of no use any more: exchanges under way fail. The first reason stands.
void h2_link_break(struct h2_link *link, enum fault_kind kind, const char *detail, int system_error);

// Tells those outside what has happened. May close the link: nothing of it may be used
// behind it but by an exchange that has not ended. Never within a callback of the session.
void h2_link_settle(struct h2_link *link);

// An exchange begins, and ends. The last one that ends may free a closed link.
void h2_link_hold(struct h2_link *link);
void h2_link_release(struct h2_link *link);

// Waits until the server's first SETTINGS came: 0, -ETIMEDOUT, -ECANCELED, or -ECONNRESET when
// the link is broken. Suspends.
int h2_link_meet(struct h2_link *link, int64_t deadline_ns);

// Has the link watched while exchanges are under way.
void h2_link_watch(struct h2_link *link);

#endif
