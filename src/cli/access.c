// usher access: what an operator does about logins while usher runs.
#include "cli/admin_client.h"
#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS "forgive | log-out LOGIN USER"

enum { OPTION_CONFIG, OPTION_ADMIN };

static const struct command_option options[] = {
	[OPTION_CONFIG] = {"config", 'c', "FILE", "the configuration that usher runs with; as for `usher run`"},
	[OPTION_ADMIN] = {"admin", 0, "PATH", "the admin socket, where the configuration is not at hand"},
	{0},
};

static int ask(const char *path, char *target)
{
	json_t *answer = NULL;
	int status = target ? admin_client_ask("access", path, "DELETE", target, NULL, &answer) : 0;
	const char *error = json_string_value(json_object_get(answer, "error"));
	if (status != 204 && status != 0)
		fprintf(stderr, "usher access: %s\n", error ? error : "refused");
	json_decref(answer);
	free(target);
	return status == 204 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int access_run(const struct invocation *invocation)
{
	const char *word = invocation->arguments[0];
	bool is_forgive = strcmp(word, "forgive") == 0 && invocation->count == 1;
	if (!is_forgive && !(strcmp(word, "log-out") == 0 && invocation->count == 3)) {
		fprintf(stderr, "usage: usher access [OPTION]... " ARGUMENTS "\n");
		return EXIT_USAGE;
	}
	char *path = admin_client_path("access", command_config(invocation->values[OPTION_CONFIG]),
				       invocation->values[OPTION_ADMIN]);
	if (!path)
		return EXIT_FAILURE;
	int code = ask(path, is_forgive ? strdup("/access/failures")
					: admin_client_target((const char *const[]){"access", "sessions",
										    invocation->arguments[1],
										    invocation->arguments[2], NULL}));
	free(path);
	return code;
}

const struct command access_command = {
	.name = "access",
	.arguments = ARGUMENTS,
	.summary = "forgive failed logins, and log users out",
	.help = "forgive   forgets all logins that failed: nobody has to wait any more\n"
		"log-out   ends all sessions of a user, everywhere\n"
		"\n"
		"usher must have an admin socket (the key `admin`).\n",
	.options = options,
	.least = 1,
	.most = 3,
	.run = access_run,
};
