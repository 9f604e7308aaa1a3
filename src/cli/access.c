// usher access: what an operator does about logins while usher runs.
#include "cli/admin_client.h"
#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS "forgive | log-out LOGIN USER | state"

enum { OPTION_CONFIG, OPTION_ADMIN };

static const struct command_option options[] = {
	[OPTION_CONFIG] = {"config", 'c', "FILE", "the configuration that usher runs with; as for `usher run`"},
	[OPTION_ADMIN] = {"admin", 0, "PATH", "the admin socket, where the configuration is not at hand"},
	{0},
};

static void print_state(const json_t *answer)
{
	const char *file = json_string_value(json_object_get(answer, "file")),
		   *redis = json_string_value(json_object_get(answer, "redis"));
	printf("file %s\nredis %s\nkept %lld\nwaiting %lld\n", file ? file : "?", redis ? redis : "?",
	       (long long)json_integer_value(json_object_get(answer, "kept")),
	       (long long)json_integer_value(json_object_get(answer, "waiting")));
}

static int ask(const char *path, const char *method, char *target)
{
	json_t *answer = NULL;
	int status = target ? admin_client_ask("access", path, method, target, NULL, &answer) : 0;
	const char *error = json_string_value(json_object_get(answer, "error"));
	bool good = status == 200 || status == 204;
	if (!good && status != 0)
		fprintf(stderr, "usher access: %s\n", error ? error : "refused");
	if (status == 200)
		print_state(answer);
	json_decref(answer);
	free(target);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int access_run(const struct invocation *invocation)
{
	const char *word = invocation->arguments[0];
	bool is_forgive = strcmp(word, "forgive") == 0 && invocation->count == 1,
	     is_state = strcmp(word, "state") == 0 && invocation->count == 1;
	if (!is_forgive && !is_state && !(strcmp(word, "log-out") == 0 && invocation->count == 3)) {
		fprintf(stderr, "usage: usher access [OPTION]... " ARGUMENTS "\n");
		return EXIT_USAGE;
	}
	char *path = admin_client_path("access", command_config(invocation->values[OPTION_CONFIG]),
				       invocation->values[OPTION_ADMIN]);
	if (!path)
		return EXIT_FAILURE;
	char *target =
		is_forgive ? strdup("/access/failures")
		: is_state ? strdup("/access/state")
			   : admin_client_target((const char *const[]){"access", "sessions", invocation->arguments[1],
								       invocation->arguments[2], NULL});
	int code = ask(path, is_state ? "GET" : "DELETE", target);
	free(path);
	return code;
}

const struct command access_command = {
	.name = "access",
	.arguments = ARGUMENTS,
	.summary = "forgive failed logins, log users out, and look at what is kept",
	.help = "forgive   forgets all logins that failed: nobody has to wait any more\n"
		"log-out   ends all sessions of a user, everywhere\n"
		"state     shows whether what logins must not forget is written: to the file, and to the Redis; how "
		"much\n"
		"          is kept, and how much waits to be written\n"
		"\n"
		"usher must have an admin socket (the key `admin`).\n",
	.options = options,
	.least = 1,
	.most = 3,
	.run = access_run,
};
