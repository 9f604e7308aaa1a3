// The kinds of checks, and what those share that ask over HTTP. For the files of this folder.
#ifndef USHER_UPSTREAM_CHECK_KINDS_H
#define USHER_UPSTREAM_CHECK_KINDS_H

#include "base/arena.h"
#include "http/client.h"
#include "upstream/check.h"
#include "upstream/server.h"

#include <stdbool.h>

// What is asked, and how the answer is judged.
struct check_question {
	struct client_request request; // filled in by `make`
	bool wants_body;
	// False when memory is out.
	bool (*make)(const struct check *check, const struct server *server, struct arena *arena,
		     struct client_request *ret_request);
	// Whether the answer says that the server is well; if not, why.
	bool (*judge)(const struct check *check, const struct response *response, struct slice body,
		      char reason[CHECK_REASON_SIZE]);
};

// Over a connection of its own; as check_run. Suspends.
bool check_ask(const struct check *check, struct server *server, struct check_question *question,
	       char reason[CHECK_REASON_SIZE]);

bool check_by_http(const struct check *check, struct server *server, char reason[CHECK_REASON_SIZE]);
bool check_by_grpc(const struct check *check, struct server *server, char reason[CHECK_REASON_SIZE]);
bool check_by_command(const struct check *check, struct server *server, char reason[CHECK_REASON_SIZE]);

// Writes the reason; false.
bool check_fail(char reason[CHECK_REASON_SIZE], const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
