#include "cli/demo_server.h"

#include "base/block.h"
#include "base/check.h"
#include "base/log.h"
#include "cli/demo_pages.h"
#include "fiber/io.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"
#include "http/h1_server.h"
#include "net/listener.h"
#include "net/stream.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#define END_LOOK_NS (10 * MILLISECOND_NS)
#define END_AFTER_NS (2 * SECOND_NS)

struct demo_listener {
	struct listener listener;
	const char *name;
};

static struct {
	struct loop *loop;
	struct h1_server *server;
	struct demo_listener listeners[DEMO_ORIGINS_MAX];
	unsigned count;
	struct io signals;
	struct timer end;
	int64_t abort_at_ns;
} demo;

static const struct h1_server_settings settings = {
	.header_bytes = 64 * 1024,
	.limits = {.fields = 200, .target_bytes = 16 * 1024},
	.header_timeout_ns = 60 * SECOND_NS,
	.idle_timeout_ns = 300 * SECOND_NS,
	.body_timeout_ns = 60 * SECOND_NS,
	.send_timeout_ns = 60 * SECOND_NS,
	.tunnel_timeout_ns = 60 * SECOND_NS,
	.connections = 10000,
};

static void demo_accepted(struct listener *listener, int descriptor, const struct address *peer)
{
	const struct demo_listener *from = listener->argument;
	h1_server_accept(demo.server, descriptor, peer, from->name);
}

static void look_for_end(struct timer *timer)
{
	if (loop_now() >= demo.abort_at_ns)
		h1_server_abort(demo.server);
	if (h1_server_connections(demo.server) == 0)
		loop_stop(demo.loop);
	else
		timer_start(timer, loop_now() + END_LOOK_NS);
}

static void signalled(struct io *io)
{
	for (unsigned i = 0; i < demo.count; i++)
		listener_stop(&demo.listeners[i].listener, false);
	h1_server_drain(demo.server);
	demo.abort_at_ns = loop_now() + END_AFTER_NS;
	look_for_end(&demo.end);
}

static bool watch_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	(void)sigaction(SIGPIPE, &ignore, NULL); // splice cannot be told otherwise
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return false;
	int descriptor = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (descriptor < 0 || io_open(&demo.signals, descriptor) < 0)
		return false;
	io_park(&demo.signals, signalled);
	return true;
}

static bool start_listeners(const struct demo_port *ports, unsigned count)
{
	for (demo.count = 0; demo.count < count; demo.count++) {
		struct demo_listener *listener = &demo.listeners[demo.count];
		listener->name = ports[demo.count].name;
		listener->listener.accepted = demo_accepted;
		listener->listener.argument = listener;
		int error = listener_start(&listener->listener, ports[demo.count].descriptor);
		if (error < 0) {
			log_error("demo origin %s: %s", listener->name, strerror(-error));
			return false;
		}
	}
	return true;
}

int demo_serve(const struct demo_port *ports, unsigned count)
{
	check(count <= DEMO_ORIGINS_MAX);
	struct kernel *kernel = kernel_linux_new();
	demo.loop = kernel ? loop_new(kernel) : NULL;
	demo.server = demo.loop ? h1_server_new(&demo_pages, &settings) : NULL;
	if (!demo.server) {
		log_error("demo origin: no memory");
		return EXIT_FAILURE;
	}
	timer_init(&demo.end, look_for_end);
	if (!watch_signals() || !start_listeners(ports, count))
		return EXIT_FAILURE;
	loop_run(demo.loop);
	io_close(&demo.signals);
	h1_server_free(demo.server);
	stream_trim_pipes();
	(void)loop_turn(demo.loop, 0);
	loop_free(demo.loop);
	kernel_linux_free(kernel);
	block_trim();
	return EXIT_SUCCESS;
}
