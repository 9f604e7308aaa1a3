// usher cache: what a running usher's cache holds, and forgetting it.
#include "cli/admin_client.h"
#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS                                                                                                      \
	"stats | list [URL] | show URL | top | purge URL... | purge --prefix URL... | purge --tag TAG... | purge "     \
	"--all"

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

// What was answered without waiting for a server.
static void print_routes(const json_t *routes)
{
	size_t i;
	const json_t *route;
	json_array_foreach(routes, i, route)
	{
		long long used = number(route, "hit") + number(route, "stale");
		long long asked = used + number(route, "miss") + number(route, "pass");
		if (asked > 0)
			printf("%s %s  %lld of %lld (%.1f%%): %lld hits, %lld stale, %lld misses, %lld passed\n",
			       json_string_value(json_object_get(route, "site")),
			       json_string_value(json_object_get(route, "route")), used, asked,
			       100.0 * (double)used / (double)asked, number(route, "hit"), number(route, "stale"),
			       number(route, "miss"), number(route, "pass"));
	}
}

static void print_disk(const json_t *disk)
{
	printf("on the disk     %lld%s\n", number(disk, "objects"),
	       json_is_true(json_object_get(disk, "known")) ? "" : " so far: the directory is being read");
	printf("  bytes         %lld of %lld\n", number(disk, "bytes"), number(disk, "budget_bytes"));
	printf("  found there   %lld, which were not in memory\n", number(disk, "found"));
	printf("  written       %lld; %lld could not be, and %lld were not what was written\n", number(disk, "written"),
	       number(disk, "unwritten"), number(disk, "broken"));
	printf("  purged        %lld%s\n", number(disk, "purged"),
	       json_is_true(json_object_get(disk, "sweeping")) ? " so far: the files are being gone through" : "");
}

static void print_stats(const json_t *answer)
{
	long long found = number(answer, "found"), asked = found + number(answer, "missed");
	printf("stored answers  %lld\n", number(answer, "objects"));
	printf("bytes           %lld of %lld\n", number(answer, "bytes"), number(answer, "budget_bytes"));
	printf("found           %lld of %lld (%.1f%%)\n", found, asked,
	       asked > 0 ? 100.0 * (double)found / (double)asked : 0.0);
	if (json_object_get(answer, "disk"))
		print_disk(json_object_get(answer, "disk"));
	print_routes(json_object_get(answer, "routes"));
}

static void print_purged(const json_t *answer)
{
	bool is_soft = json_object_get(answer, "outdated") != NULL;
	bool is_swept = json_is_true(json_object_get(answer, "disk_is_swept_behind"));
	printf("%lld stored answers %s%s\n", number(answer, is_soft ? "outdated" : "forgotten"),
	       is_soft ? "made stale" : "forgotten",
	       is_swept
		       ? " in memory; those on the disk are, too, and usher cache stats counts them as their files are "
			 "gone through"
		       : "");
}

static int stats(const char *path)
{
	json_t *answer;
	int status = admin_client_ask("cache", path, "GET", "/cache", NULL, &answer);
	return report(status, answer, print_stats);
}

static void print_one(const json_t *answer)
{
	printf("%s\n", json_string_value(json_object_get(answer, "url")));
	if (json_is_false(json_object_get(answer, "stored"))) {
		printf("  not stored: %s (%s); for %lld s more, visitors do not wait for each other\n",
		       json_string_value(json_object_get(answer, "why")),
		       json_string_value(json_object_get(answer, "rule")), number(answer, "seconds_left"));
		return;
	}
	long long left_s = number(answer, "seconds_left");
	bool is_fresh = json_is_true(json_object_get(answer, "fresh"));
	printf("  %lld, %lld bytes of content%s, %lld in all; used %lld times\n", number(answer, "status"),
	       number(answer, "content_bytes"), json_object_get(answer, "on_disk") ? " on the disk" : "",
	       number(answer, "bytes"), number(answer, "uses"));
	printf("  %s: %lld s old, of %lld s that it is fresh (%s)", is_fresh ? "reused" : "not reused as it is",
	       number(answer, "age"), number(answer, "lifetime"), json_string_value(json_object_get(answer, "by")));
	if (json_is_true(json_object_get(answer, "validated_each_time")))
		printf("; no-cache: the server is asked each time (RFC 9111 section 5.2.2.4)");
	else if (!is_fresh)
		printf(left_s > 0 ? "; a purge made it stale"
				  : "; stale: the server is asked first (RFC 9111 section 4.2)");
	printf("\n");
	const char *name;
	json_t *value;
	json_object_foreach(json_object_get(answer, "vary"), name, value)
		printf("  for %s: %s\n", name, json_string_value(value));
}

static void print_answers(const json_t *answer)
{
	size_t i;
	const json_t *one;
	json_t *answers = json_object_get(answer, "answers");
	json_array_foreach(answers, i, one) print_one(one);
	if (json_array_size(answers) == 0)
		printf("nothing is stored\n");
	if (json_is_false(json_object_get(answer, "all")))
		printf("there may be more: name a URL that they begin with\n");
}

static int show(const struct invocation *invocation, const char *path)
{
	json_t *answer = NULL;
	const char *word = invocation->arguments[0];
	const char *what = invocation->count > 1 ? invocation->arguments[1] : NULL;
	bool is_show = strcmp(word, "show") == 0;
	char *target = is_show ? admin_client_target((const char *const[]){"cache", what, NULL})
			       : admin_client_target((const char *const[]){"cache", word, what, NULL});
	int status = target ? admin_client_ask("cache", path, "GET", target, NULL, &answer) : 0;
	free(target);
	return report(status, answer, print_answers);
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

static bool is_show(const struct invocation *invocation)
{
	const char *word = invocation->arguments[0];
	return (strcmp(word, "show") == 0 && invocation->count == 2) ||
	       (strcmp(word, "top") == 0 && invocation->count == 1) ||
	       (strcmp(word, "list") == 0 && invocation->count <= 2);
}

static int cache_run(const struct invocation *invocation)
{
	bool is_stats = strcmp(invocation->arguments[0], "stats") == 0 && invocation->count == 1;
	if (!is_stats && !is_show(invocation) && !is_purge(invocation)) {
		fprintf(stderr, "usage: usher cache [OPTION]... " ARGUMENTS "\n");
		return EXIT_USAGE;
	}
	char *path = admin_client_path("cache", command_config(invocation->values[OPTION_CONFIG]),
				       invocation->values[OPTION_ADMIN]);
	int code = !path		 ? EXIT_FAILURE
		   : is_stats		 ? stats(path)
		   : is_show(invocation) ? show(invocation, path)
					 : purge(invocation, path);
	free(path);
	return code;
}

const struct command cache_command = {
	.name = "cache",
	.arguments = ARGUMENTS,
	.summary = "show what the cache holds, and make it forget",
	.help = "stats     how much is stored, and how often something was found\n"
		"list      what is stored, all or for URLs that begin so\n"
		"show      what is stored for a URL, and why it is reused or not; or why it is not stored\n"
		"top       what was used most\n"
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
