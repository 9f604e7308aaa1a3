#include "upstream/idle.h"

#include "base/check.h"
#include "upstream/address_book.h"
#include "upstream/connection_bound.h"
#include "upstream/discovery.h"
#include "upstream/registry.h"

#include <stdlib.h>

enum { SPARE_MAX = 1024 };

// How often connections that lie idle for too long are looked for; one that is too old is
// never used, however often that is.
#define AGEING_NS SECOND_NS

static void connection_parked(struct stream *stream, void *argument);

// --- Taking and keeping

static bool is_over(int64_t since_ns, _Atomic int64_t *limit_ns)
{
	int64_t limit = atomic_load_explicit(limit_ns, memory_order_relaxed);
	return limit > 0 && loop_now() - since_ns >= limit;
}

bool connection_is_aged(const struct upstream_connection *connection)
{
	return is_over(connection->opened_ns, &connection->server->settings.idle_age_ns);
}

bool connection_is_too_old(struct upstream_connection *connection)
{
	return is_over(connection->idle_since_ns, &connection->server->settings.idle_timeout_ns) ||
	       connection_is_aged(connection);
}

bool connection_has_address(struct upstream_connection *connection)
{
	const struct host_name *name = connection->server->name;
	if (!name)
		return true;
	const struct address_book *book = host_name_addresses(name);
	uint32_t version = address_book_version(book);
	if (version == connection->addresses)
		return true;
	if (!address_book_has(book, &connection->address))
		return false;
	connection->addresses = version;
	return true;
}

// Takes it off the thread's lists.
static void remove_idle(struct upstream_connection *connection)
{
	struct server_local *local = connection->local;
	stream_unpark(connection->stream);
	list_remove(&connection->link);
	upstream_thread.pool_idle[connection->server->family->number]--;
	uint64_t count = atomic_load_explicit(&local->idle_count, memory_order_relaxed) - 1;
	atomic_store_explicit(&local->idle_count, count, memory_order_relaxed);
	if (count == 0)
		list_remove(&local->with_idle);
}

static void close_idle(struct upstream_connection *connection)
{
	remove_idle(connection);
	upstream_connection_close(connection);
}

struct upstream_connection *idle_take(struct server_local *local)
{
	while (!list_is_empty(&local->idle)) {
		struct upstream_connection *newest = LIST_ENTRY(local->idle.next, struct upstream_connection, link);
		remove_idle(newest);
		if (!stream_is_quiet(newest->stream, false)) {
			local_count(&local->stale, 1);
		} else if (!connection_is_too_old(newest) && connection_has_address(newest)) {
			local_count(&local->reuses, 1);
			newest->reused = true;
			return newest;
		}
		upstream_connection_close(newest);
	}
	return NULL;
}

// Numbers of pools are small, so the table is too.
static bool make_room(struct upstream_thread *thread, uint32_t number)
{
	if (number < thread->pool_count)
		return true;
	uint32_t count = thread->pool_count ? thread->pool_count : 16;
	while (count <= number)
		count *= 2;
	uint32_t *pool_idle = realloc(thread->pool_idle, count * sizeof(*pool_idle));
	if (!pool_idle)
		return false;
	for (uint32_t i = thread->pool_count; i < count; i++)
		pool_idle[i] = 0;
	thread->pool_idle = pool_idle;
	thread->pool_count = count;
	return true;
}

// At a bound the connection that lay idle longest makes room for the newer one, when it
// goes to the same server.
static bool is_within_bounds(struct server_local *local)
{
	struct server *server = local->server;
	uint32_t limit = atomic_load_explicit(&server->settings.idle_connections, memory_order_relaxed);
	uint32_t pool_limit = atomic_load_explicit(&server->family->idle_connections, memory_order_relaxed);
	uint32_t *in_pool = &upstream_thread.pool_idle[server->family->number];
	while (atomic_load_explicit(&local->idle_count, memory_order_relaxed) >= limit || *in_pool >= pool_limit) {
		if (list_is_empty(&local->idle) || limit == 0 || pool_limit == 0)
			return false;
		close_idle(LIST_ENTRY(local->idle.previous, struct upstream_connection, link));
	}
	return true;
}

bool idle_keep(struct upstream_connection *connection)
{
	struct upstream_thread *thread = &upstream_thread;
	struct server_local *local = connection->local;
	struct server *server = connection->server;
	connection->idle_since_ns = loop_now();
	if (atomic_load_explicit(&server->sets, memory_order_relaxed) == 0 || connection_is_too_old(connection))
		return false;
	if (connection_is_wanted(server->family))
		return connection_hand_over(connection);
	if (!make_room(thread, server->family->number) || !is_within_bounds(local))
		return false;

	thread->pool_idle[server->family->number]++;
	if (list_is_empty(&local->idle))
		list_push_back(&thread->with_idle, &local->with_idle);
	local_count(&local->idle_count, 1);
	list_push_front(&local->idle, &connection->link);
	stream_set_owner(connection->stream, NULL);
	stream_park(connection->stream, connection_parked, connection);
	if (!timer_is_running(&thread->ageing))
		timer_start(&thread->ageing, loop_now() + AGEING_NS);
	return true;
}

