// Requests to a server, and whether its connection may carry another.
#include "driver.h"
#include "http/h1_client.h"
#include "support.h"

#include <stdlib.h>

static const struct client_settings settings = {
	.header_bytes = 1024,
	.limits = {.fields = 10, .target_bytes = 100},
	.send_timeout_ns = 100 * SECOND_NS,
	.response_timeout_ns = 200 * SECOND_NS,
	.read_timeout_ns = 100 * SECOND_NS,
};

struct fixture {
	struct tcp_stream near, far; // far is the server's
	struct arena arena;
	struct h1_client client;
	struct response response;
	struct fault fault;
	struct body_bytes body; // of the request
};

#define HEAD "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static void fixture_open(struct fixture *fixture, struct slice body)
{
	memset(fixture, 0, sizeof *fixture);
	test_pair(&fixture->near, &fixture->far);
	arena_init(&fixture->arena, 1024 * 1024);
	h1_client_init(&fixture->client, &settings, &fixture->near.stream, &fixture->arena);
	body_bytes_init(&fixture->body, body);
}

static bool fixture_close(struct fixture *fixture)
{
	bool reusable = client_fini(&fixture->client.client);
	arena_fini(&fixture->arena);
	stream_close(&fixture->near.stream);
	stream_close(&fixture->far.stream);
	fiber_yield();
	return reusable;
}

static int send_request(struct fixture *fixture, struct body *body, bool hold)
{
	enum body_framing framing = body->length == 0 ? BODY_NONE : body->length > 0 ? BODY_LENGTH : BODY_CHUNKED;
	static const struct fields none;
	struct client_request request = {
		.method = METHOD_GET,
		.method_name = SLICE("GET"),
		.authority = SLICE("a"),
		.target = SLICE("/"),
		.fields = &none,
		.framing = framing,
		.hold_body = hold,
		.body = body,
	};
	return client_send(&fixture->client.client, &request, &fixture->fault);
}

static int read_head(struct fixture *fixture, int64_t patience_ns)
{
	return client_read_head(&fixture->client.client, patience_ns, &fixture->response, &fixture->fault);
}

// Reads the body of the response to its end.
static int read_body(struct fixture *fixture)
{
	struct slice bytes = SLICE("more");
	while (bytes.length)
		if (body_read(fixture->response.body, &bytes) < 0)
			return -1;
	return 0;
}

// --- Answers, and what they leave of the connection

struct row {
	const char *wire;
	bool ends; // the server closes its side
	unsigned interims;
	int status; // 0: no head came
	bool body_fails, reusable;
	enum fault_kind fault;
};

