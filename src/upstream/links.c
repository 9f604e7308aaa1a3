#include "upstream/links.h"

#include "base/check.h"
#include "fiber/fiber.h"
#include "http/h2_client.h"
#include "upstream/connect.h"
#include "upstream/connection_bound.h"
#include "upstream/idle.h"

#include <errno.h>
#include <stdlib.h>

// How often links that lie idle for too long are looked for.
#define AGEING_NS SECOND_NS

// A response's header section, as announced to the server; what one exchange takes of it is
// for limits.header.
enum { HEADER_BYTES = 1 << 20 };

struct server_link {
	struct list_link of_server, of_thread;
	struct h2_link *h2;
	struct upstream_connection *carrier; // what it goes through; holds a reference to the server
	uint32_t parts;			     // that are out
	bool carried;			     // a request
	bool failed;			     // the last request that ended on it did
	bool detached;			     // is off the lists, and closes
	struct deferred deferred;
};

static int link_new(struct server_local *local, struct upstream_connection *carrier, struct fault *ret_fault);

// --- Choosing

static bool takes_requests(struct server_link *link)
{
	return h2_link_can_open(link->h2) && !connection_is_aged(link->carrier) &&
	       connection_has_address(link->carrier);
}

// The oldest one with room, so that those that were needed at a peak only fall idle; rather
// one on which no request failed last, and with `fresh` none but such.
static struct server_link *find_link(struct server_local *local, bool fresh)
{
	struct server_link *second_best = NULL;
	for (struct list_link *at = local->links.next; at != &local->links; at = at->next) {
		struct server_link *link = LIST_ENTRY(at, struct server_link, of_server);
		if (!takes_requests(link))
			continue;
		if (!link->failed)
			return link;
		if (!second_best && !fresh)
			second_best = link;
	}
	return second_best;
}

// Each that is woken and finds room wakes the next, so that all of the room is used.
static void wake_next(struct server_local *local)
{
	if (local->waiting > 0 && find_link(local, false))
		wait_queue_wake_one(&local->stream_waiters);
}

static int take_part(struct server_link *link, struct fault *ret_fault, struct upstream_connection **ret_connection)
{
	struct upstream_connection *carrier = link->carrier, *part = connection_struct_take();
	if (!part)
		return connect_fail(ret_fault, FAULT_OUT_OF_MEMORY, -ENOMEM, "connect", loop_now());
	part->tls = carrier->tls;
	part->stream = NULL;
	part->h2 = link->h2;
	part->server = carrier->server;
	part->local = carrier->local;
	part->shared = link;
	list_init(&part->link);
	part->address = carrier->address;
	part->addresses = carrier->addresses;
	part->is_http2 = true;
	part->reused = link->carried;
	part->opened_ns = carrier->opened_ns;
	part->idle_since_ns = carrier->idle_since_ns;
	part->connect_ns = carrier->connect_ns;
	if (link->carried)
		local_count(&carrier->local->reuses, 1);
	link->carried = true;
	link->parts++;
	*ret_connection = part;
	return 0;
}

// --- Opening

static void run_opener(void *argument)
{
	struct server_local *local = argument;
	struct server *server = local->server;
	struct upstream_connection *connection;
	struct fault fault = {0};
	int failed = connect_new(local, server->protocol, local->open_deadline_ns, true, &fault, &connection);
	local->opener = NULL;
	list_remove(&local->opening);
	if (!failed && !upstream_thread.started) {
		upstream_connection_close(connection);
	} else if (!failed && connection->is_http2) {
		failed = link_new(local, connection, &fault);
	} else if (!failed) {
		local->prefers_http1 = true;
		upstream_connection_keep(connection);
	}
	if (failed) {
		local->open_failures++;
		local->open_fault = fault;
		local->open_error = failed;
	}
	wait_queue_wake_all(&local->stream_waiters);
	server_unref(server);
}

static bool may_open(const struct server_local *local)
{
	uint32_t limit = atomic_load_explicit(&local->server->settings.h2_connections, memory_order_relaxed);
	return !local->opener && atomic_load_explicit(&local->link_count, memory_order_relaxed) < limit;
}

static bool start_opener(struct server_local *local, int64_t deadline_ns)
{
	local->open_deadline_ns = deadline_ns;
	local->opener = fiber_spawn("h2 connect", run_opener, local);
	if (!local->opener)
		return false;
	list_push_back(&upstream_thread.openers, &local->opening);
	server_ref(local->server);
	return true;
}

// --- Waiting

static int fail_busy(struct fault *fault, int error, int64_t begun_ns)
{
	connect_fail(fault, FAULT_CONNECTION_LIMIT, error, "connect", begun_ns);
	fault->detail = "all connections to the server carry as many requests as they may";
	fault->setting = "pools.NAME.h2.connections";
	return error;
}

