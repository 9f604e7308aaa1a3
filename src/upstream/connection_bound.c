#include "upstream/connection_bound.h"

#include "base/check.h"
#include "fiber/loop.h"
#include "upstream/connect.h"
#include "upstream/idle.h"
#include "upstream/links.h"
#include "upstream/local.h"
#include "upstream/registry.h"

#include <errno.h>

struct waiting_connection {
	struct line_place place;
	const struct server *server;
	const struct server_local *local; // whose connections he takes over; NULL: he needs a new one
	struct upstream_connection *given;
};

static bool count_one(_Atomic uint32_t *count, _Atomic uint32_t *most)
{
	if (atomic_fetch_add_explicit(count, 1, memory_order_seq_cst) <
	    atomic_load_explicit(most, memory_order_relaxed))
		return true;
	atomic_fetch_sub_explicit(count, 1, memory_order_seq_cst);
	return false;
}

static bool try_claim(struct server *server)
{
	struct pool_family *family = server->family;
	if (!count_one(&family->connections, &family->max_connections))
		return false;
	if (count_one(&server->connections, &server->settings.max_connections))
		return true;
	atomic_fetch_sub_explicit(&family->connections, 1, memory_order_seq_cst);
	return false;
}

// One of this thread's idle connections gives way: to the server itself, or to any of a full pool.
static bool make_room(const struct server *server)
{
	const struct pool_family *family = server->family;
	bool is_pool_full = atomic_load_explicit(&family->connections, memory_order_relaxed) >=
			    atomic_load_explicit(&family->max_connections, memory_order_relaxed);
	const struct server *only = is_pool_full ? NULL : server;
	return idle_close_of(family, only) || link_close_of(family, only);
}

static int fail_claim(struct fault *fault, int error, int64_t begun_ns)
{
	enum fault_kind kind = error == -ECANCELED ? FAULT_CLIENT_GONE : FAULT_CONNECTION_LIMIT;
	connect_fail(fault, kind, error, "connect", begun_ns);
	if (kind == FAULT_CONNECTION_LIMIT) {
		fault->system_error = 0;
		fault->detail = "there are as many connections as there may be";
		fault->setting = "pools.NAME.max_connections";
	}
	return error;
}

// What was given lay idle for a moment, as others do for longer. False: it is closed, and counts no more.
static bool take_over(struct upstream_connection *connection)
{
	if (stream_is_quiet(connection->stream, false)) {
		local_count(&connection->local->reuses, 1);
		connection->reused = true;
		return true;
	}
	local_count(&connection->local->stale, 1);
	upstream_connection_close(connection);
	return false;
}

int connection_claim(struct server *server, const struct server_local *local, int64_t deadline_ns,
		     struct fault *ret_fault, struct upstream_connection **ret_given)
{
	struct pool_family *family = server->family;
	struct waiting_connection waiting = {.server = server, .local = local};
	int64_t begun_ns = loop_now();
	uint32_t at_most = atomic_load_explicit(&family->queue_requests, memory_order_relaxed);
	*ret_given = NULL;
	while (!try_claim(server)) {
		if (make_room(server))
			continue;
		if (!line_enter(&family->connection_line, &waiting.place, at_most))
			return fail_claim(ret_fault, -EAGAIN, begun_ns);
		// What came free before it was in line has called nobody.
		if (try_claim(server)) {
			(void)line_leave(&family->connection_line, &waiting.place);
			if (waiting.given)
				upstream_connection_close(waiting.given);
			return 0;
		}
		upstream_threads_sweep();
		int error = line_wait(&family->connection_line, &waiting.place, "connection to a server", deadline_ns);
		if (error)
			return fail_claim(ret_fault, error, begun_ns);
		if (waiting.given && take_over(waiting.given)) {
			*ret_given = waiting.given;
			return 0;
		}
		waiting.given = NULL;
	}
	return 0;
}

// --- One that is done with

struct offer {
	struct upstream_connection *connection;
	bool is_decided;
};

// Whether there would be a connection for the server if one to the other server were closed.
static bool would_suit(const struct server *server, const struct server *other)
{
	const struct pool_family *family = server->family;
	uint32_t in_pool = atomic_load_explicit(&family->connections, memory_order_relaxed);
	uint32_t to_server = atomic_load_explicit(&server->connections, memory_order_relaxed);
	return in_pool <= atomic_load_explicit(&family->max_connections, memory_order_relaxed) &&
	       to_server < atomic_load_explicit(&server->settings.max_connections, memory_order_relaxed) +
				   (server == other ? UINT64_C(1) : 0);
}

// The first whom it helps gets it, if he can use it as it is: nobody overtakes him.
static bool suits_first(struct line_place *place, void *argument)
{
	struct waiting_connection *waiting = LIST_ENTRY(place, struct waiting_connection, place);
	struct offer *offer = argument;
	if (offer->is_decided || !would_suit(waiting->server, offer->connection->server))
		return false;
	offer->is_decided = true;
	if (waiting->local != offer->connection->local)
		return false;
	waiting->given = offer->connection;
	return true;
}

bool connection_hand_over(struct upstream_connection *connection)
{
	struct offer offer = {.connection = connection};
	stream_set_owner(connection->stream, NULL);
	return line_call(&connection->server->family->connection_line, suits_first, &offer);
}

static bool may_claim(struct line_place *place, void *argument)
{
	const struct server *server = LIST_ENTRY(place, struct waiting_connection, place)->server;
	const struct pool_family *family = server->family;
	return atomic_load_explicit(&family->connections, memory_order_relaxed) <
		       atomic_load_explicit(&family->max_connections, memory_order_relaxed) &&
	       atomic_load_explicit(&server->connections, memory_order_relaxed) <
		       atomic_load_explicit(&server->settings.max_connections, memory_order_relaxed);
}

void connection_release(struct server *server)
{
	struct pool_family *family = server->family;
	check(atomic_load_explicit(&server->connections, memory_order_relaxed) > 0);
	atomic_fetch_sub_explicit(&server->connections, 1, memory_order_seq_cst);
	atomic_fetch_sub_explicit(&family->connections, 1, memory_order_seq_cst);
	if (!line_is_empty(&family->connection_line))
		(void)line_call(&family->connection_line, may_claim, NULL);
}

bool connection_is_wanted(const struct pool_family *family)
{
	return !line_is_empty(&family->connection_line);
}
