// What a proxied request may cost, once everything is warm: no allocation, two reads, two
// writes, and not one socket call more.
#include "../exchange/support.h"
#include "base/sanitizer.h"
#include "driver.h"
#include "exchange/service.h"
#include "handlers/handlers.h"
#include "handlers/proxy.h"
#include "http/h1_server.h"
#include "upstream/connection.h"
#include "upstream/pool.h"
#include "upstream/pool_config.h"

static const struct handler_type *const handlers[] = {&proxy_handler, &headers_handler, &limits_handler, NULL};
static const struct top_section_type *const sections[] = {&pools_section, NULL};
static const struct snapshot_registry budget_registry = {handlers, sections};

enum { WARM_UP = 50, REQUESTS = 500 };

struct exchange_kind {
	const char *request, *response;
	size_t response_ends; // how many bytes of the response the client gets behind its head
	unsigned asks;	      // reads that ask whether the server's idle connection is still there
	unsigned pieces;      // allocations from its arena, at most
};

static const struct exchange_kind kinds[] = {
	{"GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\nServer: test\r\n\r\nhello, world", 12, 0,
	 11},
	// What may not be sent twice is not sent on a connection that may be dead.
	{"POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello",
	 "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 15, 1, 12},
	{"HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", 0, 0, 11},
	{"GET / HTTP/1.1\r\nHost: a.example\r\nIf-None-Match: \"a\"\r\n\r\n",
	 "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", 0, 0, 11},
};

// --- The server: one connection, the same answer to each request.

struct origin {
	int listening;
	struct tcp_stream tcp;
	const struct exchange_kind *kind;
	size_t request_body;
};

// Reads a head, and so many bytes behind it. False at the end. Allocates nothing.
static bool receive(struct tcp_stream *from, size_t behind)
{
	static char bytes[8192];
	size_t length = 0;
	for (;;) {
		ssize_t got =
			stream_read(&from->stream, bytes + length, sizeof bytes - 1 - length, "test", test_deadline());
		if (got == 0 && length == 0)
			return false;
		assert_true(got > 0);
		length += (size_t)got;
		bytes[length] = '\0';
		const char *end = strstr(bytes, "\r\n\r\n");
		if (end && (size_t)(bytes + length - end) - 4 >= behind) {
			assert_int_equal(bytes + length - end - 4, behind);
			return true;
		}
	}
}

static void origin_run(void *argument)
{
	struct origin *origin = argument;
	struct io listening;
	assert_int_equal(io_open(&listening, origin->listening), 0);
	assert_int_equal(io_wait_readable(&listening, "accept", test_deadline()), 0);
	struct kernel *kernel = loop_kernel();
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;
	int accepted = kernel->accept(kernel, origin->listening, &peer, &length);
	assert_true(accepted >= 0);
	assert_int_equal(tcp_open(&origin->tcp, accepted), 0);
	driver_leave_out(&origin->tcp);
	while (receive(&origin->tcp, origin->request_body))
		driver_send(&origin->tcp, slice_from_string(origin->kind->response));
	stream_close(&origin->tcp.stream);
	io_close(&listening);
	fiber_yield();
}

// --- The client

static void client_requests(struct tcp_stream *client, const struct exchange_kind *kind, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		driver_send(client, slice_from_string(kind->request));
		assert_true(receive(client, kind->response_ends));
	}
}

static const struct h1_server_settings settings = {
	.header_bytes = 65536,
	.limits = {.fields = 100, .target_bytes = 8192},
	.header_timeout_ns = 30 * SECOND_NS,
	.idle_timeout_ns = 30 * SECOND_NS,
	.body_timeout_ns = 30 * SECOND_NS,
	.send_timeout_ns = 30 * SECOND_NS,
};

static void measure(struct h1_server *server, const struct exchange_kind *kind)
{
	struct address address;
	struct tcp_stream client;
	int listening = test_listen(8, &address);
	assert_int_equal(tcp_connect(&client, &address, test_deadline()), 0);
	driver_leave_out(&client);
	int accepted = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	close(listening);
	h1_server_accept(server, accepted, &address, "test");

	client_requests(&client, kind, WARM_UP);
	driver_calls = (struct driver_calls){0};
	unsigned long allocations = fail_alloc_count();
	client_requests(&client, kind, REQUESTS);
	allocations = fail_alloc_count() - allocations;
	// Under AddressSanitizer an arena takes a malloc for each of its pieces.
	assert_in_range(allocations, 0, SANITIZE_ADDRESS ? kind->pieces * REQUESTS : 0);
	assert_int_equal(driver_calls.reads, (2 + kind->asks) * REQUESTS);
	assert_int_equal(driver_calls.empty_reads, kind->asks * REQUESTS);
	assert_int_equal(driver_calls.writes, 2 * REQUESTS);
	assert_int_equal(driver_calls.splices + driver_calls.connects + driver_calls.accepts + driver_calls.closes, 0);

	stream_close(&client.stream);
	driver_settle();
	assert_int_equal(h1_server_connections(server), 0);
}

static void run_kind(void *argument)
{
	const struct exchange_kind *kind = argument;
	struct address address;
	struct origin origin = {.listening = test_listen(8, &address),
				.kind = kind,
				.request_body = strstr(kind->request, "Content-Length: 5") ? 5 : 0};
	char text[ADDRESS_TEXT_MAX], configuration[512];
	struct slice server_text = address_format(&address, text);
	(void)snprintf(configuration, sizeof configuration, "listen: \":8080\"\nroutes:\n  - proxy: %.*s\n",
		       SLICE_ARGUMENTS(server_text));
	struct snapshot *snapshot = test_load_good(configuration, &budget_registry);
	struct pool_set *pools = snapshot_section(snapshot, &pools_section);
	assert_int_equal(pools_activate(pools), 0);
	assert_int_equal(upstream_thread_start(), 0);
	struct exchange_service *service = exchange_service_new(snapshot);
	assert_non_null(service);
	struct h1_server *server = h1_server_new(exchange_service_http(service), &settings);
	assert_non_null(server);
	struct fiber *fiber = fiber_spawn_joinable("origin", origin_run, &origin);
	assert_non_null(fiber);

	measure(server, kind);

	upstream_thread_close_idle();
	fiber_join(fiber);
	h1_server_free(server);
	exchange_service_free(service);
	upstream_thread_stop();
	pools_retire(pools);
	snapshot_unref(snapshot);
}

static void test_budget(void **state)
{
	for (size_t i = 0; i < COUNT(kinds); i++)
		driver_run(run_kind, (void *)&kinds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_budget),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
