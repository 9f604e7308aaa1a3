#include "upstream/connection.h"

#include "base/check.h"
#include "upstream/address_book.h"
#include "upstream/discovery.h"
#include "upstream/idle.h"
#include "upstream/local.h"

#include <errno.h>

// One address gets at most a part of the time that connecting may take while there are
// others, so that one that does not answer leaves time for them.
enum { ADDRESS_SHARES = 4, ADDRESS_TRIES_MAX = 16 };

// How long an address that could not be connected to is left for last.
#define UNREACHABLE_NS (10 * SECOND_NS)

// --- Faults

static enum fault_kind kind_of(int error)
{
	switch (error) {
	case -ECONNREFUSED:
		return FAULT_CONNECT_REFUSED;
	case -ETIMEDOUT:
		return FAULT_CONNECT_TIMEOUT;
	case -ECANCELED:
		return FAULT_CLIENT_GONE;
	case -EMFILE:
	case -ENFILE:
		return FAULT_TOO_MANY_CONNECTIONS;
	case -ENOMEM:
	case -ENOBUFS:
		return FAULT_OUT_OF_MEMORY;
	default:
		return FAULT_CONNECT_FAILED;
	}
}

static const char *detail_of(int error)
{
	switch (error) {
	case -EMFILE:
	case -ENFILE:
		return "no file descriptor is free";
	case -EADDRNOTAVAIL:
		return "no local port is free";
	case -EAGAIN:
		return "the queue of the server's socket is full";
	case -ENOENT:
		return "there is no such socket";
	case -ENETUNREACH:
		return "the network cannot be reached";
	case -EHOSTUNREACH:
		return "the host cannot be reached";
	default:
		return NULL;
	}
}

static int fail(struct fault *fault, enum fault_kind kind, int error, const char *step, int64_t begun_ns)
{
	*fault = (struct fault){
		.kind = kind,
		.system_error = -error,
		.retry_safe = true,
		.step = step,
		.detail = detail_of(error),
		.setting = kind == FAULT_CONNECT_TIMEOUT ? "timeouts.connect" : NULL,
		.after_ns = loop_now() - begun_ns,
	};
	return error;
}

// --- One address

static int connect_to(struct server_local *local, const struct address *address, int64_t deadline_ns,
		      struct upstream_connection **ret_connection)
{
	struct upstream_connection *connection = connection_struct_take();
	if (!connection)
		return -ENOMEM;
	int64_t begun_ns = loop_now();
	int failed = tcp_connect(&connection->tcp, address, deadline_ns);
	// Idle connections give way when descriptors are out: a visitor waits for this one.
	while ((failed == -EMFILE || failed == -ENFILE) && idle_close_one())
		failed = tcp_connect(&connection->tcp, address, deadline_ns);
	if (failed) {
		connection_struct_give(connection);
		return failed;
	}
	connection->stream = &connection->tcp.stream;
	connection->server = local->server;
	connection->local = local;
	list_init(&connection->link);
	connection->address = *address;
	connection->addresses = 0;
	connection->reused = false;
	connection->opened_ns = loop_now();
	connection->idle_since_ns = connection->opened_ns;
	connection->connect_ns = connection->opened_ns - begun_ns;
	server_ref(local->server);
	local_count(&local->connects, 1);
	local_count(&local->connect_ns, (uint64_t)connection->connect_ns);
	*ret_connection = connection;
	return 0;
}

// --- All addresses of a name

static uint64_t unreachable_now(struct server *server)
{
	uint64_t unreachable = atomic_load_explicit(&server->unreachable, memory_order_relaxed);
	if (unreachable != 0 &&
	    loop_now() >= atomic_load_explicit(&server->unreachable_until_ns, memory_order_relaxed)) {
		atomic_store_explicit(&server->unreachable, 0, memory_order_relaxed);
		return 0;
	}
	return unreachable;
}