// Whom the connection that is being opened will carry does not count.
static bool is_queue_full(const struct server_local *local)
{
	const struct server_settings *settings = &local->server->settings;
	uint32_t limit = atomic_load_explicit(&settings->h2_queue, memory_order_relaxed);
	if (local->opener)
		limit += atomic_load_explicit(&settings->h2_streams, memory_order_relaxed);
	return local->waiting >= limit;
}

// Until something about the links has changed. The deadline is that of a connection to come,
// or of one that others use up.
static int wait_for_change(struct server_local *local, int64_t deadline_ns, struct fault *ret_fault)
{
	int64_t begun_ns = loop_now();
	if (is_queue_full(local))
		return fail_busy(ret_fault, -EAGAIN, begun_ns);
	local->waiting++;
	int failed = wait_queue_wait(&local->stream_waiters, "connection to the server", deadline_ns);
	local->waiting--;
	if (failed == -ECANCELED)
		return connect_fail(ret_fault, FAULT_CLIENT_GONE, failed, "connect", begun_ns);
	if (failed && !local->opener)
		return fail_busy(ret_fault, failed, begun_ns);
	if (failed)
		return connect_fail(ret_fault, FAULT_CONNECT_TIMEOUT, failed, "connect", begun_ns);
	return 0;
}

int link_take(struct server_local *local, int64_t deadline_ns, bool fresh, struct fault *ret_fault,
	      struct upstream_connection **ret_connection)
{
	uint64_t failures = local->open_failures;
	for (;;) {
		struct server_link *link = find_link(local, fresh);
		if (link) {
			int failed = take_part(link, ret_fault, ret_connection);
			wake_next(local);
			return failed;
		}
		if (local->open_failures != failures) {
			*ret_fault = local->open_fault;
			return local->open_error;
		}
		if (local->prefers_http1) {
			*ret_connection = NULL;
			return 0;
		}
		bool opens = local->opener || may_open(local);
		if (!local->opener && opens && !start_opener(local, deadline_ns))
			return connect_fail(ret_fault, FAULT_OUT_OF_MEMORY, -ENOMEM, "connect", loop_now());
		// Who cannot have a fresh one, or has waited for one, takes what there is.
		if (opens || !fresh) {
			int failed = wait_for_change(local, deadline_ns, ret_fault);
			if (failed)
				return failed;
		}
		fresh = false;
	}
}

// --- A link's life

// Takes it off all lists: nobody finds it any more.
static void detach(struct server_link *link)
{
	struct server_local *local = link->carrier->local;
	check(link->parts == 0 && !link->detached);
	link->detached = true;
	list_remove(&link->of_server);
	list_remove(&link->of_thread);
	uint64_t count = atomic_load_explicit(&local->link_count, memory_order_relaxed);
	atomic_store_explicit(&local->link_count, count - 1, memory_order_relaxed);
}

static void link_unseen(struct deferred *deferred)
{
	free(LIST_ENTRY(deferred, struct server_link, deferred));
}

static void close_detached(struct server_link *link)
{
	struct server *server = link->carrier->server;
	h2_link_close(link->h2);
	if (link->carrier->is_counted)
		connection_release(server);
	connection_struct_give(link->carrier);
	loop_defer(&link->deferred, link_unseen);
	server_unref(server);
}

static void link_close(struct server_link *link)
{
	detach(link);
	close_detached(link);
}

static void over_unseen(struct deferred *deferred)
{
	close_detached(LIST_ENTRY(deferred, struct server_link, deferred));
}

static bool is_retired(struct server_link *link)
{
	return atomic_load_explicit(&link->carrier->server->sets, memory_order_relaxed) == 0;
}

// Whether one without requests is of no more use.
static bool is_done(struct server_link *link)
{
	struct server_settings *settings = &link->carrier->server->settings;
	return h2_link_is_over(link->h2) || is_retired(link) || connection_is_too_old(link->carrier) ||
	       !connection_has_address(link->carrier) ||
	       atomic_load_explicit(&settings->idle_connections, memory_order_relaxed) == 0;
}

// What HTTP/2 tells: there is room again, or it is over. Called in the midst of its work.
static void link_changed(struct h2_link *h2, void *argument)
{
	struct server_link *link = argument;
	if (!link->h2 || link->detached)
		return;
	struct server_local *local = link->carrier->local;
	if (link->parts == 0 && h2_link_is_over(link->h2)) {
		detach(link);
		loop_defer(&link->deferred, over_unseen);
	}
	// Instead of one that is over another may be opened.
	if (local->waiting > 0)
		wait_queue_wake_one(&local->stream_waiters);
}

