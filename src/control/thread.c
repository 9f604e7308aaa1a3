#include "control/thread.h"

#include "base/block.h"
#include "base/check.h"
#include "base/log.h"
#include "control/carriers.h"
#include "exchange/service.h"
#include "exchange/snapshot.h"
#include "fiber/fiber.h"
#include "fiber/kernel.h"
#include "fiber/loop.h"
#include "net/listener.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "observe/access_log.h"
#include "upstream/connection.h"
#include "upstream/discovery.h"
#include "upstream/find_servers.h"
#include "upstream/health.h"
#include "upstream/outlier.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#define DRAIN_LOOK_NS (10 * MILLISECOND_NS)

// So long a connection may be idle in a drain before it is closed.
#define CLOSE_IDLE_NS (250 * MILLISECOND_NS)

enum { LAST_TURNS_MAX = 1000 };

struct thread_port {
	struct list_link link;
	struct listener listener;
	struct deferred deferred;
	struct port *port;
	struct thread *thread;
	struct listen listen; // what it speaks, by the current configuration
};

struct thread {
	pthread_t id;
	unsigned number;
	struct kernel *kernel;
	struct loop *loop;
	struct resolver *resolver;
	struct exchange_service *service;
	struct carriers *carriers;
	struct snapshot *snapshot; // the current one; the service holds it
	struct list_link ports;	   // of struct thread_port
	struct timer alive;	   // keeps the loop waiting where nothing else does
	struct timer drain;
	int64_t close_at_ns; // idle connections, in a drain
	bool draining, closing, aborting;
	struct loop_message drain_message, abort_message, end_message;
};

static void (*drained_)(void);

void thread_set_drained(void (*drained)(void))
{
	drained_ = drained;
}

// --- Calls: run in the thread, while the caller waits.

struct thread_call {
	struct loop_message message;
	int (*run)(struct thread *thread, void *argument);
	struct thread *thread;
	void *argument;
	int result;
	sem_t done;
};

static void run_call(struct loop_message *message)
{
	struct thread_call *call = LIST_ENTRY(message, struct thread_call, message);
	call->result = call->run(call->thread, call->argument);
	sem_post(&call->done);
}

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) < 0)
		check(errno == EINTR);
}

static int thread_do(struct thread *thread, int (*run)(struct thread *thread, void *argument), void *argument)
{
	struct thread_call call = {.message = {.run = run_call}, .run = run, .thread = thread, .argument = argument};
	sem_init(&call.done, 0, 0);
	loop_post(thread->loop, &call.message);
	wait_for(&call.done);
	sem_destroy(&call.done);
	return call.result;
}

// --- Ports

static void accepted(struct listener *listener, int descriptor, const struct address *peer)
{
	struct thread_port *port = listener->argument;
	carriers_accept(port->thread->carriers, &port->listen, descriptor, peer, port->port->name);
}

static struct thread_port *find_port(struct thread *thread, const struct port *port)
{
	for (struct list_link *link = thread->ports.next; link != &thread->ports; link = link->next) {
		struct thread_port *own = LIST_ENTRY(link, struct thread_port, link);
		if (own->port == port)
			return own;
	}
	return NULL;
}

// A port that the configuration does not name any more goes on as it was, until it is closed.
static void port_configure(struct thread_port *port, const struct snapshot *snapshot)
{
	struct slice name = slice_from_string(port->port->name);
	for (size_t i = 0; i < snapshot->listen_count; i++) {
		char text[ADDRESS_TEXT_MAX];
		if (slice_equal(address_format(&snapshot->listens[i].address, text), name))
			port->listen = snapshot->listens[i];
	}
}

static int do_listen(struct thread *thread, void *argument)
{
	struct port *port = argument;
	if (find_port(thread, port))
		return 0;
	struct thread_port *own = calloc(1, sizeof *own);
	if (!own)
		return -ENOMEM;
	own->port = port;
	own->thread = thread;
	port_configure(own, thread->snapshot);
	own->listener.accepted = accepted;
	own->listener.argument = own;
	check(port->descriptors && thread->number < port->count);
	int error = listener_start(&own->listener, port->descriptors[thread->number]);
	if (error < 0) {
		free(own);
		return error;
	}
	list_push_back(&thread->ports, &own->link);
	return 0;
}

