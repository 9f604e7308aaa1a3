// The admin API: HTTP and JSON on a UNIX socket of its own (the key `admin`), for whoever usher runs
// as and nobody else. What it can do is in docs/admin.md.
#ifndef USHER_CONTROL_ADMIN_H
#define USHER_CONTROL_ADMIN_H

#include "base/slice.h"
#include "http/message.h"

#include <stdint.h>

struct exchange;

// Answers an exchange that came by the admin socket. Suspends.
void admin_handle(struct exchange *exchange);

// --- For the files of the API: a request, and what it is answered. They run off the loop.

enum { ADMIN_SEGMENTS_MAX = 6 };

struct admin_request {
	enum method method;
	struct slice segments[ADMIN_SEGMENTS_MAX]; // of the path, percent-decoded: "pools", "app", ...
	unsigned count;
	struct slice body;
	int64_t now_ns; // on the loop's clock
};

struct admin_answer {
	unsigned status;
	char *text;	   // JSON, malloced; NULL: none
	const char *allow; // with 405
};

// An error, as JSON: {"error": "..."}.
void admin_refuse(struct admin_answer *answer, unsigned status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// /pools and below.
void admin_pools(const struct admin_request *request, struct admin_answer *ret_answer);

// /cache and below.
void admin_cache(const struct admin_request *request, struct admin_answer *ret_answer);

// /access and below.
void admin_access(const struct admin_request *request, struct admin_answer *ret_answer);

#endif
