// A server that a test plays by hand, and a pool of servers to connect to.
#ifndef USHER_TESTS_UPSTREAM_ORIGIN_H
#define USHER_TESTS_UPSTREAM_ORIGIN_H

#include "support.h"

enum { ACCEPTED_MAX = 16 };

// A server that a test plays by hand.
struct origin {
	int listening;
	struct address address;
	char text[ADDRESS_TEXT_MAX];
	struct tcp_stream accepted[ACCEPTED_MAX];
	unsigned count;
};

static inline void origin_open(struct origin *origin)
{
	*origin = (struct origin){0};
	origin->listening = test_listen(64, &origin->address);
	struct slice text = address_format(&origin->address, origin->text);
	origin->text[text.length] = '\0';
}

static inline struct tcp_stream *origin_accept(struct origin *origin)
{
	struct kernel *kernel = loop_kernel();
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);
	int descriptor = kernel->accept(kernel, origin->listening, &peer, &length);
	assert_true(descriptor >= 0);
	struct tcp_stream *tcp = &origin->accepted[origin->count++];
	assert_int_equal(tcp_open(tcp, descriptor), 0);
	return tcp;
}

static inline void origin_close(struct origin *origin)
{
	for (unsigned i = 0; i < origin->count; i++)
		stream_close(&origin->accepted[i].stream);
	close(origin->listening);
}

// A pool of the given servers; with changes to its configuration.
struct fixture {
	struct test_pools pools;
	struct pool_config *config;
	struct server *server;
};

static inline void fixture_open(struct fixture *fixture, const char *servers)
{
	*fixture = (struct fixture){0};
	fixture->config = test_pool_add(&fixture->pools, "p", &balance_round_robin, servers);
}

static inline void fixture_activate(struct fixture *fixture)
{
	test_pools_activate(&fixture->pools);
	fixture->server = pool_server(fixture->config->pool, 0);
}

static inline struct upstream_connection *connect_or_fail(struct server *server, bool fresh)
{
	struct upstream_connection *connection = NULL;
	struct fault fault = {0};
	assert_int_equal(server_connect(server, PATIENCE_NS, fresh, &fault, &connection), 0);
	assert_non_null(connection);
	assert_int_equal(fault.kind, FAULT_NONE);
	return connection;
}

#endif
