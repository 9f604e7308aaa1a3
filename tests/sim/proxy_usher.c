// usher as control/thread.c and control/work.c put it together, but in one thread, without
// processes, names and logs.
//
// Where requests pass twice, the first pass takes them as clients send them, and proxies them to
// usher itself, by HTTP/2 or TLS or both; the second pass takes them there, and proxies them to
// origins. So both sides of these are played against each other in every weather.
#include "base/check.h"
#include "control/carriers.h"
#include "control/registry.h"
#include "exchange/service.h"
#include "exchange/snapshot.h"
#include "fail_alloc.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "kernel_sim.h"
#include "net/listener.h"
#include "net/stream.h"
#include "pki.h"
#include "proxy_sim.h"
#include "upstream/connection.h"
#include "upstream/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORTS = 3 };

static struct snapshot *snapshot;
static struct exchange_service *service;
static struct carriers *carriers;
static struct listener listeners[PORTS]; // in the order of the configuration
static int listening[PORTS];
static bool is_listening;

static char configuration[4096];

static void write_configuration(void)
{
	static const char form[] =
		"listen: [\"127.0.0.1:80\", {address: \"127.0.0.1:81\", h2c: true}, {address: \"127.0.0.1:82\", tls: "
		"true}]\n"
		"tls: {certificate: sim.pem, redirect: false}\n"
		"workers: 1\n"
		"timeouts: {handshake: 400s, header: 800s, idle: 100s, body: 200s, send: 200s, tunnel: 300s, connect: "
		"30s,\n"
		"           response: 800s, read: 200s}\n"
		"limits: {header: 16KiB}\n"
		"routes:\n"
		"%s"
		"pools:\n"
		"  usher: {servers: %s, tries: 2, rest: {after: 0}}\n"
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
	static const char passes_on[] = "  - match: {header: {X-Passes: \"1\"}}\n"
					"    proxy: origins\n"
					"  - headers: {request: {set: {X-Passes: \"1\"}}}\n"
					"    proxy: usher\n";
	static const char *const itself[] = {"127.0.0.1:80", "\"h2c://127.0.0.1:81\"",
					     "\"h2://127.0.0.1:82\", tls: {ca: ca.pem, name: sim.test}",
					     "\"https://127.0.0.1:82\", tls: {ca: ca.pem, name: sim.test}"};
	int length = snprintf(configuration, sizeof configuration, form,
			      world.passes == PASSES_ONCE ? "  - proxy: origins\n" : passes_on, itself[world.passes],
			      servers[draw(sizeof servers / sizeof servers[0])],
			      one_in(2) ? "round_robin" : "least_requests", world.tries, rests ? 3 : 0,
			      1 + (unsigned)draw(100), one_in(4) ? 0 : 1 + (unsigned)draw(8));
	check(length > 0 && (size_t)length < sizeof configuration);
}

static struct snapshot *load(FILE *messages)
{
	struct snapshot *loaded = NULL;
	write_configuration();
	if (!snapshot_load(pki_source(), "sim.yaml", slice_from_string(configuration), &registry, messages, false,
			   &loaded))
		return NULL;
	if (pools_activate(registry_pools(loaded)) == 0)
		return loaded;
	snapshot_unref(loaded);
	return NULL;
}

static void accepted(struct listener *from, int descriptor, const struct address *peer)
{
	size_t port = (size_t)(from - listeners);
	carriers_accept(carriers, &snapshot->listens[port], descriptor, peer, "port");
}

static void make_certificate(void)
{
	// Its signatures have one length, so that a seed plays the same whatever the key is.
	struct pki authority =
		pki_issue(NULL, &(struct pki_wishes){.subject = "sim", .key = "ed25519", .is_authority = true});
	struct pki own = pki_issue(
		&authority, &(struct pki_wishes){.subject = "sim.test", .names = "DNS:sim.test", .key = "ed25519"});
	pki_file_certificates("ca.pem", &authority, NULL);
	pki_file_both("sim.pem", &own, NULL);
}

static void listen_on(size_t port)
{
	struct address address = snapshot->listens[port].address;
	listening[port] = kernel_sim_listen(world.kernel, &address.any, address.length, 64);
	listeners[port] = (struct listener){.accepted = accepted, .address = address};
	check(listening[port] >= 0 && listener_start(&listeners[port], listening[port]) == 0);
}

void proxy_start(void)
{
	make_certificate();
	snapshot = load(stderr);
	check(snapshot != NULL && snapshot->listen_count == PORTS);
	check(upstream_thread_start() == 0);
	service = exchange_service_new(snapshot);
	carriers = carriers_new(exchange_service_http(service), snapshot);
	check(service && carriers);
	for (size_t port = 0; port < PORTS; port++)
		listen_on(port);
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
	carriers_set(carriers, next);
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
	if (world.passes != PASSES_ONCE)
		world.excuse = "usher does not listen to itself any more";
	for (size_t port = 0; port < PORTS; port++) {
		listener_stop(&listeners[port], true);
		world.kernel->close(world.kernel, listening[port]);
	}
	carriers_drain(carriers);
}

void proxy_abort(void)
{
	proxy_drain();
	say("abort");
	world.excuse = "usher was stopped";
	carriers_abort(carriers);
}

void proxy_stop(void)
{
	proxy_drain();
	// A tunnel whose ends make many pauses lasts long, the more where each byte passes twice.
	int64_t deadline_ns = loop_now() + (world.passes == PASSES_ONCE ? 5000 : 200000) * SECOND_NS;
	while (carriers_connections(carriers) > 0 || exchange_service_running(service) > 0) {
		check(loop_now() < deadline_ns);
		(void)fiber_sleep("drained", loop_now() + SECOND_NS);
	}
	upstream_thread_close_idle();
}

void proxy_free(void)
{
	carriers_free(carriers);
	exchange_service_free(service);
	upstream_thread_stop();
	pools_retire(registry_pools(snapshot));
	snapshot_unref(snapshot);
	snapshot = NULL;
	pki_free_all();
	stream_trim_pipes();
}
