#include "upstream/connection.h"

#include "base/check.h"
#include "http/h2_client.h"
#include "tls/stream.h"
#include "upstream/connect.h"
#include "upstream/connection_bound.h"
#include "upstream/idle.h"
#include "upstream/links.h"
#include "upstream/local.h"

#include <errno.h>

// HTTP/1.1: one connection for one request at a time.
static int connect_http1(struct server_local *local, enum server_protocol protocol, int64_t deadline_ns, bool fresh,
			 struct fault *ret_fault, struct upstream_connection **ret_connection)
{
	struct upstream_connection *idle = fresh ? NULL : idle_take(local);
	if (idle) {
		*ret_connection = idle;
		return 0;
	}
	return connect_new(local, protocol, deadline_ns, fresh, ret_fault, ret_connection);
}

// Where ALPN decides, what it chose last is expected again, and found out anew with each
// connection.
static int connect_negotiated(struct server_local *local, int64_t deadline_ns, bool fresh, struct fault *ret_fault,
			      struct upstream_connection **ret_connection)
{
	if (!local->prefers_http1) {
		int failed = link_take(local, deadline_ns, fresh, ret_fault, ret_connection);
		if (failed || *ret_connection)
			return failed;
	}
	int failed = connect_http1(local, SERVER_NEGOTIATED, deadline_ns, fresh, ret_fault, ret_connection);
	if (failed || !(*ret_connection)->is_http2)
		return failed;
	return link_start(local, *ret_connection, ret_fault, ret_connection);
}

static int connect_as(struct server *server, enum server_protocol protocol, int64_t timeout_ns, bool fresh,
		      struct fault *ret_fault, struct upstream_connection **ret_connection)
{
	int64_t deadline_ns = stream_deadline(timeout_ns);
	struct server_local *local = server_local(server);
	if (!local)
		return connect_fail(ret_fault, FAULT_OUT_OF_MEMORY, -ENOMEM, "connect", loop_now());
	switch (protocol) {
	case SERVER_HTTP1:
		return connect_http1(local, protocol, deadline_ns, fresh, ret_fault, ret_connection);
	case SERVER_HTTP2:
		return link_take(local, deadline_ns, fresh, ret_fault, ret_connection);
	case SERVER_NEGOTIATED:
		return connect_negotiated(local, deadline_ns, fresh, ret_fault, ret_connection);
	}
	check(false);
}

int server_connect(struct server *server, int64_t timeout_ns, bool fresh, struct fault *ret_fault,
		   struct upstream_connection **ret_connection)
{
	return connect_as(server, server->protocol, timeout_ns, fresh, ret_fault, ret_connection);
}

int server_connect_to_upgrade(struct server *server, int64_t timeout_ns, bool fresh, struct fault *ret_fault,
			      struct upstream_connection **ret_connection)
{
	enum server_protocol protocol = server->protocol == SERVER_NEGOTIATED ? SERVER_HTTP1 : server->protocol;
	return connect_as(server, protocol, timeout_ns, fresh, ret_fault, ret_connection);
}

void upstream_connection_explain(const struct upstream_connection *connection, struct fault *fault)
{
	const char *words = connection->tls ? tls_stream_reason(connection->tls) : "";
	if (fault->system_error == EPROTO && !fault->detail && *words)
		fault->detail = connect_keep_words(connection->local, words);
}

void upstream_connection_keep(struct upstream_connection *connection)
{
	if (connection->shared)
		link_give(connection, true);
	else if (!idle_keep(connection))
		upstream_connection_close(connection);
}

bool upstream_connection_is_alive(struct upstream_connection *connection)
{
	return connection->shared ? !h2_link_is_over(connection->h2) : stream_is_quiet(connection->stream, true);
}

void upstream_connection_close(struct upstream_connection *connection)
{
	if (connection->shared) {
		link_give(connection, false);
		return;
	}
	struct server *server = connection->server;
	check(list_is_empty(&connection->link));
	stream_close(connection->stream);
	if (connection->is_counted)
		connection_release(server);
	connection_struct_give(connection);
	server_unref(server);
}
