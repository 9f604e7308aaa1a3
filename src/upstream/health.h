// Health: the checks of all servers, each by one fiber at a time of one thread of the process.
//
// Which servers are to be checked, and how, is found in the pools that are active; what
// becomes of them is in their holds (HOLD_ILL, HOLD_UNPROVEN) and bits. The state survives a
// reload where server and check are the same.
#ifndef USHER_UPSTREAM_HEALTH_H
#define USHER_UPSTREAM_HEALTH_H

#include "upstream/check.h"
#include "upstream/server.h"

#include <stdbool.h>
#include <stdint.h>

// How one check is run: check_run, or a test's own.
typedef bool health_run(const struct check *check, struct server *server, char ret_reason[CHECK_REASON_SIZE]);

// Makes this thread the one that checks. Call health_stop on the same
// thread while its loop still turns: servers stay as they are.
void health_start(health_run *run);
void health_stop(void);

// Pools or their servers have changed: the thread that checks looks again, soon. From any
// thread, also where none checks.
void health_look_again(void);

// What is known of one check of a server, for the admin API.
struct health_status {
	struct slice check; // its name; lent until the visit is over
	bool ill, unproven;
	int64_t since_ns;		// when that began, on the loop's clock
	uint64_t checks, bad;		// how many there were
	char reason[CHECK_REASON_SIZE]; // of the last bad one, "" when there was none
};

// Calls `visit` for each check of the server. On any thread.
typedef void health_visitor(void *argument, const struct health_status *status);
void health_visit(const struct server *server, health_visitor *visit, void *argument);

#endif
