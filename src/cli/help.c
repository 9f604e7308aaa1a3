// usher help: what usher can do.
#include "cli/command.h"

#include <stdlib.h>

static int help_run(const struct invocation *invocation)
{
	if (invocation->count == 0) {
		command_print_all();
		return EXIT_SUCCESS;
	}
	const struct command *command = command_find(invocation->arguments[0]);
	if (!command)
		return command_unknown(invocation->arguments[0]);
	command_print(command);
	return EXIT_SUCCESS;
}

const struct command help_command = {
	.name = "help",
	.arguments = "[COMMAND]",
	.summary = "list the commands, or explain one",
	.help = "Lists all commands, or says what one does and which options it has.\n",
	.most = 1,
	.run = help_run,
};
