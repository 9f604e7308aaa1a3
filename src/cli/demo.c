// usher demo: three origins and usher before them, to try it without anything else.
#include "base/log.h"
#include "cli/command.h"
#include "cli/demo_server.h"
#include "cli/proxy_text.h"
#include "cli/text_source.h"
#include "cli/where.h"
#include "control/master.h"
#include "net/listener.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ORIGIN_COUNT = 3, BACKLOG = 128, TARGET_MAX = 32 };

static const char *const names[ORIGIN_COUNT] = {"one", "two", "three"};

// Binds a port of this host that is free for each origin.
static bool open_ports(struct demo_port ports[ORIGIN_COUNT], char ret_targets[ORIGIN_COUNT][TARGET_MAX])
{
	for (unsigned i = 0; i < ORIGIN_COUNT; i++) {
		struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
		socklen_t length = sizeof name;
		struct address address;
		address_from_sockaddr((struct sockaddr *)&name, length, &address);
		int descriptor = listener_bind(&address, BACKLOG, false);
		if (descriptor < 0 || getsockname(descriptor, (struct sockaddr *)&name, &length) < 0) {
			fprintf(stderr, "usher demo: listen on 127.0.0.1: %s\n",
				strerror(descriptor < 0 ? -descriptor : errno));
			return false;
		}
		ports[i] = (struct demo_port){descriptor, names[i]};
		(void)snprintf(ret_targets[i], TARGET_MAX, "127.0.0.1:%u", ntohs(name.sin_port));
	}
	return true;
}

// The origins end with who started them, however that ends.
static pid_t start_origins(const struct demo_port ports[ORIGIN_COUNT])
{
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_NAME, "usher-origins");
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(EXIT_FAILURE);
	exit(demo_serve(ports, ORIGIN_COUNT));
}

static void say_what_to_try(const struct plan *plan, const struct sockets *sockets)
{
	char buffer[WHERE_MAX];
	const char *url = where_url(&sockets->items[0].bound, buffer);
	printf("usher listens on %s, in front of three origins: one, two and three. Try:\n\n"
	       "  curl %s/                     # several times: they take turns\n"
	       "  curl -N %s/sse               # events, passed on one by one\n"
	       "  curl -o /dev/null '%s/big?bytes=1000000000'\n\n"
	       "Ctrl-C ends it.\n",
	       url, url, url, url);
	fflush(stdout);
}

static int demo_run(const struct invocation *invocation)
{
	static char buffer[1024], targets[ORIGIN_COUNT][TARGET_MAX];
	struct demo_port ports[ORIGIN_COUNT];
	char *words[ORIGIN_COUNT] = {targets[0], targets[1], targets[2]};
	const char *listen = invocation->count > 0 ? invocation->arguments[0] : ":8080";
	struct text text;
	struct text_source source;
	const char *wrong;
	if (!open_ports(ports, targets))
		return EXIT_FAILURE;
	text_init(&text, buffer, sizeof buffer);
	if (!proxy_text(&text, listen, words, ORIGIN_COUNT, NULL, &wrong)) {
		fprintf(stderr, "usher demo: \"%s\" cannot be an address\n", wrong);
		return EXIT_USAGE;
	}
	pid_t origins = start_origins(ports);
	if (origins < 0) {
		fprintf(stderr, "usher demo: start the origins: %m\n");
		return EXIT_FAILURE;
	}
	for (unsigned i = 0; i < ORIGIN_COUNT; i++)
		close(ports[i].descriptor);
	if (!invocation->verbose && !invocation->quiet)
		log_set_level(LOG_LEVEL_WARNING);
	text_source_init(&source, "command line", text_slice(&text));
	struct master_options master = {
		.source = &source.source, .path = source.path, .without_control = true, .serving = say_what_to_try};
	int code = master_run(&master);
	(void)kill(origins, SIGTERM);
	(void)waitpid(origins, NULL, 0);
	return code;
}

const struct command demo_command = {
	.name = "demo",
	.arguments = "[LISTEN]",
	.summary = "try usher: it, and three origins behind it",
	.help = "Starts three demo origins and usher in front of them, on LISTEN (:8080 if none is given),\n"
		"and prints what to try. Ctrl-C ends it all.\n",
	.most = 1,
	.run = demo_run,
};
