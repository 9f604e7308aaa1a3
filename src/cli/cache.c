// usher cache: what a running usher's cache holds, and forgetting it.
#include "cli/admin_client.h"
#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_CONFIG, OPTION_ADMIN, OPTION_ALL, OPTION_PREFIX, OPTION_TAG, OPTION_SOFT };

static const struct command_option options[] = {
	[OPTION_CONFIG] = {"config", 'c', "FILE", "the configuration that usher runs with; as for `usher run`"},
	[OPTION_ADMIN] = {"admin", 0, "PATH", "the admin socket, where the configuration is not at hand"},
	[OPTION_ALL] = {"all", 0, NULL, "with purge: everything"},
	[OPTION_PREFIX] = {"prefix", 0, NULL, "with purge: all URLs that begin with those given"},
	[OPTION_TAG] = {"tag", 0, NULL, "with purge: what has the tags given (Surrogate-Key, Cache-Tag)"},
	[OPTION_SOFT] = {"soft", 0, NULL, "with purge: it stays, stale, for when it may be used so"},
	{0},
};

static long long number(const json_t *answer, const char *name)
{
	return (long long)json_integer_value(json_object_get(answer, name));
}

static int report(int status, json_t *answer, void (*print)(const json_t *answer))
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	if (status == 200)
		print(answer);
	else if (status != 0)
		fprintf(stderr, "usher cache: %s\n", error ? error : "refused");
	json_decref(answer);
	return status == 200 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void print_stats(const json_t *answer)
{
	long long found = number(answer, "found"), asked = found + number(answer, "missed");
	printf("stored answers  %lld\n", number(answer, "objects"));
	printf("bytes           %lld of %lld\n", number(answer, "bytes"), number(answer, "budget_bytes"));
	printf("found           %lld of %lld (%.1f%%)\n", found, asked,
	       asked > 0 ? 100.0 * (double)found / (double)asked : 0.0);
}

static void print_purged(const json_t *answer)
{
	bool is_soft = json_object_get(answer, "outdated") != NULL;
	printf("%lld stored answers %s\n", number(answer, is_soft ? "outdated" : "forgotten"),
	       is_soft ? "made stale" : "forgotten");
}

static int stats(const char *path)
{
	json_t *answer;
	int status = admin_client_ask("cache", path, "GET", "/cache", NULL, &answer);
	return report(status, answer, print_stats);
}

static int purge_one(const struct invocation *invocation, const char *path, const char *what)
{
	json_t *answer = NULL;
	const char *method = invocation->values[OPTION_SOFT] ? "POST" : "DELETE";
	const char *kind = invocation->values[OPTION_PREFIX] ? "prefix" : invocation->values[OPTION_TAG] ? "tag" : NULL;
	char *target = !what  ? strdup("/cache")
		       : kind ? admin_client_target((const char *const[]){"cache", kind, what, NULL})
			      : admin_client_target((const char *const[]){"cache", what, NULL});
	int status = target ? admin_client_ask("cache", path, method, target, NULL, &answer) : 0;
	free(target);
	return report(status, answer, print_purged);
}

static int purge(const struct invocation *invocation, const char *path)
{
	int code = EXIT_SUCCESS;
	if (invocation->values[OPTION_ALL])
		return purge_one(invocation, path, NULL);
	for (int i = 1; i < invocation->count && code == EXIT_SUCCESS; i++)
		code = purge_one(invocation, path, invocation->arguments[i]);
	return code;
}

static bool is_purge(const struct invocation *invocation)
{
	int kinds = (invocation->values[OPTION_ALL] != NULL) + (invocation->values[OPTION_PREFIX] != NULL) +
		    (invocation->values[OPTION_TAG] != NULL);
	return strcmp(invocation->arguments[0], "purge") == 0 && kinds <= 1 &&
	       (invocation->values[OPTION_ALL] != NULL) == (invocation->count == 1);
}

static int cache_run(const struct invocation *invocation)
{
	bool is_stats = strcmp(invocation->arguments[0], "stats") == 0 && invocation->count == 1;
	if (!is_stats && !is_purge(invocation)) {
		fprintf(stderr, "usage: usher cache [OPTION]... stats | purge URL... | purge --prefix URL... | "
				"purge --tag TAG... | purge --all\n");
		return EXIT_USAGE;
	}
	char *path = admin_client_path("cache", command_config(invocation->values[OPTION_CONFIG]),
				       invocation->values[OPTION_ADMIN]);
	int code = !path ? EXIT_FAILURE : is_stats ? stats(path) : purge(invocation, path);
	free(path);
	return code;
}

const struct command cache_command = {
	.name = "cache",
	.arguments = "stats | purge URL... | purge --prefix URL... | purge --tag TAG... | purge --all",
	.summary = "show what the cache holds, and make it forget",
	.help = "stats     how much is stored, and how often something was found\n"
		"purge     forgets what is stored for each URL, in all its variants; or what --prefix, --tag and --all "
		"say;\n"
		"          with --soft it is stale from now on\n"
		"\n"
		"usher must have an admin socket (the key `admin`).\n",
	.options = options,
	.least = 1,
	.most = -1,
	.run = cache_run,
};