static struct h2_link_settings settings_of(struct server *server)
{
	struct server_settings *settings = &server->settings;
	uint32_t streams = atomic_load_explicit(&settings->h2_streams, memory_order_relaxed);
	uint32_t window = atomic_load_explicit(&settings->h2_window_bytes, memory_order_relaxed);
	uint64_t windows = (uint64_t)streams * window;
	return (struct h2_link_settings){
		.header_bytes = HEADER_BYTES,
		.stream_window = window,
		// For all streams at once: one that nobody reads holds up no other.
		.window = windows < INT32_MAX ? (uint32_t)windows : INT32_MAX,
		.streams = streams,
		.ping_after_ns = atomic_load_explicit(&settings->h2_ping_ns, memory_order_relaxed),
		.ping_timeout_ns = atomic_load_explicit(&settings->h2_ping_timeout_ns, memory_order_relaxed),
	};
}

// Makes a link of a connection, which is the link's from then on, or closed.
static int link_new(struct server_local *local, struct upstream_connection *carrier, struct fault *ret_fault)
{
	struct h2_link_settings settings = settings_of(local->server);
	struct server_link *link = malloc(sizeof(*link));
	if (link) {
		*link = (struct server_link){.carrier = carrier};
		link->h2 = h2_link_new(carrier->stream, &settings, link_changed, link);
	}
	if (!link || !link->h2) {
		free(link);
		upstream_connection_close(carrier);
		return connect_fail(ret_fault, FAULT_OUT_OF_MEMORY, -ENOMEM, "connect", loop_now());
	}
	carrier->idle_since_ns = loop_now();
	list_push_back(&local->links, &link->of_server);
	list_push_back(&upstream_thread.links, &link->of_thread);
	local_count(&local->link_count, 1);
	local->prefers_http1 = false;
	if (!timer_is_running(&upstream_thread.link_ageing))
		timer_start(&upstream_thread.link_ageing, loop_now() + AGEING_NS);
	return 0;
}

int link_start(struct server_local *local, struct upstream_connection *connection, struct fault *ret_fault,
	       struct upstream_connection **ret_connection)
{
	int failed = link_new(local, connection, ret_fault);
	if (failed)
		return failed;
	failed = take_part(LIST_ENTRY(local->links.previous, struct server_link, of_server), ret_fault, ret_connection);
	wake_next(local);
	return failed;
}

void link_give(struct upstream_connection *connection, bool good)
{
	struct server_link *link = connection->shared;
	struct server_local *local = link->carrier->local;
	check(link->parts > 0 && !link->detached);
	connection_struct_give(connection);
	link->failed = !good;
	if (--link->parts == 0)
		link->carrier->idle_since_ns = loop_now();
	wake_next(local);
	if (link->parts == 0 && is_done(link))
		link_close(link);
}

// --- Without requests

static bool is_any(struct server_link *link)
{
	return true;
}

static unsigned close_all(bool (*is_due)(struct server_link *link))
{
	unsigned closed = 0;
	struct list_link *at, *next, *head = &upstream_thread.links;
	for (at = head->next; at != head; at = next) {
		next = at->next;
		struct server_link *link = LIST_ENTRY(at, struct server_link, of_thread);
		if (link->parts > 0 || !is_due(link))
			continue;
		link_close(link);
		closed++;
	}
	return closed;
}

static void ageing_due(struct timer *timer)
{
	close_all(is_done);
	if (!list_is_empty(&upstream_thread.links))
		timer_start(timer, loop_now() + AGEING_NS);
}

unsigned links_close_idle(void)
{
	return close_all(is_any);
}

unsigned links_close_retired(void)
{
	return close_all(is_retired);
}

bool link_close_one(void)
{
	return link_close_of(NULL, NULL);
}

bool link_close_of(const struct pool_family *family, const struct server *server)
{
	struct list_link *head = &upstream_thread.links;
	for (struct list_link *at = head->next; at != head; at = at->next) {
		struct server_link *link = LIST_ENTRY(at, struct server_link, of_thread);
		const struct server *its = link->carrier->server;
		if (link->parts > 0 || (family && its->family != family) || (server && its != server))
			continue;
		link_close(link);
		return true;
	}
	return false;
}

void links_close_wanted(void)
{
	struct list_link *next, *head = &upstream_thread.links;
	for (struct list_link *at = head->next; at != head; at = next) {
		struct server_link *link = LIST_ENTRY(at, struct server_link, of_thread);
		next = at->next;
		if (link->parts == 0 && connection_is_wanted(link->carrier->server->family))
			link_close(link);
	}
}

void links_init(struct upstream_thread *thread)
{
	list_init(&thread->links);
	list_init(&thread->openers);
	timer_init(&thread->link_ageing, ageing_due);
}

void links_fini(struct upstream_thread *thread)
{
	check(list_is_empty(&thread->links));
	timer_stop(&thread->link_ageing);
	// Nobody waits for what is still being opened.
	for (struct list_link *at = thread->openers.next; at != &thread->openers; at = at->next)
		fiber_cancel(LIST_ENTRY(at, struct server_local, opening)->opener);
}