static void note_unreachable(struct server *server, uint32_t index)
{
	atomic_store_explicit(&server->unreachable_until_ns, loop_now() + UNREACHABLE_NS, memory_order_relaxed);
	atomic_fetch_or_explicit(&server->unreachable, UINT64_C(1) << index, memory_order_relaxed);
}

static bool is_own_trouble(int error)
{
	return error == -ECANCELED || error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS ||
	       error == -EADDRNOTAVAIL;
}

// Addresses in turn, those known to be unreachable last.
static int connect_to_any(struct server_local *local, int64_t deadline_ns, struct upstream_connection **ret_connection)
{
	struct server *server = local->server;
	const struct address_book *book = host_name_addresses(server->name);
	uint32_t count = address_book_count(book);
	uint32_t first = atomic_fetch_add_explicit(&server->turn, 1, memory_order_relaxed);
	uint64_t unreachable = unreachable_now(server);
	uint32_t left = count < ADDRESS_TRIES_MAX ? count : ADDRESS_TRIES_MAX;
	int failed = -EHOSTUNREACH;
	for (uint32_t i = 0; i < 2 * count && left > 0; i++) {
		struct address address;
		uint32_t index, version;
		if (!address_book_read(book, first + i, server->port, &address, &index, &version))
			break;
		bool last_resort = i >= count;
		if ((unreachable >> index & 1) != last_resort)
			continue;
		int64_t now = loop_now();
		int64_t share_ns = (deadline_ns - now) / (left < ADDRESS_SHARES ? left : ADDRESS_SHARES);
		failed = connect_to(local, &address, now + share_ns, ret_connection);
		if (!failed) {
			(*ret_connection)->addresses = version;
			return 0;
		}
		if (is_own_trouble(failed))
			return failed;
		note_unreachable(server, index);
		left--;
	}
	return failed;
}

// --- Connecting

static int connect_new(struct server_local *local, int64_t timeout_ns, struct fault *ret_fault,
		       struct upstream_connection **ret_connection)
{
	struct server *server = local->server;
	int64_t begun_ns = loop_now();
	int64_t deadline_ns = stream_deadline(timeout_ns);
	if (!server->name) {
		int failed = connect_to(local, &server->address, deadline_ns, ret_connection);
		return failed ? fail(ret_fault, kind_of(failed), failed, "connect", begun_ns) : 0;
	}

	int state = host_name_wait(server->name, deadline_ns);
	if (state < 0)
		return fail(ret_fault, FAULT_CLIENT_GONE, state, "resolve", begun_ns);
	if (state == HOST_NAME_NEW)
		return fail(ret_fault, FAULT_DNS_TIMEOUT, -ETIMEDOUT, "resolve", begun_ns);
	if (state == HOST_NAME_FAILED)
		return fail(ret_fault, FAULT_DNS_FAILED, -EHOSTUNREACH, "resolve", begun_ns);
	int failed = connect_to_any(local, deadline_ns, ret_connection);
	return failed ? fail(ret_fault, kind_of(failed), failed, "connect", begun_ns) : 0;
}

int server_connect(struct server *server, int64_t timeout_ns, bool fresh, struct fault *ret_fault,
		   struct upstream_connection **ret_connection)
{
	struct server_local *local = server_local(server);
	if (!local)
		return fail(ret_fault, FAULT_OUT_OF_MEMORY, -ENOMEM, "connect", loop_now());
	struct upstream_connection *idle = fresh ? NULL : idle_take(local);
	if (idle) {
		*ret_connection = idle;
		return 0;
	}
	return connect_new(local, timeout_ns, ret_fault, ret_connection);
}

void upstream_connection_keep(struct upstream_connection *connection)
{
	if (!idle_keep(connection))
		upstream_connection_close(connection);
}

void upstream_connection_close(struct upstream_connection *connection)
{
	struct server *server = connection->server;
	check(list_is_empty(&connection->link));
	stream_close(connection->stream);
	connection_struct_give(connection);
	server_unref(server);
}