int thread_listen(struct thread *thread, struct port *port)
{
	return thread_do(thread, do_listen, port);
}

static void port_free(struct deferred *deferred)
{
	free(LIST_ENTRY((void *)deferred, struct thread_port, deferred));
}

static void port_stop(struct thread_port *port, bool drain)
{
	listener_stop(&port->listener, drain);
	list_remove(&port->link);
	loop_defer(&port->deferred, port_free);
}

static int do_unlisten(struct thread *thread, void *argument)
{
	struct thread_port *port = find_port(thread, argument);
	if (port)
		port_stop(port, true);
	return 0;
}

void thread_unlisten(struct thread *thread, struct port *port)
{
	(void)thread_do(thread, do_unlisten, port);
}

// --- Configuration

static int do_use(struct thread *thread, void *argument)
{
	struct snapshot *snapshot = argument;
	check(snapshot && loop_current() == thread->loop);
	if (!exchange_service_set_snapshot(thread->service, snapshot))
		return -ENOMEM;
	thread->snapshot = snapshot;
	carriers_set(thread->carriers, snapshot);
	for (struct list_link *link = thread->ports.next; link != &thread->ports; link = link->next)
		port_configure(LIST_ENTRY(link, struct thread_port, link), snapshot);
	return 0;
}

int thread_use(struct thread *thread, struct snapshot *snapshot)
{
	return thread_do(thread, do_use, snapshot);
}

// --- The end

static bool is_idle(const struct thread *thread)
{
	return carriers_connections(thread->carriers) == 0 && exchange_service_running(thread->service) == 0;
}

static void drain_look(struct timer *timer)
{
	struct thread *thread = LIST_ENTRY(timer, struct thread, drain);
	if (!thread->closing && loop_now() >= thread->close_at_ns) {
		thread->closing = true;
		carriers_drain(thread->carriers);
	}
	// Connections that lingered only now are to end, too.
	if (thread->aborting) {
		carriers_abort(thread->carriers);
		exchange_service_cancel(thread->service);
	}
	if (!is_idle(thread)) {
		timer_start(&thread->drain, loop_now() + DRAIN_LOOK_NS);
		return;
	}
	drained_();
}

static void begin_drain(struct thread *thread)
{
	check(loop_current() == thread->loop);
	if (thread->draining)
		return;
	thread->draining = true;
	while (!list_is_empty(&thread->ports))
		port_stop(LIST_ENTRY(thread->ports.next, struct thread_port, link), true);
	// Requests that are on their way are answered, each with the word that it was the
	// last; a connection that is closed under its client's request is a request lost.
	carriers_announce_drain(thread->carriers);
	thread->close_at_ns = loop_now() + CLOSE_IDLE_NS;
	timer_start(&thread->drain, loop_now() + DRAIN_LOOK_NS);
}

static void run_drain(struct loop_message *message)
{
	begin_drain(LIST_ENTRY(message, struct thread, drain_message));
}

static void run_abort(struct loop_message *message)
{
	struct thread *thread = LIST_ENTRY(message, struct thread, abort_message);
	begin_drain(thread);
	thread->aborting = true;
}

static void run_end(struct loop_message *message)
{
	loop_stop(LIST_ENTRY(message, struct thread, end_message)->loop);
}

void thread_drain(struct thread *thread)
{
	if (!thread->drain_message.run) {
		thread->drain_message.run = run_drain;
		loop_post(thread->loop, &thread->drain_message);
	}
}

void thread_abort(struct thread *thread)
{
	if (!thread->abort_message.run) {
		thread->abort_message.run = run_abort;
		loop_post(thread->loop, &thread->abort_message);
	}
}

// --- The thread itself

static int look_up(void *argument, const char *name, int64_t deadline_ns, struct resolution *ret_found)
{
	return resolver_lookup(argument, name, deadline_ns, ret_found);
}

