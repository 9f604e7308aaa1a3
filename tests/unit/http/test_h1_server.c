// Clients' connections: what becomes of them around each exchange.
#include "driver.h"
#include "http/h1_server.h"
#include "support.h"

#include <stdlib.h>

// --- A service that answers by the path, and counts

static struct {
	unsigned begun, ended;
	bool no_memory;
	enum fault_kind fault; // of the last exchange, at its end
	const char *setting;
	uint64_t request_body_bytes, response_bytes;
	struct tcp_stream tunnel_near, tunnel_far;
	unsigned tunnels_done;
} service_saw;

static struct transaction *service_begin(struct http_service *service, const struct client *client)
{
	struct transaction *transaction = service_saw.no_memory ? NULL : calloc(1, sizeof *transaction);
	if (!transaction)
		return NULL;
	arena_init(&transaction->arena, 1024 * 1024);
	service_saw.begun++;
	return transaction;
}

static void service_end(struct transaction *transaction)
{
	service_saw.ended++;
	service_saw.fault = transaction->fault.kind;
	service_saw.setting = transaction->fault.setting;
	service_saw.request_body_bytes = transaction->request_body_bytes;
	service_saw.response_bytes = transaction->response_bytes;
	arena_fini(&transaction->arena);
	free(transaction);
}

static void tunnel_done(struct transaction *transaction)
{
	service_saw.tunnels_done++;
	stream_close(&service_saw.tunnel_near.stream);
	transaction->tunnel.stream = NULL;
}

// /echo answers with the request's body, /read once it was read, /wait after a long time;
// /tunnel becomes a tunnel; all others answer "hi" at once.
static void service_serve(struct transaction *transaction)
{
	struct request *request = &transaction->request;
	struct response *response = &transaction->response;
	struct body_bytes *body = arena_alloc(&transaction->arena, sizeof *body);
	int status = fault_status(transaction->fault.kind);
	if (transaction->fault.kind && !status)
		return;
	body_bytes_init(body, SLICE("hi"));
	response->status = (uint16_t)(status ? status : 200);
	response->body = &body->body;
	if (slice_equal(request->path, SLICE("/echo"))) {
		response->body = request->body;
	} else if (slice_equal(request->path, SLICE("/read"))) {
		struct slice bytes = SLICE("more");
		while (bytes.length && body_read(request->body, &bytes) == 0)
			transaction->request_body_bytes += bytes.length;
	} else if (slice_equal(request->path, SLICE("/wait"))) {
		if (fiber_sleep("test", loop_now() + 500 * SECOND_NS) < 0) {
			fault_set(&transaction->fault, FAULT_CLIENT_GONE, "wait", NULL);
			return;
		}
	} else if (slice_equal(request->path, SLICE("/tunnel"))) {
		response->status = 101;
		response->body = body_empty();
		transaction->tunnel = (struct tunnel_end){.stream = &service_saw.tunnel_near.stream,
							  .early = SLICE("early"),
							  .idle_ns = 500 * SECOND_NS,
							  .done = tunnel_done};
	}
	(void)transaction->operations->respond(transaction);
}

static struct http_service service = {service_begin, service_serve, service_end};

// --- Connections

static const struct h1_server_settings standard = {
	.header_bytes = 1024,
	.limits = {.fields = 10, .target_bytes = 100},
	.header_timeout_ns = 30 * SECOND_NS,
	.idle_timeout_ns = 60 * SECOND_NS,
	.body_timeout_ns = 30 * SECOND_NS,
	.send_timeout_ns = 30 * SECOND_NS,
};

