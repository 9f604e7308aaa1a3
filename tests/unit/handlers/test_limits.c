// limits.body: bodies that are too large, by their length or as they come.
#include "base/fault.h"
#include "support.h"

// A body of unknown length, in pieces.
struct pieces {
	struct body body; // first
	const char *const *next;
};

static int pieces_read(struct body *body, struct slice *ret_bytes)
{
	struct pieces *pieces = (struct pieces *)body;
	*ret_bytes = *pieces->next ? slice_from_string(*pieces->next++) : SLICE_EMPTY;
	return 0;
}

static const struct body_operations pieces_operations = {.read = pieces_read};

// What the server reads until the end, or until the body fails.
static uint64_t read_bytes;
static bool read_failed;

static void read_all(struct exchange *exchange)
{
	struct slice bytes;
	struct body *body = exchange_request(exchange)->body;
	read_bytes = 0;
	read_failed = false;
	do {
		if (body_read(body, &bytes) < 0) {
			read_failed = true;
			// It stays as it is.
			assert_int_equal(body_read(body, &bytes), -1);
			assert_int_equal(body_look(body), BODY_READY);
			exchange->transaction.fault = body->fault;
			return;
		}
		read_bytes += bytes.length;
	} while (bytes.length > 0);
}

static void serve(const struct snapshot *snapshot, struct body *body, struct exchange *exchange)
{
	memset(&test_server, 0, sizeof test_server);
	test_server.serve = read_all;
	assert_non_null(test_exchange_route(exchange, snapshot, &(struct test_request){.method = "POST"}));
	exchange_request(exchange)->body = body;
	exchange_next(exchange);
}

static void test_length(void **state)
{
	struct snapshot *snapshot = test_load_good("server: true\nlimits: {body: 5}\n", &test_registry);
	struct exchange exchange;
	struct body_bytes body;
	body_bytes_init(&body, SLICE("12345"));
	serve(snapshot, &body.body, &exchange);
	assert_int_equal(test_server.calls, 1);
	assert_int_equal(read_bytes, 5);
	test_exchange_end(&exchange);
	body_bytes_init(&body, SLICE("123456"));
	serve(snapshot, &body.body, &exchange);
	assert_int_equal(test_server.calls, 0);
	assert_int_equal(exchange.transaction.fault.kind, FAULT_BODY_TOO_LARGE);
	assert_string_equal(exchange.transaction.fault.setting, "limits.body");
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

static void test_pieces(void **state)
{
	static const char *const good[] = {"12", "345", NULL}, *const bad[] = {"12", "345", "6", NULL},
				 *const at_once[] = {"123456", NULL}, *const none[] = {NULL};
	static const struct {
		const char *const *pieces;
		bool fails;
		uint64_t bytes;
	} rows[] = {{good, false, 5}, {bad, true, 5}, {at_once, true, 0}, {none, false, 0}};
	struct snapshot *snapshot = test_load_good("server: true\nlimits: {body: 5}\n", &test_registry);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct exchange exchange;
		struct pieces body = {.body = {.operations = &pieces_operations, .length = BODY_LENGTH_UNKNOWN}};
		body.next = rows[i].pieces;
		serve(snapshot, &body.body, &exchange);
		assert_int_equal(test_server.calls, 1);
		assert_int_equal(read_failed, rows[i].fails);
		assert_int_equal(read_bytes, rows[i].bytes);
		if (rows[i].fails) {
			assert_int_equal(exchange.transaction.fault.kind, FAULT_BODY_TOO_LARGE);
			assert_string_equal(exchange.transaction.fault.setting, "limits.body");
		}
		test_exchange_end(&exchange);
	}
	snapshot_unref(snapshot);
}

// The end brings the trailers along.
static void test_trailers(void **state)
{
	static const char *const one[] = {"1", NULL};
	struct snapshot *snapshot = test_load_good("server: true\nlimits: {body: 5}\n", &test_registry);
	struct exchange exchange;
	struct field trailer = {.name = SLICE("X-Sum"), .value = SLICE("1")};
	struct pieces body = {.body = {.operations = &pieces_operations, .length = BODY_LENGTH_UNKNOWN}, .next = one};
	body.body.trailers = (struct fields){.items = &trailer, .count = 1, .capacity = 1};
	serve(snapshot, &body.body, &exchange);
	const struct fields *trailers = &exchange_request(&exchange)->body->trailers;
	assert_int_equal(trailers->count, 1);
	assert_slice(trailers->items[0].value, "1");
	test_exchange_end(&exchange);
	snapshot_unref(snapshot);
}

// Routes without a bound have no such handler.
static void test_off(void **state)
{
	struct snapshot *snapshot = test_load_good("server: true\nlimits: {body: 5}\nroutes:\n"
						   "  - {path: /up/, limits: {body: off}}\n  - {}\n",
						   &test_registry);
	const struct site *site = &snapshot->all_sites[0];
	assert_ptr_equal(site->routes[0].steps[0].type, &test_server_handler);
	assert_ptr_equal(site->routes[1].steps[0].type, &limits_handler);
	snapshot_unref(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_trailers),
		cmocka_unit_test(test_off),
	};
	return cmocka_run_group_tests(tests, test_loop_begin, test_loop_end);
}