static int find_services_by_dns(void *argument, const char *name, int64_t deadline_ns, struct services **ret_found)
{
	return resolver_services(argument, name, deadline_ns, ret_found);
}

static void stay_alive(struct timer *timer)
{
	timer_start(timer, loop_now() + 3600 * SECOND_NS);
}

static void thread_close(struct thread *thread)
{
	check(list_is_empty(&thread->ports));
	carriers_free(thread->carriers);
	if (thread->service)
		exchange_service_free(thread->service);
	if (thread->resolver) {
		if (thread->number == 0) {
			check_commands_end(true);
			health_stop();
			find_servers_stop();
			outliers_stop();
			discovery_stop();
		}
		// What was cancelled has its last turns.
		for (int i = 0; i < LAST_TURNS_MAX && fiber_count() > 0; i++)
			(void)loop_turn(thread->loop, MILLISECOND_NS);
		upstream_thread_stop();
		resolver_free(thread->resolver);
	}
	access_log_end_thread();
	stream_trim_pipes();
	if (thread->loop) {
		timer_stop(&thread->alive);
		timer_stop(&thread->drain);
		(void)loop_turn(thread->loop, 0);
		loop_free(thread->loop);
	}
	if (thread->kernel)
		kernel_linux_free(thread->kernel);
	block_trim();
}

static int thread_open(struct thread *thread, struct snapshot *snapshot)
{
	thread->kernel = kernel_linux_new();
	if (!thread->kernel)
		return errno ? -errno : -ENOMEM;
	thread->loop = loop_new(thread->kernel);
	if (!thread->loop)
		return -ENOMEM;
	timer_init(&thread->drain, drain_look);
	timer_init(&thread->alive, stay_alive);
	stay_alive(&thread->alive);
	if (upstream_thread_start() < 0)
		return -ENOMEM;
	thread->resolver = resolver_new(snapshot->resolver.text.data);
	if (!thread->resolver) {
		upstream_thread_stop();
		return -ENOMEM;
	}
	if (thread->number == 0) {
		discovery_start(look_up, thread->resolver);
		check_commands_end(false);
		health_start(check_run);
		find_servers_start(find_services_by_dns, thread->resolver);
		outliers_start();
	}
	thread->service = exchange_service_new(snapshot);
	if (!thread->service)
		return -ENOMEM;
	thread->snapshot = snapshot;
	thread->carriers = carriers_new(exchange_service_http(thread->service), snapshot);
	return thread->carriers ? 0 : -ENOMEM;
}

struct thread_birth {
	struct thread *thread;
	struct snapshot *snapshot;
	int result;
	sem_t done;
};

static void *thread_run(void *argument)
{
	struct thread_birth *birth = argument;
	struct thread *thread = birth->thread;
	int error = birth->result = thread_open(thread, birth->snapshot);
	sem_post(&birth->done); // birth is gone from here on
	if (error == 0)
		loop_run(thread->loop);
	thread_close(thread);
	return NULL;
}

int thread_start(unsigned number, struct snapshot *snapshot, struct thread **ret_thread)
{
	struct thread *thread = calloc(1, sizeof *thread);
	if (!thread)
		return -ENOMEM;
	thread->number = number;
	list_init(&thread->ports);
	struct thread_birth birth = {.thread = thread, .snapshot = snapshot};
	sem_init(&birth.done, 0, 0);
	int error = -pthread_create(&thread->id, NULL, thread_run, &birth);
	if (error == 0) {
		wait_for(&birth.done);
		error = birth.result;
		if (error < 0)
			pthread_join(thread->id, NULL);
	}
	sem_destroy(&birth.done);
	if (error < 0) {
		free(thread);
		return error;
	}
	*ret_thread = thread;
	return 0;
}

void thread_join(struct thread *thread)
{
	check(thread->drain_message.run); // without it, connections may be left
	thread->end_message.run = run_end;
	loop_post(thread->loop, &thread->end_message);
	pthread_join(thread->id, NULL);
	free(thread);
}
