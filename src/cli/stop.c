// usher stop: makes a running usher finish and end.
#include "cli/ask.h"

#include <stdlib.h>

enum { STOP_NOW = ASK_OWN };

static const struct command_option options[] = {
	ASK_OPTIONS,
	[STOP_NOW] = {"now", 0, NULL, "cut off what is under way"},
	{0},
};

static int stop_run(const struct invocation *invocation)
{
	return ask_running(invocation, invocation->values[STOP_NOW] ? "stop now" : "stop", stderr);
}

const struct command stop_command = {
	.name = "stop",
	.arguments = "[FILE]",
	.summary = "make a running usher finish and end",
	.help = "Makes the usher that runs with a configuration finish what is under way and end, and\n"
		"waits for that.\n",
	.options = options,
	.most = 1,
	.run = stop_run,
};
