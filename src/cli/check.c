// usher check: finds what is wrong with a configuration, before anything starts.
#include "cli/command.h"
#include "control/control_client.h"
#include "control/control_path.h"
#include "control/plan.h"
#include "net/listener.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- What the system would say

static int directory_of(const char *path, char ret_directory[PATH_MAX])
{
	char copy[PATH_MAX];
	if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
		return -ENAMETOOLONG;
	(void)snprintf(ret_directory, PATH_MAX, "%s", dirname(copy));
	return 0;
}

// Whether the file can be written, or made.
static bool check_writable(const char *what, const char *path)
{
	char directory[PATH_MAX];
	int error = directory_of(path, directory);
	if (error == 0 && access(path, W_OK) < 0 && (errno != ENOENT || access(directory, W_OK) < 0))
		error = -errno;
	if (error < 0)
		fprintf(stderr, "%s %s: %s\n", what, path, strerror(-error));
	return error == 0;
}

// Where a usher that runs with this configuration listens: its lines "listen ADDRESS ...",
// or NULL.
static char *ask_what_runs(const char *path)
{
	struct sockaddr_un address;
	char *text = NULL;
	size_t length = 0;
	if (control_path(NULL, path, &address) < 0)
		return NULL;
	FILE *lines = open_memstream(&text, &length);
	if (!lines)
		return NULL;
	(void)control_ask(&address, "status", lines);
	fclose(lines);
	return text;
}

static bool listens_there(const char *running, const char *name)
{
	char line[ADDRESS_TEXT_MAX + 16];
	(void)snprintf(line, sizeof line, "listen %s ", name);
	return running && strstr(running, line);
}

// *ret_bound: a socket that holds the address, or -1.
static bool check_listen(const struct plan_listen *listen, const char *running, int *ret_bound)
{
	*ret_bound = -1;
	if (listen->address.any.sa_family == AF_UNIX)
		return check_writable("the socket", listen->address.local.sun_path);
	int descriptor = listener_bind(&listen->address, 1, false);
	if (descriptor >= 0) {
		*ret_bound = descriptor;
		return true;
	}
	if (descriptor == -EADDRINUSE && listens_there(running, listen->name))
		return true;
	// Whoever checks need not be who runs.
	bool is_warning = descriptor == -EACCES || descriptor == -EPERM;
	fprintf(stderr, "%s: %scannot listen on %s: %s\n", listen->place, is_warning ? "warning: " : "", listen->name,
		strerror(-descriptor));
	return is_warning;
}

// Holds each address until all are tried: ":80" and "127.0.0.1:80" are in each other's way.
static bool check_listens(const struct plan *plan)
{
	char *running = ask_what_runs(plan->path);
	int *bound = calloc(plan->listen_count + 1, sizeof *bound);
	bool well = bound != NULL;
	for (size_t i = 0; bound && i < plan->listen_count; i++)
		well = check_listen(&plan->listens[i], running, &bound[i]) && well;
	for (size_t i = 0; bound && i < plan->listen_count; i++)
		if (bound[i] >= 0)
			close(bound[i]);
	free(bound);
	free(running);
	return well;
}

static bool check_system(const struct plan *plan)
{
	bool well = check_listens(plan);
	for (size_t i = 0; i < plan->log_count; i++)
		well = check_writable("the log file", plan->logs[i]) && well;
	if (plan->pid_file)
		well = check_writable("the PID file", plan->pid_file) && well;
	return well;
}

// --- The command

static void print_count(const char *before, size_t count, const char *what)
{
	printf("%s%zu %s%s", before, count, what, count == 1 ? "" : "s");
}

static int check_run(const struct invocation *invocation)
{
	struct plan plan;
	bool well = plan_load(config_source_disk(), invocation->arguments[0], stderr, command_colours(), &plan) &&
		    check_system(&plan);
	if (well && !invocation->quiet) {
		printf("%s: ok", plan.path);
		print_count(": ", plan.sites, "site");
		print_count(", ", plan.routes, "route");
		print_count(", ", plan.pools, "pool");
		printf("\n%s", plan.access);
	}
	plan_free(&plan);
	return well ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command check_command = {
	.name = "check",
	.arguments = "FILE",
	.summary = "find what is wrong with a configuration",
	.help = "Loads a configuration and everything that it names, and tries whether its addresses can\n"
		"be listened on. Prints every error with its place, or one line when all is well. Nothing\n"
		"is started or changed. Addresses that a usher running with this very file listens on are\n"
		"not in its way.\n",
	.least = 1,
	.most = 1,
	.run = check_run,
};
