#include "control/work.h"

#include "access/provider.h"
#include "base/check.h"
#include "base/log.h"
#include "control/bundle.h"
#include "control/log_files.h"
#include "control/registry.h"
#include "control/thread.h"
#include "exchange/snapshot.h"
#include "fiber/offload.h"
#include "handlers/access_state.h"
#include "handlers/cache.h"
#include "handlers/cache_disk.h"
#include "net/fetch.h"
#include "observe/access_log.h"
#include "tls/staple.h"
#include "upstream/pool.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	OFFLOAD_THREADS = 4,
	OFFLOAD_QUEUE = 256,
	LOG_STOP_MS = 1000,
	THREADS_MAX = 1024,
	SPARE_LOGS = 32,
};

struct work {
	struct list_link ports; // of struct port
	struct thread **threads;
	unsigned thread_count;
	struct snapshot *snapshot; // NULL until the first one
};

struct work *work_new(void (*drained)(void))
{
	struct work *work = calloc(1, sizeof *work);
	if (!work)
		return NULL;
	list_init(&work->ports);
	thread_set_drained(drained);
	access_log_set_opener(log_files_open);
	return work;
}

static void __attribute__((format(printf, 2, 3))) say(char failure[HANDOFF_TEXT_MAX], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(failure, HANDOFF_TEXT_MAX, format, arguments);
	va_end(arguments);
}

// --- Ports

static struct port *port_from(struct list_link *link)
{
	return LIST_ENTRY(link, struct port, link);
}

static struct port *find_port(struct work *work, struct slice name)
{
	for (struct list_link *link = work->ports.next; link != &work->ports; link = link->next) {
		struct port *port = port_from(link);
		if (slice_equal(slice_from_string(port->name), name))
			return port;
	}
	return NULL;
}

static void port_close(struct port *port)
{
	for (unsigned i = 0; i < port->count; i++)
		close(port->descriptors[i]);
	free(port->descriptors);
	port->descriptors = NULL;
	port->count = 0;
}

static struct port *port_new(struct work *work, struct slice name)
{
	struct port *port = calloc(1, sizeof *port);
	if (!port)
		return NULL;
	struct slice fitting = slice_first(name, sizeof port->name - 1);
	memcpy(port->name, fitting.data, fitting.length);
	list_push_back(&work->ports, &port->link);
	return port;
}

int work_take_port(struct work *work, struct handoff_message *message)
{
	struct port *port = find_port(work, message->text);
	if (!port)
		port = port_new(work, message->text);
	if (!port)
		return -ENOMEM;
	// A port that is open already stays as it is; the master would not send it twice.
	if (message->number == 0)
		port_close(port);
	unsigned count = port->count + message->descriptor_count;
	int *descriptors = reallocarray(port->descriptors, count + 1, sizeof *descriptors);
	if (!descriptors)
		return -ENOMEM;
	memcpy(descriptors + port->count, message->descriptors, message->descriptor_count * sizeof *descriptors);
	port->descriptors = descriptors;
	port->count = count;
	message->descriptor_count = 0;
	return 0;
}

// Marks the ports that the snapshot listens on. False when one was not handed over.
static bool mark_wanted(struct work *work, const struct snapshot *snapshot, unsigned threads,
			char failure[HANDOFF_TEXT_MAX])
{
	for (struct list_link *link = work->ports.next; link != &work->ports; link = link->next)
		port_from(link)->wanted = false;
	for (size_t i = 0; i < snapshot->listen_count; i++) {
		char text[ADDRESS_TEXT_MAX];
		struct slice name = address_format(&snapshot->listens[i].address, text);
		struct port *port = find_port(work, name);
		if (!port || port->count < threads) {
			say(failure, "worker: no socket was handed over for %.*s", SLICE_ARGUMENTS(name));
			return false;
		}
		port->wanted = true;
	}
	return true;
}

