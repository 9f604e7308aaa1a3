// usher schema: the JSON Schema of configurations, for editors.
#include "config/schema.h"

#include "cli/tables.h"

static int schema_run(const struct invocation *invocation)
{
	return tables_print(invocation, schema_print);
}

const struct command schema_command = {
	.name = "schema",
	.arguments = "",
	.summary = "print the JSON Schema of configurations, for editors",
	.help = "Prints the JSON Schema (draft 2020-12) of configurations: with it an editor completes\n"
		"keys and marks mistakes while one types. docs/editor.md shows how.\n",
	.run = schema_run,
};