static void connect_client(struct h1_server *server, struct tcp_stream *client)
{
	struct address address;
	int listening = test_listen(8, &address);
	assert_int_equal(tcp_connect(client, &address, test_deadline()), 0);
	struct sockaddr_storage name;
	socklen_t length = sizeof name;
	int accepted = accept4(listening, (struct sockaddr *)&name, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	close(listening);
	address_from_sockaddr((struct sockaddr *)&name, length, &address);
	h1_server_accept(server, accepted, &address, "test");
}

static struct h1_server *server_new(const struct h1_server_settings *settings)
{
	memset(&service_saw, 0, sizeof service_saw);
	struct h1_server *server = h1_server_new(&service, settings);
	assert_non_null(server);
	return server;
}

// Every exchange has ended, and every connection.
static void server_end(struct h1_server *server)
{
	for (int i = 0; i < 1000 && h1_server_connections(server) > 0; i++)
		driver_settle();
	assert_int_equal(h1_server_connections(server), 0);
	assert_int_equal(h1_server_idle(server), 0);
	assert_int_equal(service_saw.begun, service_saw.ended);
	h1_server_free(server);
}

static void assert_has(struct slice got, const char *part)
{
	if (!memmem(got.data, got.length, part, strlen(part))) {
		print_error("no \"%s\" in:\n%.*s\n", part, SLICE_ARGUMENTS(got));
		fail();
	}
}

static void assert_lacks(struct slice got, const char *part)
{
	if (memmem(got.data, got.length, part, strlen(part))) {
		print_error("\"%s\" in:\n%.*s\n", part, SLICE_ARGUMENTS(got));
		fail();
	}
}

// What is sent at once, and what comes back until usher closes; `stays` when it does not.
struct row {
	const char *wire;
	bool stays;
	unsigned exchanges;
	const char *has[3];
	const char *end; // of what comes back
	enum fault_kind fault;
};

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"

static const struct row rows[] = {
	{GET "\r\n", true, 1, {"HTTP/1.1 200 OK\r\n", "\r\nDate: ", "\r\nContent-Length: 2\r\n"}, "\r\n\r\nhi"},
	{GET "\r\n" GET "\r\n\r\n" GET "\r\n", true, 3, {NULL}, "\r\n\r\nhi"},
	{GET "Connection: close\r\n\r\n" GET "\r\n", false, 1, {"\r\nConnection: close\r\n"}, "\r\n\r\nhi"},
	{"GET / HTTP/1.0\r\n\r\n", false, 1, {"HTTP/1.1 200 OK\r\n", "\r\nConnection: close\r\n"}, "hi"},
	{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true, 1, {"\r\nConnection: keep-alive\r\n"}, "hi"},
	{"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", true, 1, {"200"}, "\r\n\r\n"},
	// Bodies.
	{"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" GET "\r\n",
	 true,
	 2,
	 {"\r\n\r\nhelloHTTP/1.1"},
	 "hi"},
	// Nobody knows yet how much of it will have been read.
	{"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
	 false,
	 1,
	 {"\r\nTransfer-Encoding: chunked\r\n"},
	 "o\r\n0\r\nX: y\r\n\r\n"},
	{"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" GET "\r\n", true, 2, {NULL}, "hi"},
	{"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nhello",
	 false,
	 1,
	 {"\r\nConnection: close\r\n"},
	 "hi"},
	{"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
	 false,
	 1,
	 {"\r\nConnection: close\r\n"},
	 "hi"},
	{"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
	 false,
	 1,
	 {NULL},
	 "",
	 FAULT_BAD_FRAMING},
	{"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nx\r\n",
	 false,
	 1,
	 {"\r\n1\r\na\r\n"},
	 "a\r\n",
	 FAULT_BAD_FRAMING},
	// Bad requests are answered, and end the connection.
	{"GET /\r\n\r\n" GET "\r\n", false, 1, {"HTTP/1.1 400", "\r\nConnection: close\r\n"}, "hi", FAULT_BAD_REQUEST},
	{"GET / HTTP/1.1\nHost: a\n\n", false, 1, {"HTTP/1.1 400"}, "hi", FAULT_BAD_REQUEST},
};

static void exchanges(void *argument)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		for (int slow = 0; slow < 2; slow++) {
			const struct row *row = &rows[i];
			struct tcp_stream client;
			struct h1_server *server = server_new(&standard);
			connect_client(server, &client);
			driver_leave_out(&client);
			struct driver_drip drip = {&client, slice_from_string(row->wire), false};
			if (slow) {
				struct fiber *fiber = fiber_spawn_joinable("drip", driver_drip, &drip);
				fiber_join(fiber);
			} else {
				driver_send(&client, drip.bytes);
			}
			driver_settle();
			if (h1_server_idle(server) != row->stays)
				print_error("row %zu, slow %d\n", i, slow);
			assert_int_equal(h1_server_idle(server), row->stays);
			(void)stream_shutdown(&client.stream); // which usher may have closed
			struct slice got = driver_receive(&client, NULL);
			for (size_t j = 0; j < COUNT(row->has) && row->has[j]; j++)
				assert_has(got, row->has[j]);
			if (!slice_ends_with(got, slice_from_string(row->end)))
				print_error("row %zu: got %.*s\n", i, SLICE_ARGUMENTS(got));
			assert_true(slice_ends_with(got, slice_from_string(row->end)));
			if (row->stays)
				assert_lacks(got, "Connection: close");
			server_end(server);
			assert_int_equal(service_saw.ended, row->exchanges);
			assert_int_equal(service_saw.fault, row->fault);
			stream_close(&client.stream);
			fiber_yield();
		}
}

static void a_held_body_is_asked_for(void *argument)
{
	struct tcp_stream client;
	struct h1_server *server = server_new(&standard);
	connect_client(server, &client);
	driver_send(&client,
		    SLICE("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"));
	assert_slice(slice_first(driver_receive(&client, "\r\n\r\n"), 25), "HTTP/1.1 100 Continue\r\n\r\n");
	driver_send(&client, SLICE("hello"));
	assert_has(driver_receive(&client, "hi"), "HTTP/1.1 200 OK");
	stream_close(&client.stream);
	server_end(server);
	assert_int_equal(service_saw.request_body_bytes, 5);
}

