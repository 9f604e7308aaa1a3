// usher run: serves what a configuration says, until it is told to stop.
#include "cli/command.h"
#include "control/master.h"

enum { RUN_CONFIG, RUN_PID_FILE, RUN_CONTROL };

static const struct command_option options[] = {
	[RUN_CONFIG] = {"config", 'c', "FILE", "the configuration; usher.yaml here, or else /etc/usher/usher.yaml"},
	[RUN_PID_FILE] = {"pid-file", 0, "FILE", "write the process's number there, whatever the configuration says"},
	[RUN_CONTROL] = {"control", 0, "PATH", "the socket for reload, stop and status"},
	{0},
};

static int run_run(const struct invocation *invocation)
{
	const char *path = command_config_of(invocation, RUN_CONFIG);
	if (!path)
		return EXIT_USAGE;
	struct master_options master = {
		.source = config_source_disk(),
		.path = path,
		.pid_file = invocation->values[RUN_PID_FILE],
		.control = invocation->values[RUN_CONTROL],
	};
	return master_run(&master);
}

const struct command run_command = {
	.name = "run",
	.arguments = "[FILE]",
	.summary = "serve what a configuration says",
	.help = "Serves what a configuration says, in the foreground, until SIGTERM or SIGINT or\n"
		"`usher stop`: then it finishes what is under way, for at most as long as the key\n"
		"`drain` says; a second signal ends it at once. SIGHUP or `usher reload` takes the\n"
		"configuration anew without closing a connection. SIGUSR1 opens the log files anew.\n",
	.options = options,
	.most = 1,
	.run = run_run,
};
