// Requests over HTTP/2 whose bodies come slowly or fail, answers that do, and those who wait for them.
#include "h2_fixture.h"

static struct fixture fixture; // too large for a fiber's stack

static struct origin_stream *begin(struct exchange *exchange, const char *body)
{
	unsigned number = fixture.origin.count;
	exchange_begin(&fixture, exchange, body);
	return origin_request(&fixture.origin, number);
}

// --- Bodies that come slowly, or fail

struct slow_body {
	struct body body;
	struct fiber *waiter;
	const char *next; // to be handed out; NULL: wait
	bool ends, fails;
	unsigned reads;
};

static int slow_read(struct body *body, struct slice *ret_bytes)
{
	struct slow_body *slow = (struct slow_body *)body;
	slow->reads++;
	*ret_bytes = SLICE_EMPTY;
	while (!slow->next && !slow->ends && !slow->fails) {
		slow->waiter = fiber_current();
		int error = fiber_wait("slow body", FIBER_NEVER);
		slow->waiter = NULL;
		if (error) {
			fault_set(&body->fault, FAULT_CLIENT_GONE, "read request body", NULL);
			return -1;
		}
	}
	if (slow->fails) {
		fault_set(&body->fault, FAULT_BODY_TIMEOUT, "read request body", NULL);
		return -1;
	}
	if (slow->next)
		*ret_bytes = slice_from_string(slow->next);
	slow->next = NULL;
	return 0;
}

static const struct body_operations slow_operations = {.read = slow_read};

static void slow_wake(struct slow_body *slow)
{
	if (slow->waiter)
		fiber_wake(slow->waiter);
}

static struct origin_stream *begin_slow(struct exchange *exchange, struct slow_body *slow)
{
	unsigned number = fixture.origin.count;
	*slow = (struct slow_body){.body = {.operations = &slow_operations, .length = BODY_LENGTH_UNKNOWN}};
	exchange_open(&fixture, exchange, "");
	exchange->request.body = &slow->body;
	exchange->request.framing = BODY_CHUNKED;
	assert_int_equal(exchange_send(exchange), 0);
	return origin_request(&fixture.origin, number);
}

// Both ways at once, message by message, as gRPC's bidirectional streams do.
static void both_ways(void *argument)
{
	struct exchange exchange;
	struct slow_body slow;
	struct slice bytes;
	fixture_open(&fixture, NULL, 0, false);
	struct origin_stream *stream = begin_slow(&exchange, &slow);
	origin_head(&fixture.origin, stream, ":status: 200\n", false);
	assert_int_equal(exchange_head(&exchange), 0);
	for (unsigned i = 1; i <= 20; i++) {
		slow.next = "ping";
		slow_wake(&slow);
		origin_until(stream->body_bytes == 4 * (size_t)i);
		origin_data(&fixture.origin, stream, SLICE("pong"), false);
		assert_int_equal(body_read(exchange.response.body, &bytes), 0);
		assert_slice(bytes, "pong");
	}
	assert_false(stream->has_ended);
	slow.ends = true;
	slow_wake(&slow);
	origin_until(stream->has_ended);
	origin_head(&fixture.origin, stream, "grpc-status: 0\n", true);
	assert_int_equal(body_read(exchange.response.body, &bytes), 0);
	assert_int_equal(bytes.length, 0);
	assert_int_equal(exchange.response.body->trailers.count, 1);
	assert_true(exchange_close(&exchange));
	assert_int_equal(stream->code, NGHTTP2_NO_ERROR);
	fixture_close(&fixture);
}

static void bodies_that_fail(void *argument)
{
	struct exchange exchange;
	struct slow_body slow;
	struct slice bytes;
	fixture_open(&fixture, NULL, 0, false);
	struct origin_stream *stream = begin_slow(&exchange, &slow);
	slow.fails = true;
	slow_wake(&slow);
	assert_int_equal(exchange_head(&exchange), -1);
	assert_int_equal(exchange.fault.kind, FAULT_BODY_TIMEOUT);
	assert_int_equal(exchange_head(&exchange), -1);
	assert_true(exchange_close(&exchange));
	origin_until(stream->is_closed);
	assert_int_equal(stream->code, NGHTTP2_CANCEL);

	// While the response is under way.
	stream = begin_slow(&exchange, &slow);
	origin_head(&fixture.origin, stream, ":status: 200\n", false);
	assert_int_equal(exchange_head(&exchange), 0);
	slow.fails = true;
	slow_wake(&slow);
	assert_int_equal(body_read(exchange.response.body, &bytes), -1);
	assert_int_equal(exchange.response.body->fault.kind, FAULT_BODY_TIMEOUT);
	assert_true(exchange_close(&exchange));
	origin_until(stream->is_closed);
	fixture_close(&fixture);
}

