// usher reload: makes a running usher take its configuration anew.
#include "cli/ask.h"

#include <stdlib.h>

static const struct command_option options[] = {
	ASK_OPTIONS,
	{0},
};

static int reload_run(const struct invocation *invocation)
{
	int code = ask_running(invocation, "reload", stderr);
	if (code == EXIT_SUCCESS && invocation->verbose)
		printf("reloaded\n");
	return code;
}

const struct command reload_command = {
	.name = "reload",
	.arguments = "[FILE]",
	.summary = "make a running usher take its configuration anew",
	.help = "Makes the usher that runs with a configuration take it anew, and waits until it rules.\n"
		"No connection is closed. With errors they are printed, and the former one goes on.\n",
	.options = options,
	.most = 1,
	.run = reload_run,
};
