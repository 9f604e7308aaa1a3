// usher proxy: passes everything on to one or several servers, without a configuration.
#include "base/log.h"
#include "cli/command.h"
#include "cli/proxy_text.h"
#include "cli/text_source.h"
#include "cli/where.h"
#include "control/master.h"

#include <stdio.h>
#include <stdlib.h>

enum { PROXY_ACCESS_LOG };

static const struct command_option options[] = {
	[PROXY_ACCESS_LOG] = {"access-log", 'l', "FILE", "a line for each request; \"stdout\" is one, too"},
	{0},
};

static const struct invocation *current;

// What is asked for is served: says where, for a person to try.
static void say_where(const struct plan *plan, const struct sockets *sockets)
{
	if (current->quiet)
		return;
	for (size_t i = 0; i < sockets->count; i++) {
		char url[WHERE_MAX];
		printf("usher: %s goes to", where_url(&sockets->items[i].bound, url));
		for (int j = 1; j < current->count; j++)
			printf("%s %s", j > 1 ? "," : "", current->arguments[j]);
		printf("\n");
	}
	fflush(stdout);
}

static int proxy_run(const struct invocation *invocation)
{
	static char buffer[64 * 1024];
	struct text text;
	struct text_source source;
	const char *wrong;
	text_init(&text, buffer, sizeof buffer);
	if (!proxy_text(&text, invocation->arguments[0], invocation->arguments + 1, invocation->count - 1,
			invocation->values[PROXY_ACCESS_LOG], &wrong)) {
		fprintf(stderr, "usher proxy: \"%s\" cannot be an address\n", wrong);
		return EXIT_USAGE;
	}
	text_source_init(&source, "command line", text_slice(&text));
	if (!invocation->verbose && !invocation->quiet)
		log_set_level(LOG_LEVEL_WARNING);
	current = invocation;
	struct master_options master = {
		.source = &source.source,
		.path = source.path,
		.without_control = true,
		.serving = say_where,
	};
	return master_run(&master);
}

const struct command proxy_command = {
	.name = "proxy",
	.arguments = "LISTEN TARGET...",
	.summary = "pass everything on to one or several servers",
	.help = "Passes every request that comes to LISTEN on to TARGET; several targets take turns, and\n"
		"one that fails is left out for a while. LISTEN is \":8080\", \"127.0.0.1:8080\" or\n"
		"\"unix:/path\"; a TARGET is \"127.0.0.1:3000\", \"http://app.internal\" or \"unix:/path\".\n"
		"It ends like `usher run`.\n",
	.options = options,
	.least = 2,
	.most = 512,
	.run = proxy_run,
};
