// A connection of HTTP/2 that a test plays by hand, in place of the one in src/http: what is
// above it can be tested without a server.
#ifndef USHER_TESTS_UPSTREAM_FAKE_H2_H
#define USHER_TESTS_UPSTREAM_FAKE_H2_H

#include "http/h2_client.h"

enum { FAKE_LINKS_MAX = 32 };

struct h2_link {
	struct stream *stream;
	struct h2_link_settings settings;
	void (*changed)(struct h2_link *link, void *argument);
	void *argument;
	uint32_t room; // exchanges that may still begin
	bool over;
	bool closed;
};

// All that were made, in order; closed ones stay until fake_h2_forget.
extern struct h2_link *fake_links[FAKE_LINKS_MAX];
extern unsigned fake_link_count;
extern uint32_t fake_room; // of those to come

void fake_h2_forget(void);

#endif
