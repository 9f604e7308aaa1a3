// A service for the tests of h2_server: it answers by the path, and counts.
#ifndef USHER_TESTS_UNIT_HTTP_H2_SERVICE_H
#define USHER_TESTS_UNIT_HTTP_H2_SERVICE_H

#include "driver.h"
#include "http/h2_server.h"

enum { SERVICE_LARGE_BYTES = 1024 * 1024 };

struct service_saw {
	unsigned begun, served, ended;
	bool no_memory;
	enum fault_kind fault; // of the last exchange, at its end
	const char *detail, *setting;
	uint64_t request_body_bytes, response_bytes, response_body_bytes;
	unsigned cancelled; // while they waited
	char head[4096];    // of the last request, as lines
	struct tcp_stream tunnel_near, tunnel_far;
	unsigned tunnels_done;
};

extern struct service_saw service_saw;

// /echo answers with the request's body; /read with "hi" once it was read, /look as much as is
// known of it at once; /wait after a long time; /large with SERVICE_LARGE_BYTES; /pieces with
// three pieces, a wait before each, and trailers; /trailers with trailers alone; /cut with
// half of what it promised; /interim says 103 first; /none answers 204; /urgent says its
// priority; /tunnel switches protocols. All others answer "hi" at once.
extern struct http_service service;

extern const struct h2_server_settings service_standard;

struct h2_server *service_open(const struct h2_server_settings *settings);

// Every exchange has ended, and every connection.
void service_close(struct h2_server *server);

#endif
