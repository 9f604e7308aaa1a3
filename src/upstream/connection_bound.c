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

int connection_claim(struct server *server, int64_t deadline_ns, struct fault *ret_fault)
{
	struct pool_family *family = server->family;
	struct waiting_connection waiting = {.server = server};
	int64_t begun_ns = loop_now();
	uint32_t at_most = atomic_load_explicit(&family->queue_requests, memory_order_relaxed);
	while (!try_claim(server)) {
		if (make_room(server))
			continue;
		if (!line_enter(&family->connection_line, &waiting.place, at_most))
			return fail_claim(ret_fault, -EAGAIN, begun_ns);
		// What came free before it was in line has called nobody.
		if (try_claim(server)) {
			(void)line_leave(&family->connection_line, &waiting.place);
			return 0;
		}
		upstream_threads_sweep();
		int error = line_wait(&family->connection_line, &waiting.place, "connection to a server", deadline_ns);
		if (error)
			return fail_claim(ret_fault, error, begun_ns);
	}
	return 0;
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