static const struct row rows[] = {
	{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, 0, 200, false, true},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n", false, 0, 200, false,
	 true},
	{"HTTP/1.1 204 No Content\r\n\r\n", false, 0, 204, false, true},
	{"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, 0, 304, false, true},
	{"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi", false, 0, 200, false, true},
	// Interim responses come first.
	{"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
	 "Content-Length: 0\r\n\r\n",
	 false, 2, 200, false, true},
	// The server will not keep it.
	{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", false, 0, 200, false, false},
	{"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, 0, 200, false, false},
	{"HTTP/1.1 200 OK\r\n\r\nhi", true, 0, 200, false, false},
	// More than was announced.
	{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!", false, 0, 200, false, false},
	{"HTTP/1.1 204 No Content\r\n\r\nhi", false, 0, 204, false, false},
	// Bodies that do not end well.
	{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", true, 0, 200, true, false, FAULT_RESPONSE_TRUNCATED},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx", false, 0, 200, true, false, FAULT_RESPONSE_BAD},
	// Heads that do not.
	{"", true, 0, 0, false, false, FAULT_SERVER_CLOSED},
	{"HTTP/1.1 2", true, 0, 0, false, false, FAULT_SERVER_CLOSED},
	{"HTTP/1.1 103 Early Hints\r\n\r\n", true, 1, 0, false, false, FAULT_SERVER_CLOSED},
	{"HTTP/1.1 200 OK\n\n", false, 0, 0, false, false, FAULT_RESPONSE_BAD},
	{"nonsense\r\n\r\n", false, 0, 0, false, false, FAULT_RESPONSE_BAD},
};

static void answers(void *argument)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		for (int slow = 0; slow < 2; slow++) {
			const struct row *row = &rows[i];
			struct fixture fixture;
			fixture_open(&fixture, SLICE_EMPTY);
			assert_int_equal(send_request(&fixture, &fixture.body.body, false), 0);
			test_expect(&fixture.far, HEAD);
			struct driver_drip drip = {&fixture.far, slice_from_string(row->wire), row->ends};
			struct fiber *fiber = fiber_spawn_joinable("drip", driver_drip, &drip);
			if (!slow)
				fiber_join(fiber);
			unsigned interims = 0;
			int result;
			while ((result = read_head(&fixture, 0)) == 0 && fixture.response.status < 200)
				interims++;
			assert_int_equal(interims, row->interims);
			assert_int_equal(result, row->status ? 0 : -1);
			assert_int_equal(fixture.client.client.got_bytes, row->wire[0] != '\0');
			enum fault_kind fault = fixture.fault.kind;
			if (result == 0) {
				assert_int_equal(fixture.response.status, row->status);
				assert_int_equal(read_body(&fixture), row->body_fails ? -1 : 0);
				fault = fixture.response.body->fault.kind;
			}
			assert_int_equal(fault, row->fault);
			if (slow)
				fiber_join(fiber);
			bool reusable = fixture_close(&fixture);
			if (reusable != row->reusable && !slow)
				print_error("row %zu\n", i);
			// What comes too much may come after the verdict, where it comes slowly.
			assert_true(reusable == row->reusable || slow);
		}
}

// An answer whose body was not read leaves the connection of no use.
static void unread_answers(void *argument)
{
	struct fixture fixture;
	fixture_open(&fixture, SLICE_EMPTY);
	assert_int_equal(send_request(&fixture, &fixture.body.body, false), 0);
	test_send(&fixture.far, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	assert_int_equal(read_head(&fixture, 0), 0);
	assert_false(fixture_close(&fixture));

	fixture_open(&fixture, SLICE_EMPTY);
	assert_int_equal(send_request(&fixture, &fixture.body.body, false), 0);
	assert_false(fixture_close(&fixture)); // and one that has not come
}

static void too_large_a_head(void *argument)
{
	struct fixture fixture;
	char wire[1100];
	memset(wire, 'a', sizeof wire);
	memcpy(wire, "HTTP/1.1 200 OK\r\nA: ", 20);
	fixture_open(&fixture, SLICE_EMPTY);
	assert_int_equal(send_request(&fixture, &fixture.body.body, false), 0);
	driver_send(&fixture.far, slice_from(wire, sizeof wire));
	assert_int_equal(read_head(&fixture, 0), -1);
	assert_int_equal(fixture.fault.kind, FAULT_RESPONSE_HEADER_TOO_LARGE);
	assert_string_equal(fixture.fault.setting, "limits.header");
	assert_false(fixture_close(&fixture));
}

// --- Bodies that are held for 100 (Continue)

static void held_bodies(void *argument)
{
	enum { CONTINUED, IMPATIENT, REFUSED, WAYS };
	for (int way = 0; way < WAYS; way++) {
		struct fixture fixture;
		fixture_open(&fixture, SLICE("hello"));
		assert_int_equal(send_request(&fixture, &fixture.body.body, true), 0);
		assert_true(client_holds_body(&fixture.client.client));
		test_expect(&fixture.far,
			    "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
		if (way == IMPATIENT) {
			assert_int_equal(read_head(&fixture, MILLISECOND_NS), 1);
			assert_int_equal(fixture.fault.kind, FAULT_NONE);
		} else {
			test_send(&fixture.far, way == CONTINUED ? "HTTP/1.1 100 Continue\r\n\r\n"
								 : "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
			assert_int_equal(read_head(&fixture, PATIENCE_NS), 0);
			assert_int_equal(fixture.response.status, way == CONTINUED ? 100 : 417);
		}
		if (way != REFUSED) {
			assert_int_equal(client_send_body(&fixture.client.client, &fixture.fault), 0);
			assert_false(client_holds_body(&fixture.client.client));
			test_expect(&fixture.far, "hello");
			test_send(&fixture.far, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
			assert_int_equal(read_head(&fixture, 0), 0);
			assert_int_equal(fixture.response.status, 200);
		}
		// The server may still wait for a body that was never sent.
		assert_int_equal(fixture_close(&fixture), way != REFUSED);
	}
}

// --- Bodies that come slowly

struct slow_body {
	struct body body;
	int64_t until_ns;
	bool fails;
};

static int slow_read(struct body *body, struct slice *ret_bytes)
{
	struct slow_body *slow = (struct slow_body *)body;
	*ret_bytes = SLICE_EMPTY;
	int error = fiber_sleep("slow body", slow->until_ns);
	if (error || slow->fails) {
		fault_set(&body->fault, FAULT_BODY_TIMEOUT, "read request body", NULL);
		return -1;
	}
	return 0;
}

static const struct body_operations slow_operations = {.read = slow_read};

static struct slow_body slow_body(int64_t wait_ns, bool fails)
{
	return (struct slow_body){.body = {.operations = &slow_operations, .length = BODY_LENGTH_UNKNOWN},
				  .until_ns = loop_now() + wait_ns,
				  .fails = fails};
}

static void bodies_that_fail(void *argument)
{
	struct fixture fixture;
	fixture_open(&fixture, SLICE_EMPTY);
	struct slow_body body = slow_body(5 * MILLISECOND_NS, true);
	assert_int_equal(send_request(&fixture, &body.body, false), 0);
	assert_int_equal(read_head(&fixture, 0), -1);
	assert_int_equal(fixture.fault.kind, FAULT_BODY_TIMEOUT);
	assert_false(fiber_is_cancelled(fiber_current()));
	assert_int_equal(read_head(&fixture, 0), -1); // nothing is to be waited for any more
	assert_false(fixture_close(&fixture));
}

// An answer that comes before the request was sent: it stands, the connection does not.
static void early_answers(void *argument)
{
	struct fixture fixture;
	fixture_open(&fixture, SLICE_EMPTY);
	struct slow_body body = slow_body(500 * SECOND_NS, false);
	assert_int_equal(send_request(&fixture, &body.body, false), 0);
	test_send(&fixture.far, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(read_head(&fixture, 0), 0);
	assert_int_equal(fixture.response.status, 413);
	assert_false(fixture_close(&fixture)); // does not wait for the body
}

struct patient {
	struct fixture *fixture;
	int result;
};

static void wait_patiently(void *argument)
{
	struct patient *patient = argument;
	patient->result = read_head(patient->fixture, 0);
}

// The time for an answer begins when the request is wholly sent.
static void times_run_out(void *argument)
{
	struct fixture fixture;
	fixture_open(&fixture, SLICE_EMPTY);
	struct slow_body body = slow_body(300 * SECOND_NS, false);
	struct patient patient = {&fixture, 0};
	assert_int_equal(send_request(&fixture, &body.body, false), 0);
	struct fiber *fiber = fiber_spawn_joinable("patient", wait_patiently, &patient);
	driver_skip(250 * SECOND_NS);
	driver_skip(60 * SECOND_NS); // it is sent
	assert_false(fixture.client.sending_rest);
	driver_skip(150 * SECOND_NS);
	assert_int_equal(fixture.fault.kind, FAULT_NONE);
	driver_skip(60 * SECOND_NS);
	fiber_join(fiber);
	assert_int_equal(patient.result, -1);
	assert_int_equal(fixture.fault.kind, FAULT_RESPONSE_TIMEOUT);
	assert_string_equal(fixture.fault.setting, "timeouts.response");
	assert_false(fixture_close(&fixture));
}

static void servers_that_are_lost(void *argument)
{
	struct fixture fixture;
	fixture_open(&fixture, SLICE_EMPTY);
	assert_int_equal(send_request(&fixture, &fixture.body.body, false), 0);
	stream_reset_on_close(&fixture.far.stream);
	stream_close(&fixture.far.stream);
	assert_int_equal(read_head(&fixture, 0), -1);
	assert_int_equal(fixture.fault.kind, FAULT_SERVER_CLOSED);
	assert_int_equal(fixture.fault.system_error, ECONNRESET);
	assert_false(fixture.client.client.got_bytes);
	assert_false(fixture_close(&fixture));
}

#define TEST(name)                                                                                                     \
	static void test_##name(void **state)                                                                          \
	{                                                                                                              \
		driver_run(name, NULL);                                                                                \
	}

TEST(answers)
TEST(unread_answers)
TEST(too_large_a_head)
TEST(held_bodies)
TEST(bodies_that_fail)
TEST(early_answers)
TEST(times_run_out)
TEST(servers_that_are_lost)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),		 cmocka_unit_test(test_unread_answers),
		cmocka_unit_test(test_too_large_a_head), cmocka_unit_test(test_held_bodies),
		cmocka_unit_test(test_bodies_that_fail), cmocka_unit_test(test_early_answers),
		cmocka_unit_test(test_times_run_out),	 cmocka_unit_test(test_servers_that_are_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
