// usher status: tells whether usher runs, and where it listens.
#include "cli/ask.h"

#include <stdlib.h>

static const struct command_option options[] = {
	ASK_OPTIONS,
	{0},
};

static int status_run(const struct invocation *invocation)
{
	return ask_running(invocation, "status", stdout);
}

const struct command status_command = {
	.name = "status",
	.arguments = "[FILE]",
	.summary = "tell whether usher runs, and where it listens",
	.help = "Prints the processes of the usher that runs with a configuration, and where it listens.\n",
	.options = options,
	.most = 1,
	.run = status_run,
};
