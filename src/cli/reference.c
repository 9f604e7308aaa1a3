// usher reference: every key of a configuration, for people.
#include "config/reference.h"

#include "cli/tables.h"

static int reference_run(const struct invocation *invocation)
{
	return tables_print(invocation, reference_print);
}

const struct command reference_command = {
	.name = "reference",
	.arguments = "",
	.summary = "print the reference of all keys, in Markdown",
	.help = "Prints every key of a configuration with its type, default and meaning, in Markdown:\n"
		"docs/configuration.md is made by it.\n",
	.run = reference_run,
};