static int listen_on(struct work *work, struct port *port)
{
	check(port->count >= work->thread_count);
	int error = 0;
	for (unsigned i = 0; i < work->thread_count && error == 0; i++)
		error = thread_listen(work->threads[i], port);
	return error;
}

static void unlisten(struct work *work, struct port *port)
{
	check(!port->wanted);
	port_close(port);
	for (unsigned i = 0; i < work->thread_count; i++)
		thread_unlisten(work->threads[i], port);
}

// Opens the ports that are wanted; on failure those that were new are closed again.
static bool open_ports(struct work *work, char failure[HANDOFF_TEXT_MAX])
{
	struct list_link *link = work->ports.next;
	int error = 0;
	for (; link != &work->ports && error == 0; link = link->next) {
		if (port_from(link)->wanted)
			error = listen_on(work, port_from(link));
		if (error < 0)
			say(failure, "worker: listen on %s: %s", port_from(link)->name, strerror(-error));
	}
	return error == 0;
}

static void close_unwanted_ports(struct work *work)
{
	for (struct list_link *link = work->ports.next; link != &work->ports; link = link->next) {
		struct port *port = port_from(link);
		if (!port->wanted && port->descriptors)
			unlisten(work, port);
	}
}

// --- Configuration

static struct snapshot *load(struct handoff_message *message, char failure[HANDOFF_TEXT_MAX])
{
	struct bundle_replay replay;
	struct snapshot *snapshot = NULL;
	char path[HANDOFF_TEXT_MAX + 1];
	memcpy(path, message->text.data, message->text.length);
	path[message->text.length] = '\0';
	int error = message->descriptor_count == 1 ? bundle_replay(&replay, message->descriptors[0]) : -EBADMSG;
	if (error < 0) {
		say(failure, "worker: read the configuration: %s", strerror(-error));
		return NULL;
	}
	FILE *messages = fmemopen(failure, HANDOFF_TEXT_MAX, "w");
	if (!snapshot_load(&replay.source, path, SLICE_EMPTY, &registry, messages, false, &snapshot)) {
		snapshot = NULL;
		if (!messages)
			say(failure, "worker: load the configuration");
	}
	if (messages)
		fclose(messages);
	bundle_replay_end(&replay);
	return snapshot;
}

// What lives outside of the snapshot and is found by it.
static bool activate(struct snapshot *snapshot, char failure[HANDOFF_TEXT_MAX])
{
	const struct access_log_settings *log = &snapshot->access_log_settings;
	if (log->path && !snapshot->access_log) {
		int error = access_log_open(log->path, log->format, &snapshot->access_log);
		if (error < 0) {
			say(failure, "worker: open the access log %s: %s", log->path, strerror(-error));
			return false;
		}
	}
	cache_memory_prepare(snapshot);
	if (!cache_disk_prepare(snapshot, failure, HANDOFF_TEXT_MAX))
		return false;
	if (!access_state_use(snapshot, failure, HANDOFF_TEXT_MAX)) {
		cache_disk_discard();
		return false;
	}
	if (pools_activate(registry_pools(snapshot)) < 0) {
		say(failure, "worker: no memory for the pools");
		cache_disk_discard();
		return false;
	}
	return true;
}

static bool start_threads(struct work *work, struct snapshot *snapshot, unsigned count, char failure[HANDOFF_TEXT_MAX])
{
	int error = offload_start(OFFLOAD_THREADS, OFFLOAD_QUEUE);
	if (error == 0)
		error = staple_fetch_start();
	provider_start();
	work->threads = calloc(count, sizeof *work->threads);
	if (!work->threads)
		error = -ENOMEM;
	while (error == 0 && work->thread_count < count) {
		error = thread_start(work->thread_count, snapshot, &work->threads[work->thread_count]);
		if (error == 0)
			work->thread_count++;
	}
	if (error < 0)
		say(failure, "worker: start %u threads: %s", count, strerror(-error));
	return error == 0;
}

