// Checks: what a server is asked to find out whether it is well, as configured under `health`.
//
// A set of checks belongs to a pool, never changes, and is shared by all who use it.
#ifndef USHER_UPSTREAM_CHECK_H
#define USHER_UPSTREAM_CHECK_H

#include "base/arena.h"
#include "config/key.h"
#include "config/load.h"
#include "exchange/regex.h"
#include "exchange/status_range.h"
#include "http/fields.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct server;

enum check_type { CHECK_HTTP, CHECK_TCP, CHECK_GRPC, CHECK_COMMAND };

enum {
	CHECKS_MAX = 64, // of a pool: each has a bit
	CHECK_STATUSES_MAX = 16,
	CHECK_WORDS_MAX = 32,	    // of a command
	CHECK_BODY_MAX = 64 * 1024, // that is looked at
	CHECK_REASON_SIZE = 200,
};

// As loaded.
struct check_config {
	struct config_place place;
	struct config_text name;
	int type;
	struct config_text method, path, host, text, regex, service;
	struct config_pairs fields;
	struct config_texts status_texts, command;
	int64_t port; // 0: the server's own
	int64_t interval_ns, fast_ns, timeout_ns;
	struct config_text jitter;
	int64_t rise, fall;
	// Made of the above.
	int64_t jitter_percent;
	struct status_range statuses[CHECK_STATUSES_MAX];
	uint32_t status_count;
};

extern const struct config_section check_section;

struct check {
	struct slice key; // all of it as text: checks with the same are the same
	struct slice name;
	enum check_type type;
	struct slice method, path, host, text, service;
	struct regex regex; // .code NULL: none
	struct fields fields;
	char *command[CHECK_WORDS_MAX + 1]; // ends with NULL
	uint16_t port;
	int64_t interval_ns, fast_ns, timeout_ns;
	uint32_t jitter_percent;
	uint32_t rise, fall;
	struct status_range statuses[CHECK_STATUSES_MAX];
	uint32_t status_count;
};

struct check_set {
	_Atomic uint32_t references;
	uint32_t count;
	struct check *checks;
	struct arena arena;
};

// A set of checks as configured (a list of struct check_config, whole), with a reference. NULL
// when memory is out.
struct check_set *check_set_new(const struct config_list *configs);
struct check_set *check_set_ref(struct check_set *set);
void check_set_unref(struct check_set *set); // NULL is allowed

// Asks the server: whether it is well, and if not, why, in words for the log. Suspends until
// the check's time-out at most, or until the fiber is cancelled; then false.
bool check_run(const struct check *check, struct server *server, char ret_reason[CHECK_REASON_SIZE]);

// Whether commands that run, and those to come, are to be ended at once.
void check_commands_end(bool end);

#endif