static void times_run_out(void *argument)
{
	static const struct {
		const char *wire;
		int64_t after_ns;
		const char *has; // NULL: closed without a word
		enum fault_kind fault;
		const char *setting;
	} waits[] = {
		{"", 31 * SECOND_NS, NULL}, // the first request of a connection
		{"GET / HT", 31 * SECOND_NS, "HTTP/1.1 408", FAULT_HEADER_TIMEOUT, "timeouts.header"},
		{GET "\r\n", 61 * SECOND_NS, "hi"}, // the next one
		{GET "\r\nGET / HT", 31 * SECOND_NS, "HTTP/1.1 408", FAULT_HEADER_TIMEOUT, "timeouts.header"},
		{"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel", 31 * SECOND_NS, "hel",
		 FAULT_BODY_TIMEOUT},
	};
	for (size_t i = 0; i < COUNT(waits); i++) {
		struct tcp_stream client;
		struct h1_server *server = server_new(&standard);
		connect_client(server, &client);
		driver_send(&client, slice_from_string(waits[i].wire));
		driver_settle();
		assert_int_equal(h1_server_connections(server), 1);
		driver_skip(waits[i].after_ns - 2 * SECOND_NS);
		assert_int_equal(h1_server_connections(server), 1);
		driver_skip(3 * SECOND_NS);
		struct slice got = driver_receive(&client, NULL);
		if (waits[i].has)
			assert_has(got, waits[i].has);
		else
			assert_int_equal(got.length, 0);
		stream_close(&client.stream);
		server_end(server);
		assert_int_equal(service_saw.fault, waits[i].fault);
		if (waits[i].setting)
			assert_string_equal(service_saw.setting, waits[i].setting);
	}
}

static void connections_are_bounded(void *argument)
{
	for (int per_client = 0; per_client < 2; per_client++) {
		struct h1_server_settings settings = standard;
		*(per_client ? &settings.connections_per_client : &settings.connections) = 1;
		struct tcp_stream first, second, third;
		struct h1_server *server = server_new(&settings);
		connect_client(server, &first);
		connect_client(server, &second);
		assert_int_equal(h1_server_connections(server), 1);
		assert_has(driver_receive(&second, NULL), "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n");
		stream_close(&first.stream);
		driver_settle();
		connect_client(server, &third);
		assert_int_equal(h1_server_connections(server), 1);
		stream_close(&second.stream);
		stream_close(&third.stream);
		server_end(server);
		assert_int_equal(service_saw.begun, 0);
	}
}

static void requests_are_bounded(void *argument)
{
	struct h1_server_settings settings = standard;
	settings.requests = 2;
	struct tcp_stream client;
	struct h1_server *server = server_new(&settings);
	connect_client(server, &client);
	driver_send(&client, SLICE(GET "\r\n" GET "\r\n" GET "\r\n"));
	assert_has(driver_receive(&client, NULL), "\r\nConnection: close\r\n");
	assert_int_equal(service_saw.begun, 2);
	stream_close(&client.stream);
	server_end(server);
}

static void memory_is_out(void *argument)
{
	struct tcp_stream client;
	struct h1_server *server = server_new(&standard);
	service_saw.no_memory = true;
	connect_client(server, &client);
	driver_send(&client, SLICE(GET "\r\n"));
	assert_has(driver_receive(&client, NULL), "HTTP/1.1 503");
	stream_close(&client.stream);
	server_end(server);
}

enum ending { DRAIN, ANNOUNCE, ABORT };

