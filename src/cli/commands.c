#include "cli/command.h"
#include "config/suggest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct command *const commands[] = {
	&run_command,
	&proxy_command,
	&check_command,
	&reload_command,
	&stop_command,
	&status_command,
	&pool_command,
	&cache_command,
	&access_command,
	&user_command,
	&schema_command,
	&reference_command,
	&demo_command,
	&demo_origin_command,
	&version_command,
	&help_command,
	NULL,
};

const struct command *command_find(const char *name)
{
	for (const struct command *const *command = commands; *command; command++) {
		if (strcmp((*command)->name, name) == 0)
			return *command;
	}
	return NULL;
}

int command_unknown(const char *name)
{
	struct suggestion suggestion;
	suggest_begin(&suggestion, slice_from_string(name));
	for (const struct command *const *command = commands; *command; command++)
		suggest_compare(&suggestion, slice_from_string((*command)->name));
	fprintf(stderr, "usher: there is no command \"%s\"", name);
	if (suggestion.nearest.data)
		fprintf(stderr, "; did you mean \"%.*s\"?", SLICE_ARGUMENTS(suggestion.nearest));
	fprintf(stderr, "\n`usher help` lists all commands\n");
	return EXIT_USAGE;
}

const char *command_config_of(const struct invocation *invocation, unsigned option)
{
	const char *given = invocation->values[option];
	if (given && invocation->count > 0) {
		fprintf(stderr, "two configurations are named, %s and %s\n", invocation->arguments[0], given);
		return NULL;
	}
	return command_config(invocation->count > 0 ? invocation->arguments[0] : given);
}

const char *command_config(const char *given)
{
	if (given)
		return given;
	return access("usher.yaml", F_OK) == 0 ? "usher.yaml" : "/etc/usher/usher.yaml";
}

bool command_colours(void)
{
	const char *unwanted = getenv("NO_COLOR");
	return isatty(STDERR_FILENO) && !(unwanted && unwanted[0]);
}
