// A plan: what the master itself must know of a configuration, and the bundle from which
// the worker loads all of it.
#ifndef USHER_CONTROL_PLAN_H
#define USHER_CONTROL_PLAN_H

#include "config/load.h"
#include "control/privileges.h"
#include "control/watch_list.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct plan_listen {
	struct address address;
	char *place; // "usher.yaml:3:9", for messages
	char name[ADDRESS_TEXT_MAX];
	bool for_owner; // a UNIX socket that nobody but who usher runs as may connect to
};

// Of a feature that keeps files.
struct plan_directory {
	const char *key; // a literal
	char *path;
	char *place; // "usher.yaml:3:9", for messages
};

enum { PLAN_DIRECTORIES = 2 };

struct plan {
	char *path; // of the configuration, as given
	int bundle; // descriptor, -1: none
	struct plan_listen *listens;
	size_t listen_count;
	char **logs; // paths of the files that the worker appends to
	size_t log_count;
	struct plan_directory directories[PLAN_DIRECTORIES];
	size_t directory_count;
	unsigned threads;
	struct privileges privileges;
	char *user; // as configured, for comparison
	int64_t drain_ns;
	char *pid_file;	 // or NULL
	char *error_log; // or NULL: standard error
	size_t sites, routes, pools;
	char *access;		   // the rules in words, a line each
	struct watch_list watched; // what is taken without a reload when it is replaced
};

// Loads the configuration and checks all that can be checked without opening ports; errors
// and warnings go to `messages`. False when it is not fit to run: then the plan holds only what
// it would watch. Free it in any case.
bool plan_load(struct config_source *source, const char *path, FILE *messages, bool colours, struct plan *ret_plan);

// Loads with no other files than those of the plan's bundle but the watched ones, which come
// from `source`: what the configuration is now that they were replaced.
bool plan_renew(const struct plan *plan, struct config_source *source, FILE *messages, struct plan *ret_plan);

// Says again what there is to warn of, today: a certificate has come near its end meanwhile.
void plan_review(const struct plan *plan, FILE *messages);

// Opens one of the plan's directories, which is made where it is not there, for whom the worker runs as: a descriptor
// of the caller's, or -errno.
int plan_open_directory(const struct plan *plan, const struct plan_directory *directory);

// Frees everything, and closes the bundle.
void plan_free(struct plan *plan);

#endif
