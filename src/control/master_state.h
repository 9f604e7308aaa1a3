// What the master knows; for master.c and reload.c.
#ifndef USHER_CONTROL_MASTER_STATE_H
#define USHER_CONTROL_MASTER_STATE_H

#include "control/control_server.h"
#include "control/master.h"
#include "control/plan.h"
#include "control/sockets.h"
#include "control/supervisor.h"
#include "control/watcher.h"

#include <stdbool.h>
#include <stdint.h>

// What is taken anew; the greater includes the less.
enum reload_kind {
	RELOAD_NONE,
	RELOAD_WATCHED, // the watched files, by the configuration that rules
	RELOAD_ALL,
};

struct master {
	const struct master_options *options;
	int signals;	  // a signalfd
	unsigned threads; // fixed when usher starts
	struct plan plan; // the one that rules
	struct sockets sockets;
	struct supervisor supervisor;
	struct control_server control;
	struct watcher watcher; // of the files that the plan watches
	int64_t review_at_ns;	// when to say again what there is to warn of
	char *pid_file;		// as written, or NULL
	bool serving;		// a worker has been ready
	// A reload, from loading until the worker has answered.
	enum reload_kind reloading, reload_again;
	bool retrying; // after the worker's death in the midst of it
	struct plan next_plan;
	struct sockets next_sockets;
	int64_t reload_started_ns;
	// The end.
	bool stopping, aborting, failed;
	int64_t kill_at_ns;
};

// --- reload.c

// Begins to take the configuration anew; while one is under way, another follows it.
void reload_begin(struct master *master, enum reload_kind kind);

// Begins what was asked for while something else was under way, if anything.
void reload_next(struct master *master);

// The worker's answer to the new configuration; `failure` is NULL when it serves by it.
void reload_end(struct master *master, const char *failure);

// The worker died in the midst of a reload: perhaps for another reason, so that it is tried
// once more when there is a new worker.
void reload_lost_worker(struct master *master);

// Looks whether watched files were replaced, and what there is to warn of meanwhile, when it
// is time for it; and when that is: INT64_MAX while there is something else to be done.
void reload_look(struct master *master);
int64_t reload_look_at(const struct master *master);

// Watches the files of the plan that rules from now on.
void reload_watch(struct master *master);

// Opens the log files of a plan for log_files_open; with `anew` also those that are open.
// False after an error was written to `messages` (NULL: to the log).
bool open_logs(const struct plan *plan, bool anew, FILE *messages);

// Whether the directories of features can be had; the same.
bool check_directories(const struct plan *plan, FILE *messages);

// Says in one line what usher serves, for systemd.
void describe(const struct master *master, char *ret_text, size_t size);

#endif
