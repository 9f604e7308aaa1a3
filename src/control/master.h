// The master: the process that one starts. It loads and checks the configuration, binds the
// ports, starts the worker and hands both to it, replaces it when it dies, and takes signals
// and commands:
//
//   SIGTERM, SIGINT   finish what is under way, then end; a second one: end now
//   SIGHUP            load the configuration anew
//   SIGUSR1           open the log files anew
#ifndef USHER_CONTROL_MASTER_H
#define USHER_CONTROL_MASTER_H

#include "config/load.h"
#include "control/plan.h"
#include "control/sockets.h"

#include <stdbool.h>

struct master_options {
	struct config_source *source;
	const char *path;     // of the configuration
	const char *control;  // of the control socket; NULL: by the configuration's path
	bool without_control; // no control socket
	const char *pid_file; // rules over the configuration's; NULL: none
	// Called once the first worker serves.
	void (*serving)(const struct plan *plan, const struct sockets *sockets);
};

// Runs until it is told to end: the exit code.
int master_run(const struct master_options *options);

#endif
