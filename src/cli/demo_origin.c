// usher demo-origin: a small server to try a proxy with.
#include "cli/command.h"
#include "cli/demo_server.h"
#include "cli/where.h"
#include "net/listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEMO_NAME };

enum { BACKLOG = 1024 };

static const struct command_option options[] = {
	[DEMO_NAME] = {"name", 'n', "NAME", "what it calls itself in its answers; its address otherwise"},
	{0},
};

static int demo_origin_run(const struct invocation *invocation)
{
	const char *listen = invocation->arguments[0];
	struct endpoint endpoint;
	struct address address;
	if (!endpoint_parse(slice_from_string(listen), 0, &endpoint) || !endpoint_to_address(&endpoint, &address)) {
		fprintf(stderr, "usher demo-origin: \"%s\" is no address to listen on, such as :3001\n", listen);
		return EXIT_USAGE;
	}
	int descriptor = listener_bind(&address, BACKLOG, false);
	if (descriptor < 0) {
		fprintf(stderr, "usher demo-origin: cannot listen on %s: %s\n", listen, strerror(-descriptor));
		return EXIT_FAILURE;
	}
	const char *name = invocation->values[DEMO_NAME] ? invocation->values[DEMO_NAME] : listen;
	char url[WHERE_MAX];
	if (!invocation->quiet) {
		printf("usher: origin %s listens on %s\n", name, where_url(&address, url));
		fflush(stdout);
	}
	int code = demo_serve(&(struct demo_port){descriptor, name}, 1);
	close(descriptor);
	return code;
}

const struct command demo_origin_command = {
	.name = "demo-origin",
	.arguments = "LISTEN",
	.summary = "serve pages to try a proxy with",
	.help = "Serves a few pages on LISTEN, such as :3001, to try a proxy with, until SIGTERM or SIGINT:\n"
		"  /          the request as it came\n"
		"  /slow      the same after ?seconds=2\n"
		"  /chunked   ?pieces=5, one each fifth of a second\n"
		"  /sse       server-sent events, ?events=10, one each second\n"
		"  /big       ?bytes=1000000\n"
		"  /status    an answer with the status ?code=404\n",
	.options = options,
	.least = 1,
	.most = 1,
	.run = demo_origin_run,
};