// A body that is not as long as it says never looks whole to the server.
static void bodies_that_lie(void *argument)
{
	fixture_open(&fixture, NULL, 0, false);
	for (int difference = -1; difference <= 1; difference += 2) {
		struct exchange exchange;
		exchange_open(&fixture, &exchange, "some bytes");
		exchange.bytes.body.length += difference;
		assert_int_equal(exchange_send(&exchange), -1);
		assert_int_equal(exchange.fault.kind, FAULT_INTERNAL);
		assert_true(exchange_close(&exchange));
	}
	assert_int_equal(fixture.origin.count, 0);
	fixture_close(&fixture);
}

// An answer that comes before the request was sent stands, also where the server does not
// want the rest (RFC 9113 section 8.1).
static void early_answers(void *argument)
{
	struct exchange exchange;
	struct slow_body slow;
	fixture_open(&fixture, NULL, 0, false);
	for (unsigned resets_too = 0; resets_too < 2; resets_too++) {
		struct origin_stream *stream = begin_slow(&exchange, &slow);
		origin_head(&fixture.origin, stream, ":status: 413\n", false);
		origin_data(&fixture.origin, stream, SLICE("too large"), true);
		if (resets_too)
			origin_reset(&fixture.origin, stream, NGHTTP2_NO_ERROR);
		driver_settle();
		exchange_expect(&exchange, 413, "too large");
		assert_true(exchange_close(&exchange));
		origin_until(stream->is_closed);
		assert_int_equal(stream->code, resets_too ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
	}
	fixture_close(&fixture);
}

enum held { GO_AHEAD, NO_WORD, REFUSED_BODY };

// Expect: 100-continue, in all the ways that it can end.
static void held_bodies(void *argument)
{
	fixture_open(&fixture, NULL, 0, false);
	for (enum held way = GO_AHEAD; way <= REFUSED_BODY; way++) {
		struct exchange exchange;
		exchange_open(&fixture, &exchange, "bytes");
		exchange.request.hold_body = true;
		assert_int_equal(exchange_send(&exchange), 0);
		struct http_client *client = &exchange.client.client;
		assert_true(client_holds_body(client));
		struct origin_stream *stream = origin_request(&fixture.origin, (unsigned)way);
		assert_non_null(strstr(stream->head, "expect: 100-continue\n"));
		if (way == GO_AHEAD)
			origin_head(&fixture.origin, stream, ":status: 100\n", false);
		if (way == REFUSED_BODY)
			origin_head(&fixture.origin, stream, ":status: 417\n", true);
		int64_t patience_ns = way == NO_WORD ? 5 * MILLISECOND_NS : 10 * PATIENCE_NS;
		int result = client_read_head(client, patience_ns, &exchange.response, &exchange.fault);
		assert_int_equal(result, way == NO_WORD ? 1 : 0);
		assert_int_equal(stream->body_bytes, 0);
		if (way == REFUSED_BODY) {
			assert_int_equal(exchange.response.status, 417);
		} else {
			assert_int_equal(client_send_body(client, &exchange.fault), 0);
			assert_false(client_holds_body(client));
			origin_until(stream->has_ended);
			assert_string_equal(stream->body, "bytes");
			origin_head(&fixture.origin, stream, ":status: 200\n", true);
			exchange_expect(&exchange, 200, "");
		}
		assert_true(exchange_close(&exchange));
	}
	fixture_close(&fixture);
}

// --- Times that run out, and visitors that go

struct patient {
	struct exchange *exchange;
	struct received received;
	bool reads_body;
	int result;
};

static void wait_patiently(void *argument)
{
	struct patient *patient = argument;
	patient->result = patient->reads_body ? exchange_body(patient->exchange, &patient->received)
					      : exchange_head(patient->exchange);
}

static struct fiber *be_patient(struct patient *patient, struct exchange *exchange, bool reads_body)
{
	*patient = (struct patient){.exchange = exchange, .reads_body = reads_body};
	struct fiber *fiber = fiber_spawn_joinable("patient", wait_patiently, patient);
	assert_non_null(fiber);
	driver_settle();
	return fiber;
}

static void no_answer(void *argument)
{
	struct exchange exchange;
	struct slow_body slow;
	struct patient patient;
	fixture_open(&fixture, NULL, 0, false);
	struct origin_stream *stream = begin_slow(&exchange, &slow);
	struct fiber *fiber = be_patient(&patient, &exchange, false);
	driver_skip(250 * SECOND_NS); // the time for an answer begins when the request is sent
	slow.ends = true;
	slow_wake(&slow);
	origin_until(stream->has_ended);
	driver_skip(150 * SECOND_NS);
	assert_int_equal(exchange.fault.kind, FAULT_NONE);
	driver_skip(60 * SECOND_NS);
	fiber_join(fiber);
	assert_int_equal(patient.result, -1);
	assert_int_equal(exchange.fault.kind, FAULT_RESPONSE_TIMEOUT);
	assert_string_equal(exchange.fault.setting, "timeouts.response");
	assert_true(exchange_close(&exchange));
	origin_until(stream->is_closed);
	assert_int_equal(stream->code, NGHTTP2_CANCEL);
	fixture_close(&fixture);
}

static void no_body(void *argument)
{
	struct exchange exchange;
	struct patient patient;
	fixture_open(&fixture, NULL, 0, false);
	struct origin_stream *stream = begin(&exchange, NULL);
	origin_head(&fixture.origin, stream, ":status: 200\n", false);
	assert_int_equal(exchange_head(&exchange), 0);
	struct fiber *fiber = be_patient(&patient, &exchange, true);
	driver_skip(90 * SECOND_NS);
	origin_data(&fixture.origin, stream, SLICE("x"), false);
	driver_skip(90 * SECOND_NS); // each byte begins it anew
	assert_int_equal(exchange.response.body->fault.kind, FAULT_NONE);
	driver_skip(20 * SECOND_NS);
	fiber_join(fiber);
	assert_int_equal(patient.result, -1);
	assert_int_equal(exchange.response.body->fault.kind, FAULT_RESPONSE_BODY_TIMEOUT);
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
}

static void cancelled(void *argument)
{
	fixture_open(&fixture, NULL, 0, false);
	for (unsigned in_body = 0; in_body < 2; in_body++) {
		struct exchange exchange;
		struct patient patient;
		struct origin_stream *stream = begin(&exchange, NULL);
		if (in_body) {
			origin_head(&fixture.origin, stream, ":status: 200\n", false);
			assert_int_equal(exchange_head(&exchange), 0);
		}
		struct fiber *fiber = be_patient(&patient, &exchange, in_body);
		fiber_cancel(fiber);
		fiber_join(fiber);
		assert_int_equal(patient.result, -1);
		assert_int_equal(in_body ? exchange.response.body->fault.kind : exchange.fault.kind, FAULT_CLIENT_GONE);
		assert_true(exchange_close(&exchange));
		origin_until(stream->is_closed);
		assert_int_equal(stream->code, NGHTTP2_CANCEL);
	}
	fixture_close(&fixture);
}

// An exchange may end before anything of it was written, or without having begun.
static void unsent(void *argument)
{
	struct exchange exchange;
	fixture_open(&fixture, NULL, 0, false);
	exchange_open(&fixture, &exchange, NULL);
	assert_true(exchange_close(&exchange));
	exchange_open(&fixture, &exchange, "body");
	assert_int_equal(exchange_send(&exchange), 0);
	assert_true(exchange_close(&exchange));
	origin_head(&fixture.origin, begin(&exchange, NULL), ":status: 200\n", true);
	exchange_expect(&exchange, 200, "");
	assert_true(exchange_close(&exchange));
	fixture_close(&fixture);
}

TEST(both_ways)
TEST(bodies_that_fail)
TEST(bodies_that_lie)
TEST(early_answers)
TEST(held_bodies)
TEST(no_answer)
TEST(no_body)
TEST(cancelled)
TEST(unsent)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),	cmocka_unit_test(test_bodies_that_fail),
		cmocka_unit_test(test_bodies_that_lie), cmocka_unit_test(test_early_answers),
		cmocka_unit_test(test_held_bodies),	cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_no_body),		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_unsent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