// --- While they lie idle

static void connection_parked(struct stream *stream, void *argument)
{
	struct upstream_connection *connection = argument;
	// What woke it may be an edge that its last read had used up already.
	if (stream_is_quiet(connection->stream, false)) {
		stream_park(stream, connection_parked, connection);
		return;
	}
	local_count(&connection->local->stale, 1);
	close_idle(connection);
}

// Calls close_idle for those of a server, oldest first, that `is_due`, up to the first that
// is not. Counts them.
static unsigned close_server(struct server_local *local, bool (*is_due)(struct upstream_connection *connection))
{
	unsigned closed = 0;
	struct list_link *oldest;
	while ((oldest = local->idle.previous) != &local->idle) {
		struct upstream_connection *connection = LIST_ENTRY(oldest, struct upstream_connection, link);
		if (!is_due(connection))
			break;
		// The last one may take the server, and so `local`, with it.
		bool last = oldest->previous == &local->idle;
		close_idle(connection);
		closed++;
		if (last)
			break;
	}
	return closed;
}

static unsigned close_all(bool (*is_due)(struct upstream_connection *connection))
{
	unsigned closed = 0;
	struct list_link *link, *next, *head = &upstream_thread.with_idle;
	for (link = head->next; link != head; link = next) {
		next = link->next;
		closed += close_server(LIST_ENTRY(link, struct server_local, with_idle), is_due);
	}
	return closed;
}

static void ageing_due(struct timer *timer)
{
	close_all(connection_is_too_old);
	if (!list_is_empty(&upstream_thread.with_idle))
		timer_start(timer, loop_now() + AGEING_NS);
}

static bool is_retired(struct upstream_connection *connection)
{
	return atomic_load_explicit(&connection->server->sets, memory_order_relaxed) == 0;
}

static bool is_idle(struct upstream_connection *connection)
{
	return true;
}

void idle_close_retired(void)
{
	close_all(is_retired);
}

static void close_oldest(struct server_local *local)
{
	close_idle(LIST_ENTRY(local->idle.previous, struct upstream_connection, link));
}

bool idle_close_one(void)
{
	return idle_close_of(NULL, NULL);
}

bool idle_close_of(const struct pool_family *family, const struct server *server)
{
	struct list_link *head = &upstream_thread.with_idle;
	for (struct list_link *link = head->next; link != head; link = link->next) {
		struct server_local *local = LIST_ENTRY(link, struct server_local, with_idle);
		if ((family && local->server->family != family) || (server && local->server != server))
			continue;
		close_oldest(local);
		return true;
	}
	return false;
}

void idle_close_wanted(void)
{
	struct list_link *next, *head = &upstream_thread.with_idle;
	for (struct list_link *link = head->next; link != head; link = next) {
		struct server_local *local = LIST_ENTRY(link, struct server_local, with_idle);
		next = link->next;
		if (connection_is_wanted(local->server->family))
			close_oldest(local);
	}
}

unsigned idle_close_all(void)
{
	return close_all(is_idle);
}

// --- Structs

struct upstream_connection *connection_struct_take(void)
{
	struct upstream_thread *thread = &upstream_thread;
	struct list_link *link = list_pop_front(&thread->spare);
	if (!link)
		return malloc(sizeof(struct upstream_connection));
	thread->spare_count--;
	return LIST_ENTRY(link, struct upstream_connection, link);
}

static void struct_unseen(struct deferred *deferred)
{
	struct upstream_thread *thread = &upstream_thread;
	struct upstream_connection *connection = LIST_ENTRY(deferred, struct upstream_connection, deferred);
	if (!thread->started || thread->spare_count >= SPARE_MAX) {
		free(connection);
		return;
	}
	list_push_front(&thread->spare, &connection->link);
	thread->spare_count++;
}

void connection_struct_give(struct upstream_connection *connection)
{
	loop_defer(&connection->deferred, struct_unseen);
}

void idle_init(struct upstream_thread *thread)
{
	list_init(&thread->with_idle);
	list_init(&thread->spare);
	timer_init(&thread->ageing, ageing_due);
}

void idle_fini(struct upstream_thread *thread)
{
	check(list_is_empty(&thread->with_idle));
	timer_stop(&thread->ageing);
	struct list_link *link;
	while ((link = list_pop_front(&thread->spare)))
		free(LIST_ENTRY(link, struct upstream_connection, link));
	thread->spare_count = 0;
	free(thread->pool_idle);
	thread->pool_idle = NULL;
	thread->pool_count = 0;
}
