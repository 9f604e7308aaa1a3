// usher version: which usher this is.
#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>

static int version_run(const struct invocation *invocation)
{
	printf("usher " USHER_VERSION "\n");
	if (invocation->verbose)
		printf("built with %s%s\n", __VERSION__,
#ifdef HAVE_SYSTEMD
		       ", tells systemd how it fares"
#else
		       ", without libsystemd"
#endif
		);
	return EXIT_SUCCESS;
}

const struct command version_command = {
	.name = "version",
	.arguments = "",
	.summary = "print the version",
	.help = "Prints usher's version; with -v also how it was built.\n",
	.run = version_run,
};
