// Fetches a URL for the control plane, by libcurl: key sets, what an OpenID Connect provider says. Blocks: for a thread
// that may, never for a loop or a fiber.
//
// It follows no redirects, asks no proxy that the environment names, and neither reads nor waits beyond its bounds.
#ifndef USHER_NET_FETCH_H
#define USHER_NET_FETCH_H

#include "base/slice.h"

#include <stdbool.h>

enum { FETCH_BYTES_MAX = 512 * 1024, FETCH_CONNECT_SECONDS = 5, FETCH_SECONDS = 10 };

struct fetch_request {
	const char *url;
	bool http_allowed;	   // else nothing but https
	struct slice authorities;  // PEM: whom to believe; empty: the system's
	const char *form;	   // sent by POST as application/x-www-form-urlencoded; NULL: GET
	const char *authorization; // a field's value; NULL: none
};

struct fetch_answer {
	unsigned status;
	struct slice content;	 // malloced
	char cache_control[256]; // the field's value; empty: there is none, or it is longer
	char why[256];		 // what went wrong
};

// True, and the status and the content, whatever the status is: the content is the caller's, by fetch_answer_free.
// False, and words of what went wrong in why.
bool fetch(const struct fetch_request *request, struct fetch_answer *ret_answer);
void fetch_answer_free(struct fetch_answer *answer);

// Whether the text is an absolute URL of https, or, where that is allowed, of http, with a host, without user
// information and fragment, in printable ASCII.
bool fetch_is_url(struct slice text, bool http_allowed);

// What is under way ends within a second, and what comes later fails: for the process's end. From any thread.
void fetch_end_all(void);

#endif
