#include "upstream/connect.h"

#include "base/check.h"
#include "tls/stream.h"
#include "upstream/address_book.h"
#include "upstream/connection_bound.h"
#include "upstream/discovery.h"
#include "upstream/idle.h"
#include "upstream/links.h"

#include <errno.h>
#include <stdio.h>

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

int connect_fail(struct fault *fault, enum fault_kind kind, int error, const char *step, int64_t begun_ns)
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

static const char handshake_step[] = "tls handshake";

// Of several addresses' failures the one tells most that came farthest.
static bool came_farther(const struct fault *fault, const struct fault *than)
{
	return fault->step == handshake_step || than->step != handshake_step;
}

// Of one address.
static int fail_address(struct fault *fault, int error, const char *step)
{
	return connect_fail(fault, kind_of(error), error, step, loop_now());
}

// --- TLS

static const char alpn_http1[] = "\x08http/1.1";
static const char alpn_http2[] = "\x02h2";
static const char alpn_both[] = "\x02h2\x08http/1.1";

static struct slice alpn_of(enum server_protocol protocol)
{
	switch (protocol) {
	case SERVER_HTTP1:
		return slice_from_string(alpn_http1);
	case SERVER_HTTP2:
		return slice_from_string(alpn_http2);
	case SERVER_NEGOTIATED:
		return slice_from_string(alpn_both);
	}
	check(false);
}

// Those of the stream go with it.
const char *connect_keep_words(struct server_local *local, const char *words)
{
	snprintf(local->tls_reason, sizeof(local->tls_reason), "%s", words);
	return local->tls_reason;
}

static int fail_tls(struct server_local *local, struct fault *fault, enum fault_kind kind, const char *why)
{
	connect_fail(fault, kind, -ECONNABORTED, handshake_step, loop_now());
	fault->system_error = 0;
	fault->detail = connect_keep_words(local, why);
	return -ECONNABORTED;
}

static enum fault_kind kind_of_failure(enum tls_failure failure)
{
	switch (failure) {
	case TLS_FAILURE_PROTOCOL:
		return FAULT_TLS_FAILED;
	case TLS_FAILURE_CERTIFICATE:
		return FAULT_TLS_CERTIFICATE;
	case TLS_FAILURE_ALERT:
		return FAULT_TLS_ALERT;
	}
	check(false);
}

static int fail_handshake(struct server_local *local, const struct tls_stream *tls, enum tls_result result,
			  struct fault *fault)
{
	switch (result) {
	case TLS_TIMEOUT:
		return fail_address(fault, -ETIMEDOUT, handshake_step);
	case TLS_CANCELLED:
		return fail_address(fault, -ECANCELED, handshake_step);
	case TLS_NO_MEMORY:
		return fail_address(fault, -ENOMEM, handshake_step);
	case TLS_GONE:
		return fail_tls(local, fault, FAULT_TLS_FAILED, "the server closed the connection");
	case TLS_NOT_TLS:
		return fail_tls(local, fault, FAULT_TLS_FAILED, "the server does not speak TLS on this port");
	case TLS_FAILED:
		return fail_tls(local, fault, kind_of_failure(tls_stream_failure(tls)), tls_stream_reason(tls));
	case TLS_DONE:
		break;
	}
	check(false);
}

static int shake_hands(struct server_local *local, struct tls_stream *tls, enum server_protocol protocol,
		       int64_t deadline_ns, struct fault *ret_fault, bool *ret_http2)
{
	struct server *server = local->server;
	// Without memory for them, sessions are not resumed.
	if (!local->sessions)
		local->sessions = tls_sessions_new();
	enum tls_result result =
		tls_stream_connect(tls, server->tls, local->sessions, server->tls_name, alpn_of(protocol), deadline_ns);
	if (result != TLS_DONE)
		return fail_handshake(local, tls, result, ret_fault);
	bool http2 = slice_equal(tls_stream_protocol(tls), SLICE("h2"));
	// RFC 9113 section 3.3: HTTP/2 over TLS is spoken only where ALPN chose it.
	if (!http2 && protocol == SERVER_HTTP2)
		return fail_tls(local, ret_fault, FAULT_TLS_FAILED, "the server did not agree to speak HTTP/2 (ALPN)");
	*ret_http2 = http2;
	return 0;
}

// --- One address

// Idle connections give way when descriptors are out: a visitor waits for this one.
static int open_tcp(struct tcp_stream *tcp, const struct address *address, int64_t deadline_ns)
{
	int failed = tcp_connect(tcp, address, deadline_ns);
	while ((failed == -EMFILE || failed == -ENFILE) && (idle_close_one() || link_close_one()))
		failed = tcp_connect(tcp, address, deadline_ns);
	return failed;
}

static int open_plain(struct upstream_connection *connection, enum server_protocol protocol, int64_t deadline_ns,
		      struct fault *ret_fault)
{
	int failed = open_tcp(&connection->tcp, &connection->address, deadline_ns);
	if (failed)
		return fail_address(ret_fault, failed, "connect");
	connection->tls = NULL;
	connection->stream = &connection->tcp.stream;
	connection->is_http2 = protocol == SERVER_HTTP2;
	return 0;
}

