// usher as control/thread.c and control/work.c put it together, but in one thread, without
// processes, names and logs.
#include "base/check.h"
#include "control/registry.h"
#include "exchange/service.h"
#include "exchange/snapshot.h"
#include "fail_alloc.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "http/h1_server.h"
#include "kernel_sim.h"
#include "net/listener.h"
#include "net/stream.h"
#include "proxy_sim.h"
#include "upstream/connection.h"
#include "upstream/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct snapshot *snapshot;
static struct exchange_service *service;
static struct h1_server *server;
static struct listener listener;
static int listening;
static bool is_listening;

static char configuration[4096];

static void write_configuration(void)
{
	static const char form[] =
		"listen: \"127.0.0.1:80\"\n"
		"workers: 1\n"
		"timeouts: {header: 800s, idle: 100s, body: 200s, send: 200s, tunnel: 300s, connect: 30s,\n"
		"           response: 800s, read: 200s}\n"
		"limits: {header: 16KiB}\n"
		"routes:\n"
		"  - proxy: origins\n"
		"pools:\n"
		"  origins:\n"
		"    servers: [%s]\n"
		"    balance: %s\n"
		"    tries: %u\n"
		"    rest: {after: %u}\n"
		"    idle: {timeout: %us, connections: %u}\n";
	static const char *const servers[] = {
		"127.0.0.1:9000", "127.0.0.1:9000, 127.0.0.1:9001", "127.0.0.1:9002, 127.0.0.1:9001, 127.0.0.1:9000",
		"{address: 127.0.0.1:9001, weight: 3}, {address: 127.0.0.1:9002, backup: true}"};
	bool rests = world.excuse && one_in(2);
	int length =
		snprintf(configuration, sizeof configuration, form, servers[draw(sizeof servers / sizeof servers[0])],
			 one_in(2) ? "round_robin" : "least_requests", world.tries, rests ? 3 : 0,
			 1 + (unsigned)draw(100), one_in(4) ? 0 : 1 + (unsigned)draw(8));
	check(length > 0 && (size_t)length < sizeof configuration);
}

static struct snapshot *load(FILE *messages)
{
	struct snapshot *loaded = NULL;
	write_configuration();
	if (!snapshot_load(config_source_disk(), "sim.yaml", slice_from_string(configuration), &registry, messages,
			   false, &loaded))
		return NULL;
	if (pools_activate(registry_pools(loaded)) == 0)
		return loaded;
	snapshot_unref(loaded);
	return NULL;
}

static struct h1_server_settings settings_of(const struct snapshot *from)
{
	const struct limits *limits = from->limits;
	const struct timeouts *timeouts = from->timeouts;
	return (struct h1_server_settings){
		.header_bytes = (uint32_t)limits->header_bytes,
		.limits = {.fields = (uint32_t)limits->fields, .target_bytes = (uint32_t)limits->target_bytes},
		.header_timeout_ns = timeouts->header_ns,
		.idle_timeout_ns = timeouts->idle_ns,
		.body_timeout_ns = timeouts->body_ns,
		.send_timeout_ns = timeouts->send_ns,
		.tunnel_timeout_ns = timeouts->tunnel_ns,
		.connections = (uint32_t)limits->connections,
		.connections_per_client = (uint32_t)limits->connections_per_client,
	};
}

static void accepted(struct listener *from, int descriptor, const struct address *peer)
{
	h1_server_accept(server, descriptor, peer, "127.0.0.1:80");
}

void proxy_start(void)
{
	struct address address;
	snapshot = load(stderr);
	check(snapshot != NULL);
	check(upstream_thread_start() == 0);
	service = exchange_service_new(snapshot);
	struct h1_server_settings settings = settings_of(snapshot);
	server = h1_server_new(exchange_service_http(service), &settings);
	check(address_parse_ip(SLICE("127.0.0.1"), PROXY_PORT, &address));
	listening = kernel_sim_listen(world.kernel, &address.any, address.length, 64);
	listener = (struct listener){.accepted = accepted, .address = address};
	check(listening >= 0 && listener_start(&listener, listening) == 0);
	is_listening = true;
}

void proxy_reload(void)
{
	struct snapshot *next = load(NULL);
	if (!next)
		return;
	if (!exchange_service_set_snapshot(service, next)) {
		pools_retire(registry_pools(next));
		snapshot_unref(next);
		return;
	}
	struct h1_server_settings settings = settings_of(next);
	h1_server_set(server, &settings);
	pools_retire(registry_pools(snapshot));
	snapshot_unref(snapshot);
	snapshot = next;
	counts.reloads++;
	say("reload");
}

void proxy_drain(void)
{
	if (!is_listening)
		return;
	say("drain");
	is_listening = false;
	world.is_draining = true;
	listener_stop(&listener, true);
	world.kernel->close(world.kernel, listening);
	h1_server_drain(server);
}

void proxy_abort(void)
{
	proxy_drain();
	say("abort");
	world.excuse = "usher was stopped";
	h1_server_abort(server);
}

void proxy_stop(void)
{
	proxy_drain();
	int64_t deadline_ns = loop_now() + 5000 * SECOND_NS;
	while (h1_server_connections(server) > 0 || exchange_service_running(service) > 0) {
		check(loop_now() < deadline_ns);
		(void)fiber_sleep("drained", loop_now() + SECOND_NS);
	}
	upstream_thread_close_idle();
}

void proxy_free(void)
{
	h1_server_free(server);
	exchange_service_free(service);
	upstream_thread_stop();
	pools_retire(registry_pools(snapshot));
	snapshot_unref(snapshot);
	snapshot = NULL;
	stream_trim_pipes();
}