// A thread that cannot follow would serve by another configuration than the rest: the
// worker ends then, and the next one begins with the former configuration.
static void swap_snapshot(struct work *work, struct snapshot *snapshot)
{
	check(snapshot != work->snapshot && work->thread_count > 0);
	for (unsigned i = 0; i < work->thread_count; i++) {
		int error = thread_use(work->threads[i], snapshot);
		if (error < 0) {
			log_error("worker: no memory to take a new configuration: ending");
			_exit(EXIT_FAILURE);
		}
	}
	if (work->snapshot) {
		pools_retire(registry_pools(work->snapshot));
		snapshot_unref(work->snapshot);
	}
	work->snapshot = snapshot;
}

static bool use(struct work *work, struct snapshot *snapshot, unsigned threads, char failure[HANDOFF_TEXT_MAX])
{
	if (!mark_wanted(work, snapshot, threads, failure) || !activate(snapshot, failure))
		return false;
	if (!work->threads)
		cache_disk_use(snapshot); // there is no former one to go on with
	if (!work->threads && !start_threads(work, snapshot, threads, failure))
		return false;
	if (!open_ports(work, failure)) {
		// The ports of the configuration that goes on.
		char ignored[HANDOFF_TEXT_MAX];
		if (work->snapshot && mark_wanted(work, work->snapshot, threads, ignored))
			close_unwanted_ports(work);
		pools_retire(registry_pools(snapshot));
		cache_disk_discard();
		return false;
	}
	cache_memory_use(snapshot);
	cache_disk_use(snapshot);
	swap_snapshot(work, snapshot);
	close_unwanted_ports(work);
	(void)malloc_trim(0);
	return true;
}

bool work_take_configuration(struct work *work, struct handoff_message *message, char ret_failure[HANDOFF_TEXT_MAX])
{
	if (message->number < 1 || message->number > THREADS_MAX) {
		say(ret_failure, "worker: %lld threads were asked for", (long long)message->number);
		return false;
	}
	struct snapshot *snapshot = load(message, ret_failure);
	if (!snapshot)
		return false;
	unsigned threads = work->threads ? work->thread_count : (unsigned)message->number;
	if (use(work, snapshot, threads, ret_failure)) {
		const char *logs[] = {snapshot->access_log_settings.path, snapshot->error_log};
		error_log_use(snapshot->error_log);
		log_files_keep(logs, 2, SPARE_LOGS);
		return true;
	}
	snapshot_unref(snapshot);
	return false;
}

void work_reopen_logs(void)
{
	access_log_reopen_all();
	error_log_reopen();
}

// --- The end

void work_drain(struct work *work)
{
	// The threads' own descriptors are to be the last ones: then a queue ends when its
	// thread has emptied it, and nobody waits in one that nobody takes from any more.
	for (struct list_link *link = work->ports.next; link != &work->ports; link = link->next)
		port_close(port_from(link));
	for (unsigned i = 0; i < work->thread_count; i++)
		thread_drain(work->threads[i]);
}

void work_abort(struct work *work)
{
	work_drain(work);
	fetch_end_all();
	for (unsigned i = 0; i < work->thread_count; i++)
		thread_abort(work->threads[i]);
}

unsigned work_thread_count(const struct work *work)
{
	return work->thread_count;
}

void work_free(struct work *work)
{
	for (unsigned i = 0; i < work->thread_count; i++)
		thread_join(work->threads[i]);
	if (work->threads) {
		staple_fetch_stop();
		provider_stop();
		offload_stop();
	}
	cache_disk_end();
	access_state_end();
	free(work->threads);
	if (work->snapshot)
		pools_retire(registry_pools(work->snapshot));
	snapshot_unref(work->snapshot);
	access_log_stop(LOG_STOP_MS);
	for (struct list_link *link; (link = list_pop_front(&work->ports));) {
		port_close(port_from(link));
		free(port_from(link));
	}
	free(work);
}