static int open_tls(struct server_local *local, struct upstream_connection *connection, enum server_protocol protocol,
		    int64_t deadline_ns, struct fault *ret_fault)
{
	struct tls_stream *tls = tls_stream_new();
	if (!tls)
		return fail_address(ret_fault, -ENOMEM, "connect");
	int failed = open_tcp(tls_stream_tcp(tls), &connection->address, deadline_ns);
	if (failed) {
		tls_stream_free(tls);
		return fail_address(ret_fault, failed, "connect");
	}
	failed = shake_hands(local, tls, protocol, deadline_ns, ret_fault, &connection->is_http2);
	if (failed) {
		stream_close(tls_stream_stream(tls));
		return failed;
	}
	connection->tls = tls;
	connection->stream = tls_stream_stream(tls);
	return 0;
}

static int connect_to(struct server_local *local, enum server_protocol protocol, const struct address *address,
		      int64_t deadline_ns, struct fault *ret_fault, struct upstream_connection **ret_connection)
{
	struct upstream_connection *connection = connection_struct_take();
	if (!connection)
		return fail_address(ret_fault, -ENOMEM, "connect");
	int64_t begun_ns = loop_now();
	connection->address = *address;
	int failed = local->server->tls ? open_tls(local, connection, protocol, deadline_ns, ret_fault)
					: open_plain(connection, protocol, deadline_ns, ret_fault);
	if (failed) {
		connection_struct_give(connection);
		return failed;
	}
	connection->h2 = NULL;
	connection->shared = NULL;
	connection->server = local->server;
	connection->local = local;
	list_init(&connection->link);
	connection->addresses = 0;
	connection->reused = false;
	connection->is_counted = false;
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
static int connect_to_any(struct server_local *local, enum server_protocol protocol, int64_t deadline_ns,
			  struct fault *ret_fault, struct upstream_connection **ret_connection)
{
	struct server *server = local->server;
	const struct address_book *book = host_name_addresses(server->name);
	uint32_t count = address_book_count(book);
	uint32_t first = atomic_fetch_add_explicit(&server->turn, 1, memory_order_relaxed);
	uint64_t unreachable = unreachable_now(server);
	uint32_t left = count < ADDRESS_TRIES_MAX ? count : ADDRESS_TRIES_MAX;
	struct fault fault, farthest;
	int failed = fail_address(&farthest, -EHOSTUNREACH, "connect");
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
		int error = connect_to(local, protocol, &address, now + share_ns, &fault, ret_connection);
		if (!error) {
			(*ret_connection)->addresses = version;
			return 0;
		}
		if (is_own_trouble(error) || came_farther(&fault, &farthest)) {
			farthest = fault;
			failed = error;
		}
		if (is_own_trouble(error))
			break;
		note_unreachable(server, index);
		left--;
	}
	*ret_fault = farthest;
	return failed;
}

// --- Connecting

// Waits for the first answer about the server's name.
static int resolve(struct server *server, int64_t deadline_ns, struct fault *ret_fault)
{
	int64_t begun_ns = loop_now();
	int state = host_name_wait(server->name, deadline_ns);
	if (state < 0)
		return connect_fail(ret_fault, FAULT_CLIENT_GONE, state, "resolve", begun_ns);
	if (state == HOST_NAME_NEW)
		return connect_fail(ret_fault, FAULT_DNS_TIMEOUT, -ETIMEDOUT, "resolve", begun_ns);
	if (state == HOST_NAME_FAILED)
		return connect_fail(ret_fault, FAULT_DNS_FAILED, -EHOSTUNREACH, "resolve", begun_ns);
	return 0;
}

int connect_new(struct server_local *local, enum server_protocol protocol, int64_t deadline_ns, bool fresh,
		struct fault *ret_fault, struct upstream_connection **ret_connection)
{
	struct server *server = local->server;
	int64_t begun_ns = loop_now();
	int failed = server->name ? resolve(server, deadline_ns, ret_fault) : 0;
	if (failed)
		return failed;
	struct upstream_connection *given;
	failed = connection_claim(server, fresh ? NULL : local, deadline_ns, ret_fault, &given);
	if (given)
		*ret_connection = given;
	if (failed || given)
		return failed;
	failed = server->name ? connect_to_any(local, protocol, deadline_ns, ret_fault, ret_connection)
			      : connect_to(local, protocol, &server->address, deadline_ns, ret_fault, ret_connection);
	if (failed) {
		connection_release(server);
		ret_fault->after_ns = loop_now() - begun_ns;
		return failed;
	}
	(*ret_connection)->is_counted = true;
	return 0;
}

int connect_aside(struct server_local *local, uint16_t port, int64_t deadline_ns, struct fault *ret_fault,
		  struct upstream_connection **ret_connection)
{
	struct server *server = local->server;
	struct address address = server->address;
	uint32_t index, version;
	int failed = server->name ? resolve(server, deadline_ns, ret_fault) : 0;
	if (failed)
		return failed;
	if (server->name &&
	    !address_book_read(host_name_addresses(server->name), 0, server->port, &address, &index, &version))
		return fail_address(ret_fault, -EHOSTUNREACH, "connect");
	if (port > 0)
		address_set_port(&address, port);
	enum server_protocol protocol = server->protocol == SERVER_HTTP2 ? SERVER_HTTP2 : SERVER_HTTP1;
	return connect_to(local, protocol, &address, deadline_ns, ret_fault, ret_connection);
}
