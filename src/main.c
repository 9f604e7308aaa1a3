// The command line: picks a command, nothing else.
#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What was printed may still be in the buffer, and fail only now: a full disk, a closed
// output. That must not look like success.
static int finish(int exit_code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return exit_code;
	perror("usher: standard output");
	return exit_code ? exit_code : EXIT_FAILURE;
}

int main(int count, char **words)
{
	if (count < 2) {
		fprintf(stderr, "usage: usher COMMAND [OPTION]... [ARGUMENT]...\n`usher help` lists the commands\n");
		return EXIT_USAGE;
	}
	const char *name = words[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = help_command.name;
	if (strcmp(name, "--version") == 0)
		name = version_command.name;
	const struct command *command = command_find(name);
	return finish(command ? command_run(command, count - 1, words + 1) : command_unknown(name));
}