// Idle, in the middle of a head, of an exchange, of a body, and in a tunnel.
static void servers_end(void *argument)
{
	static const struct {
		const char *wire;
		enum ending ending;
		bool ends; // without another word of the client
		enum fault_kind fault;
	} ends[] = {
		{"", DRAIN, true},
		{"", ABORT, true},
		{"", ANNOUNCE, false},
		{GET "\r\n", DRAIN, true},
		{GET "\r\n", ABORT, true},
		{GET "\r\n", ANNOUNCE, false},
		{"GET / HT", DRAIN, false},
		{"GET / HT", ABORT, true, FAULT_HEADER_TIMEOUT},
		{"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", DRAIN, false},
		{"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", ABORT, true, FAULT_CLIENT_GONE},
		{"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", DRAIN, false},
		{"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", ABORT, true, FAULT_CLIENT_GONE},
		{"GET /tunnel HTTP/1.1\r\nHost: a\r\n\r\n", DRAIN, false},
		{"GET /tunnel HTTP/1.1\r\nHost: a\r\n\r\n", ABORT, true},
	};
	for (size_t i = 0; i < COUNT(ends); i++) {
		struct tcp_stream client;
		struct h1_server *server = server_new(&standard);
		bool tunnels = strstr(ends[i].wire, "/tunnel") != NULL;
		if (tunnels)
			test_pair(&service_saw.tunnel_far, &service_saw.tunnel_near);
		connect_client(server, &client);
		driver_send(&client, slice_from_string(ends[i].wire));
		driver_settle();
		assert_int_equal(h1_server_connections(server), 1);
		if (ends[i].ending == DRAIN)
			h1_server_drain(server);
		else if (ends[i].ending == ANNOUNCE)
			h1_server_announce_drain(server);
		else
			h1_server_abort(server);
		// Lingering for what the client still sends is bounded by time.
		for (int j = 0; j < 5; j++)
			driver_skip(2 * SECOND_NS);
		if (h1_server_connections(server) != !ends[i].ends)
			print_error("row %zu\n", i);
		assert_int_equal(h1_server_connections(server), !ends[i].ends);
		if (!ends[i].ends)
			h1_server_abort(server);
		stream_close(&client.stream);
		server_end(server);
		if (ends[i].ends)
			assert_int_equal(service_saw.fault, ends[i].fault);
		if (tunnels) {
			assert_int_equal(service_saw.tunnels_done, 1);
			stream_close(&service_saw.tunnel_far.stream);
			fiber_yield();
		}
	}
}

// A request that comes while usher drains is answered, and told that it was the last.
static void the_last_answer_says_so(void *argument)
{
	struct tcp_stream client;
	struct h1_server *server = server_new(&standard);
	connect_client(server, &client);
	h1_server_announce_drain(server);
	driver_send(&client, SLICE(GET "\r\n"));
	assert_has(driver_receive(&client, NULL), "\r\nConnection: close\r\n");
	stream_close(&client.stream);
	server_end(server);
}

static void tunnels(void *argument)
{
	struct tcp_stream client;
	struct h1_server *server = server_new(&standard);
	test_pair(&service_saw.tunnel_far, &service_saw.tunnel_near);
	connect_client(server, &client);
	driver_send(&client, SLICE("GET /tunnel HTTP/1.1\r\nHost: a\r\n\r\nto the server"));
	test_expect(&service_saw.tunnel_far, "to the server");
	test_send(&service_saw.tunnel_far, " and back");
	struct slice got = driver_receive(&client, "back");
	assert_has(got, "HTTP/1.1 101 ");
	assert_has(got, "\r\nConnection: upgrade\r\n\r\nearly and back");
	assert_int_equal(service_saw.ended, 0);
	stream_close(&client.stream);
	test_expect_end(&service_saw.tunnel_far);
	stream_close(&service_saw.tunnel_far.stream);
	server_end(server);
	assert_int_equal(service_saw.tunnels_done, 1);
	assert_int_equal(service_saw.request_body_bytes, strlen("to the server"));
}

// A client that is lost ends its exchange; one that only sends no more gets its answer.
static void clients_leave(void *argument)
{
	struct tcp_stream client;
	struct h1_server *server = server_new(&standard);
	connect_client(server, &client);
	driver_send(&client, SLICE("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"));
	driver_settle();
	stream_reset_on_close(&client.stream);
	stream_close(&client.stream);
	server_end(server);
	assert_int_equal(service_saw.fault, FAULT_CLIENT_GONE);

	server = server_new(&standard);
	connect_client(server, &client);
	driver_send(&client, SLICE("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"));
	assert_int_equal(stream_shutdown(&client.stream), 0);
	driver_skip(501 * SECOND_NS);
	assert_has(driver_receive(&client, NULL), "\r\n\r\nhi");
	stream_close(&client.stream);
	server_end(server);
	assert_int_equal(service_saw.fault, FAULT_NONE);
}

#define TEST(name)                                                                                                     \
	static void test_##name(void **state)                                                                          \
	{                                                                                                              \
		driver_run(name, NULL);                                                                                \
	}

TEST(exchanges)
TEST(a_held_body_is_asked_for)
TEST(times_run_out)
TEST(connections_are_bounded)
TEST(requests_are_bounded)
TEST(memory_is_out)
TEST(servers_end)
TEST(the_last_answer_says_so)
TEST(tunnels)
TEST(clients_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchanges),
		cmocka_unit_test(test_a_held_body_is_asked_for),
		cmocka_unit_test(test_times_run_out),
		cmocka_unit_test(test_connections_are_bounded),
		cmocka_unit_test(test_requests_are_bounded),
		cmocka_unit_test(test_memory_is_out),
		cmocka_unit_test(test_servers_end),
		cmocka_unit_test(test_the_last_answer_says_so),
		cmocka_unit_test(test_tunnels),
		cmocka_unit_test(test_clients_leave),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
